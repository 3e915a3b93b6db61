//! Files whose frames end in a check sequence: the guest gets the frames without.

use std::time::Duration;

use netrx_pcap::{Capture, CaptureError};
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::packet::{PacketBlock, PacketOption};
use pcap_file::pcapng::blocks::simple_packet::SimplePacketBlock;
use pcap_file::pcapng::{PcapNgBlock, PcapNgWriter};
use pcap_file::{DataLink, PcapResult};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// When each packet was captured.
const TIME: Duration = Duration::from_secs(1_700_000_000);

/// A pcap file's word for Ethernet frames with a check sequence of so many units of two bytes.
const fn ethernet_with(units: u32) -> u32 {
    1 | 1 << 26 | units << 28
}

/// What a packet is made of: how many bytes were captured of how many.
#[derive(Clone, Copy, Debug)]
struct Cut {
    captured: usize,
    original: u32,
}

impl Cut {
    const fn none(len: u32) -> Self {
        Self { captured: len as usize, original: len }
    }

    fn bytes(self) -> Vec<u8> {
        (0..self.captured).map(|at| at as u8).collect()
    }
}

/// A pcap file of one packet, with this word for its link type.
fn pcap(link: u32, packet: Cut) -> PcapResult<Vec<u8>> {
    let header = PcapHeader { datalink: DataLink::from(link), ..PcapHeader::default() };
    let mut writer = PcapWriter::with_header(Vec::new(), header)?;
    writer.write_packet(&PcapPacket::new_owned(TIME, packet.original, packet.bytes()))?;
    Ok(writer.into_writer())
}

/// A pcapng file of one packet, whose interface has check sequences of so many bits.
fn pcapng<'a>(bits: u8, packet: impl PcapNgBlock<'a>) -> PcapResult<Vec<u8>> {
    let mut writer = PcapNgWriter::new(Vec::new())?;
    let options = vec![InterfaceDescriptionOption::IfFcsLen(bits)];
    writer.write_pcapng_block(InterfaceDescriptionBlock {
        linktype: DataLink::ETHERNET,
        snaplen: 0,
        options,
    })?;
    writer.write_pcapng_block(packet)?;
    Ok(writer.into_inner())
}

fn enhanced(packet: Cut, options: Vec<EnhancedPacketOption<'_>>) -> EnhancedPacketBlock<'_> {
    let data = packet.bytes().into();
    EnhancedPacketBlock { interface_id: 0, timestamp: TIME, original_len: packet.original, data, options }
}

/// The length of the only frame of a file.
fn len(file: &[u8]) -> Result<usize, CaptureError> {
    let capture = Capture::parse(file)?;
    assert_eq!(capture.len(), 1);
    let frame = capture.frame(0).map(|frame| frame.bytes.to_vec()).unwrap_or_default();
    assert_eq!(frame, Cut::none(frame.len() as u32).bytes(), "it is cut at its end");
    Ok(frame.len())
}

#[test]
fn pcap_counts_them_in_units_of_two_bytes() -> Outcome {
    for (link, expected) in [(ethernet_with(2), 60), (ethernet_with(1), 62), (ethernet_with(0), 64)] {
        assert_eq!(len(&pcap(link, Cut::none(64))?)?, expected, "{link:#x}");
    }
    Ok(())
}

#[test]
fn a_length_that_pcap_does_not_call_known_is_none() -> Outcome {
    let unknown = 1 | 2 << 28;
    assert_eq!(len(&pcap(unknown, Cut::none(64))?)?, 64);
    Ok(())
}

#[test]
fn bits_between_are_none_of_ethernet() -> Outcome {
    for reserved in [1 << 16, 1 << 25, 1 << 27] {
        let error = len(&pcap(ethernet_with(2) | reserved, Cut::none(64))?);
        assert!(
            matches!(error, Err(CaptureError::NotEthernet(link)) if link == 1 | reserved),
            "{reserved:#x}: {error:?}"
        );
    }
    Ok(())
}

#[test]
fn pcapng_counts_them_in_bits() -> Outcome {
    for (bits, expected) in [(0, 64), (16, 62), (32, 60)] {
        assert_eq!(len(&pcapng(bits, enhanced(Cut::none(64), Vec::new()))?)?, expected, "{bits}");
        let data = Cut::none(64).bytes().into();
        assert_eq!(len(&pcapng(bits, SimplePacketBlock { original_len: 64, data })?)?, expected, "{bits}");
    }
    Ok(())
}

#[test]
fn fewer_bits_than_a_byte_has_are_bytes() -> Outcome {
    assert_eq!(len(&pcapng(4, enhanced(Cut::none(64), Vec::new()))?)?, 60);
    Ok(())
}

#[test]
fn a_packet_of_pcapng_knows_better_than_its_interface() -> Outcome {
    for (flags, expected) in [(0, 60), (1, 60), (2 << 5, 62), (4 << 5 | 1, 60), (6 << 5, 58)] {
        let packet = enhanced(Cut::none(64), vec![EnhancedPacketOption::Flags(flags)]);
        assert_eq!(len(&pcapng(32, packet)?)?, expected, "{flags:#x}");
        let obsolete = PacketBlock {
            interface_id: 0,
            drop_count: 0,
            timestamp: 0,
            captured_len: 64,
            original_len: 64,
            data: Cut::none(64).bytes().into(),
            options: vec![PacketOption::Flags(flags)],
        };
        assert_eq!(len(&pcapng(32, obsolete)?)?, expected, "{flags:#x}");
    }
    Ok(())
}

#[test]
fn a_frame_is_whole_though_its_check_sequence_was_cut() -> Outcome {
    for captured in 60..=64 {
        let packet = Cut { captured, original: 64 };
        assert_eq!(len(&pcap(ethernet_with(2), packet)?)?, 60, "{packet:?}");
        assert_eq!(len(&pcapng(32, enhanced(packet, Vec::new()))?)?, 60, "{packet:?}");
    }
    let packet = Cut { captured: 59, original: 64 };
    for file in [pcap(ethernet_with(2), packet)?, pcapng(32, enhanced(packet, Vec::new()))?] {
        let error = len(&file);
        assert!(
            matches!(error, Err(CaptureError::CutFrame { number: 1, captured: 59, original: 64 })),
            "{error:?}"
        );
    }
    Ok(())
}

#[test]
fn a_frame_that_is_less_than_its_check_sequence_is_empty() -> Outcome {
    assert_eq!(len(&pcap(ethernet_with(2), Cut::none(3))?)?, 0);
    assert_eq!(len(&pcapng(32, enhanced(Cut::none(3), Vec::new()))?)?, 0);
    Ok(())
}
