//! The capture of what the guest got.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, PcapError};

/// How times are counted: in units of 10^-9 seconds.
const NANOSECONDS: u8 = 9;

/// A pcapng file that is being written.
pub(crate) struct Out {
    writer: PcapNgWriter<BufWriter<File>>,
    /// One moment by both clocks: the file wants the date, a run is measured by the other.
    epoch: (Instant, SystemTime),
}

impl Out {
    /// Begins the file.
    pub(crate) fn new(file: BufWriter<File>) -> Result<Self> {
        let mut writer = PcapNgWriter::new(file).map_err(plain)?;
        let options = vec![
            InterfaceDescriptionOption::IfName("guest".into()),
            InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
        ];
        writer
            .write_pcapng_block(InterfaceDescriptionBlock {
                linktype: DataLink::ETHERNET,
                snaplen: 0,
                options,
            })
            .map_err(plain)?;
        writer.get_mut().flush()?;
        Ok(Self { writer, epoch: (Instant::now(), SystemTime::now()) })
    }

    /// Appends a frame that the guest got at `at`.
    pub(crate) fn write(&mut self, frame: &[u8], at: Instant) -> Result<()> {
        let (monotonic, date) = self.epoch;
        let date = date + at.saturating_duration_since(monotonic);
        let written = self.writer.write_pcapng_block(EnhancedPacketBlock {
            interface_id: 0,
            timestamp: date.duration_since(UNIX_EPOCH).unwrap_or_default(),
            original_len: u32::try_from(frame.len())?,
            data: frame.into(),
            options: Vec::new(),
        });
        written.map_err(plain)?;
        Ok(())
    }

    /// Ends the file.
    pub(crate) fn finish(self) -> Result<()> {
        Ok(self.writer.into_inner().flush()?)
    }
}

/// The system's own words; the crate's say "reading" of either direction.
fn plain(error: PcapError) -> anyhow::Error {
    match error {
        PcapError::IoError(error) => error.into(),
        error => error.into(),
    }
}
