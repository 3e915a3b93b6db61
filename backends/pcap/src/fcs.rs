//! How long the frame check sequences of a file are. They are at the frames' ends, and no part of what a guest receives.

use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};

/// The bit of a pcap file's link type that says whether the length is known.
const LINK_KNOWN: u32 = 1 << 26;
/// The bits of a pcap file's link type that count units of the length.
const LINK_LEN: u32 = 0xf << LINK_LEN_SHIFT;
const LINK_LEN_SHIFT: u32 = 28;
/// What they count: bytes.
const LINK_UNIT: u32 = 2;

/// The bits of a pcapng packet's flags that are its length in bytes, or 0 if it is the interface's.
const FLAGS_LEN: u32 = 0xf << FLAGS_LEN_SHIFT;
const FLAGS_LEN_SHIFT: u32 = 5;

/// What a pcap file's link type is apart from what it says of check sequences.
pub(crate) fn link_alone(link: u32) -> u32 {
    link & !(LINK_KNOWN | LINK_LEN)
}

/// The length in bytes that a pcap file's link type says.
pub(crate) fn of_link(link: u32) -> u32 {
    if link & LINK_KNOWN == 0 { 0 } else { ((link & LINK_LEN) >> LINK_LEN_SHIFT) * LINK_UNIT }
}

/// The length in bytes of a pcapng packet's, which may have flags of its own.
pub(crate) fn of_packet(flags: Option<u32>, interface: &InterfaceDescriptionBlock<'_>) -> u32 {
    match flags.map_or(0, |flags| (flags & FLAGS_LEN) >> FLAGS_LEN_SHIFT) {
        0 => of_interface(interface),
        len => len,
    }
}

/// The format counts bits. Its own example is 4 of them, so there are writers that count bytes.
fn of_interface(interface: &InterfaceDescriptionBlock<'_>) -> u32 {
    let len = interface.options.iter().find_map(|option| match option {
        InterfaceDescriptionOption::IfFcsLen(len) => Some(u32::from(*len)),
        _ => None,
    });
    match len.unwrap_or(0) {
        bytes if bytes < u8::BITS => bytes,
        bits => bits / u8::BITS,
    }
}
