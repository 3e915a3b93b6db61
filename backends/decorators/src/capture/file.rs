//! The pcapng file. The format is the business of the crate `pcap-file`, with two things to know of it: it counts every
//! packet's time in nanoseconds, so that is what the interface has to say, and it writes the two halves of the
//! statistics' times in the right order only where the file is big-endian, so that is what the file is.

use std::io::{self, BufWriter, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use netrx::DropReason;
use netrx::space::Taped;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::interface_statistics::{InterfaceStatisticsBlock, InterfaceStatisticsOption};
use pcap_file::{DataLink, Endianness, PcapError};

use super::Captured;
use super::handle::{Batch, Queue};

/// Times are counted in units of 10^-9 seconds.
const NANOSECONDS: u8 = 9;

/// Writes a whole file; returns when there is no more to write, or it cannot be written.
pub(super) fn write(writer: impl Write, queue: &Queue, started: SystemTime) -> io::Result<Captured> {
    let mut file = File::new(writer, started)?;
    while let Some(batch) = queue.next(|| file.flush())? {
        file.enter(&batch)?;
        queue.done(batch.tape);
    }
    file.finish()
}

struct File<W: Write> {
    blocks: PcapNgWriter<BufWriter<W>>,
    started: SystemTime,
    captured: Captured,
    /// Dropped frames, by reason.
    reasons: [u64; DropReason::ALL.len()],
    /// Frames missed since the last one.
    missed: u64,
}

impl<W: Write> File<W> {
    fn new(writer: W, started: SystemTime) -> io::Result<Self> {
        let writer = BufWriter::new(writer);
        let mut blocks = PcapNgWriter::with_endianness(writer, Endianness::Big).map_err(plain)?;
        let name = InterfaceDescriptionOption::IfName("netrx".into());
        let options = vec![name, InterfaceDescriptionOption::IfTsResol(NANOSECONDS)];
        let interface = InterfaceDescriptionBlock { linktype: DataLink::ETHERNET, snaplen: 0, options };
        blocks.write_pcapng_block(interface).map_err(plain)?;
        Ok(Self { blocks, started, captured: Captured::default(), reasons: [0; _], missed: 0 })
    }

    fn enter(&mut self, batch: &Batch) -> io::Result<()> {
        self.missed += batch.missed;
        self.captured.missed += batch.missed;
        let at = since_1970(batch.at);
        batch.tape.frames().try_for_each(|frame| self.frame(frame, at))
    }

    fn frame(&mut self, frame: Taped<'_>, timestamp: Duration) -> io::Result<()> {
        let mut options = Vec::new();
        if let Some(reason) = frame.dropped {
            options.push(EnhancedPacketOption::Comment(format!("dropped by netrx: {reason}").into()));
        }
        if self.missed > 0 {
            options.push(EnhancedPacketOption::DropCount(self.missed));
        }
        let original_len = u32::try_from(frame.len).unwrap_or(u32::MAX);
        let data = frame.bytes.into();
        let packet = EnhancedPacketBlock { interface_id: 0, timestamp, original_len, data, options };
        self.blocks.write_pcapng_block(packet).map_err(plain)?;
        self.missed = 0;
        self.count(frame.dropped);
        Ok(())
    }

    fn count(&mut self, dropped: Option<DropReason>) {
        match dropped {
            None => self.captured.delivered += 1,
            Some(reason) => {
                self.captured.dropped += 1;
                self.reasons[reason as usize] += 1;
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.blocks.get_mut().flush()
    }

    /// Writes the statistics, which end the file.
    fn finish(mut self) -> io::Result<Captured> {
        use InterfaceStatisticsOption as Statistic;
        let Captured { delivered, dropped, missed } = self.captured;
        let (started, ended) = (nanos(self.started), nanos(SystemTime::now()));
        let by_reason = DropReason::ALL.map(|reason| format!("{reason} {}", self.reasons[reason as usize]));
        let options = vec![
            Statistic::Comment(format!("dropped by netrx: {}", by_reason.join(", ")).into()),
            Statistic::IsbStartTime(started),
            Statistic::IsbEndTime(ended),
            Statistic::IsbIfRecv(delivered + dropped + missed),
            Statistic::IsbIfDrop(dropped),
            Statistic::IsbOsDrop(missed),
            Statistic::IsbUsrDeliv(delivered + dropped),
        ];
        let statistics = InterfaceStatisticsBlock { interface_id: 0, timestamp: ended, options };
        self.blocks.write_pcapng_block(statistics).map_err(plain)?;
        self.flush()?;
        Ok(self.captured)
    }
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Good until the year 2554.
fn nanos(time: SystemTime) -> u64 {
    u64::try_from(since_1970(time).as_nanos()).unwrap_or(u64::MAX)
}

/// The system's own words; the crate's say "reading" of either direction.
fn plain(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        error => io::Error::other(error),
    }
}
