//! From a file's bytes to its frames. The formats themselves are the business of the crate `pcap-file`.

use std::time::Duration;

use pcap_file::pcap::PcapParser;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::packet::PacketOption;
use pcap_file::pcapng::blocks::simple_packet::SimplePacketBlock;
use pcap_file::pcapng::{Block, PcapNgParser};
use pcap_file::{DataLink, PcapError, TsResolution};

use crate::capture::Packet;
use crate::{Capture, CaptureError, fcs};

/// How a pcapng file begins, in either byte order.
const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// How a pcap file begins: with microseconds or nanoseconds, in either byte order.
const PCAP: [[u8; 4]; 4] =
    [[0xa1, 0xb2, 0xc3, 0xd4], [0xa1, 0xb2, 0x3c, 0x4d], [0xd4, 0xc3, 0xb2, 0xa1], [0x4d, 0x3c, 0xb2, 0xa1]];

/// How many bytes tell a file's format.
pub(crate) const MAGIC: u64 = 4;

/// Finds the frames of a file.
type Parser = fn(&[u8]) -> Result<Capture, CaptureError>;

/// What parses a file that begins so.
pub(crate) fn parser(begin: &[u8]) -> Result<Parser, CaptureError> {
    match begin.first_chunk() {
        Some(&PCAPNG) => Ok(pcapng),
        Some(magic) if PCAP.contains(magic) => Ok(pcap),
        _ => Err(CaptureError::NotACapture),
    }
}

fn pcapng(file: &[u8]) -> Result<Capture, CaptureError> {
    let mut capture = Capture::default();
    let (mut rest, mut parser) = PcapNgParser::new(file).map_err(|cause| failed(&capture, cause))?;
    while !rest.is_empty() {
        let (after, block) = parser.next_block(rest).map_err(|cause| failed(&capture, cause))?;
        enter(&mut capture, &parser, block)?;
        rest = after;
    }
    Ok(capture)
}

/// Enters a block's frame, if it has one.
fn enter(capture: &mut Capture, parser: &PcapNgParser, block: Block<'_>) -> Result<(), CaptureError> {
    match block {
        Block::InterfaceDescription(interface) => must_be_ethernet(interface.linktype.into()),
        Block::EnhancedPacket(packet) => {
            let interface = interface(capture, parser, packet.interface_id)?;
            let flags = packet.options.iter().find_map(|option| match option {
                EnhancedPacketOption::Flags(flags) => Some(*flags),
                _ => None,
            });
            let (fcs, time) = (fcs::of_packet(flags, interface), time(&packet, interface));
            capture.push(Packet { bytes: &packet.data, original: packet.original_len, fcs, time })
        }
        Block::SimplePacket(packet) => {
            let interface = interface(capture, parser, 0)?;
            let (bytes, fcs) = (unpadded(&packet, interface), fcs::of_packet(None, interface));
            capture.push(Packet { bytes, original: packet.original_len, fcs, time: None })
        }
        // The obsolete form; nothing writes it any more, but files live long.
        Block::Packet(packet) => {
            let interface = interface(capture, parser, packet.interface_id.into())?;
            let flags = packet.options.iter().find_map(|option| match option {
                PacketOption::Flags(flags) => Some(*flags),
                _ => None,
            });
            let fcs = fcs::of_packet(flags, interface);
            capture.push(Packet { bytes: &packet.data, original: packet.original_len, fcs, time: None })
        }
        _ => Ok(()),
    }
}

fn interface<'p>(
    capture: &Capture,
    parser: &'p PcapNgParser,
    id: u32,
) -> Result<&'p InterfaceDescriptionBlock<'static>, CaptureError> {
    let index = usize::try_from(id).unwrap_or(usize::MAX);
    parser.interfaces().get(index).ok_or_else(|| failed(capture, PcapError::InvalidInterfaceId(id)))
}

/// When a frame was captured. The parser takes every count for nanoseconds; the interface knows what is counted.
fn time(packet: &EnhancedPacketBlock<'_>, interface: &InterfaceDescriptionBlock<'_>) -> Option<Duration> {
    let count = packet.timestamp.as_nanos();
    let resolution = interface.options.iter().find_map(|option| match option {
        InterfaceDescriptionOption::IfTsResol(resolution) => Some(*resolution),
        _ => None,
    });
    let offset = interface.options.iter().find_map(|option| match option {
        InterfaceDescriptionOption::IfTsOffset(seconds) => Some(Duration::from_secs(*seconds)),
        _ => None,
    });
    let (base, exponent) = match resolution.unwrap_or(6) {
        power_of_two if power_of_two & 0x80 != 0 => (2_u128, power_of_two & 0x7f),
        power_of_ten => (10, power_of_ten),
    };
    let second = base.checked_pow(exponent.into())?;
    let seconds = u64::try_from(count / second).ok()?;
    let nanos = (count % second).checked_mul(1_000_000_000)? / second;
    let time = Duration::new(seconds, u32::try_from(nanos).ok()?);
    time.checked_add(offset.unwrap_or_default())
}

/// The bytes of a simple packet. The parser leaves the padding on, and the block does not say how much was captured.
fn unpadded<'p>(packet: &'p SimplePacketBlock<'_>, interface: &InterfaceDescriptionBlock<'_>) -> &'p [u8] {
    let captured = match interface.snaplen {
        0 => packet.original_len,
        limit => packet.original_len.min(limit),
    };
    let captured = usize::try_from(captured).unwrap_or(usize::MAX);
    packet.data.get(..captured).unwrap_or(&packet.data)
}

/// Reads raw records: the parser's own checks do not say which frame `tcpdump -s` cut, and how long it was.
fn pcap(file: &[u8]) -> Result<Capture, CaptureError> {
    let mut capture = Capture::default();
    let (mut rest, parser) = PcapParser::new(file).map_err(|cause| failed(&capture, cause))?;
    let header = parser.header();
    let link = u32::from(header.datalink);
    must_be_ethernet(fcs::link_alone(link))?;
    let unit = match header.ts_resolution {
        TsResolution::MicroSecond => Duration::from_micros(1),
        TsResolution::NanoSecond => Duration::from_nanos(1),
    };
    while !rest.is_empty() {
        let (after, packet) = parser.next_raw_packet(rest).map_err(|cause| failed(&capture, cause))?;
        let time = Duration::from_secs(packet.ts_sec.into()) + unit * packet.ts_frac;
        let (original, fcs) = (packet.orig_len, fcs::of_link(link));
        capture.push(Packet { bytes: &packet.data, original, fcs, time: Some(time) })?;
        rest = after;
    }
    Ok(capture)
}

fn must_be_ethernet(link: u32) -> Result<(), CaptureError> {
    if link == u32::from(DataLink::ETHERNET) { Ok(()) } else { Err(CaptureError::NotEthernet(link)) }
}

/// What an error of the parser means for the file.
fn failed(capture: &Capture, cause: PcapError) -> CaptureError {
    match cause {
        PcapError::IncompleteBuffer => CaptureError::CutOff { frames: capture.len() },
        cause => CaptureError::Damaged { frames: capture.len(), cause: cause.into() },
    }
}
