//! Makes capture files, in memory.

use std::time::Duration;

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, PcapResult};

/// A format, with all that its writer decides.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    PcapNg,
    Pcap,
}

/// When frame `index` of a made file was captured; both formats can say it.
pub(crate) fn time(index: usize) -> Duration {
    Duration::new(1_700_000_000 + index as u64, 123_456_000)
}

/// A file of these frames.
pub(crate) fn file(form: Form, frames: &[Vec<u8>]) -> Vec<u8> {
    let file = match form {
        Form::PcapNg => pcapng(frames, DataLink::ETHERNET, &[InterfaceDescriptionOption::IfTsResol(9)]),
        Form::Pcap => pcap(frames, PcapHeader::default()),
    };
    assert!(file.is_ok(), "the file is made: {file:?}");
    file.unwrap_or_default()
}

/// A pcapng file with one interface; times are counted in nanoseconds, whatever the options say.
pub(crate) fn pcapng(
    frames: &[Vec<u8>],
    link: DataLink,
    options: &[InterfaceDescriptionOption<'static>],
) -> PcapResult<Vec<u8>> {
    let mut writer = PcapNgWriter::new(Vec::new())?;
    writer.write_pcapng_block(InterfaceDescriptionBlock {
        linktype: link,
        snaplen: 0,
        options: options.to_vec(),
    })?;
    for (index, frame) in frames.iter().enumerate() {
        writer.write_pcapng_block(EnhancedPacketBlock {
            interface_id: 0,
            timestamp: time(index),
            original_len: frame.len() as u32,
            data: frame.into(),
            options: Vec::new(),
        })?;
    }
    Ok(writer.into_inner())
}

/// A pcap file, in the byte order and with the resolution that the header says.
pub(crate) fn pcap(frames: &[Vec<u8>], header: PcapHeader) -> PcapResult<Vec<u8>> {
    let mut writer = PcapWriter::with_header(Vec::new(), header)?;
    for (index, frame) in frames.iter().enumerate() {
        writer.write_packet(&PcapPacket::new(time(index), frame.len() as u32, frame))?;
    }
    Ok(writer.into_writer())
}
