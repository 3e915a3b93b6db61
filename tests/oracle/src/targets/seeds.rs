//! Inputs to begin with: one for each thing worth mutating.

use super::input::feature::{EVENT_IDX, INDIRECT_DESC, MRG_RXBUF, VERSION_1};

/// An input for a target.
#[derive(Clone, Debug)]
pub struct Seed {
    /// The target's name.
    pub target: &'static str,
    /// What it is good for.
    pub name: &'static str,
    /// The input.
    pub input: Vec<u8>,
}

/// A seed's name and its input.
type Named = (&'static str, Vec<u8>);

/// Every seed.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    let targets = [
        ("descriptor_chain", descriptor_chain()),
        ("mmio_ops", mmio_ops()),
        ("net_hdr", net_hdr()),
        ("ring_bytes", ring_bytes()),
        ("ring_ops", ring_ops()),
        ("tcp_ctl", tcp_ctl()),
    ];
    let seeds = targets
        .into_iter()
        .flat_map(|(target, seeds)| seeds.into_iter().map(move |(name, input)| Seed { target, name, input }));
    seeds.collect()
}

const NEXT: u8 = 1;
const WRITE: u8 = 2;
const INDIRECT: u8 = 4;
/// An address code: entry 0 of the first indirect table.
const TABLE: u16 = 0xa000;
/// A length code: that many entries of 16 bytes.
const ENTRIES: u16 = 0x8000;

/// A descriptor: address code, length code, flags, successor.
type Descriptor = (u16, u16, u8, u8);

/// A queue of `1 << log` with these descriptors, and a frame of 60 bytes for each head.
fn chains(log: u8, features: u8, how: u8, descriptors: &[Descriptor], heads: &[u8]) -> Vec<u8> {
    let mut input = vec![log, features, how, descriptors.len() as u8];
    for (at, len, flags, next) in descriptors {
        input.extend_from_slice(&at.to_le_bytes());
        input.extend_from_slice(&len.to_le_bytes());
        input.extend_from_slice(&[*flags, *next]);
    }
    for head in heads {
        input.push(*head);
        input.extend_from_slice(&60_u16.to_le_bytes());
    }
    input
}

/// The queue's table, filled up, and behind it an indirect one.
fn with_table(first: &[Descriptor], table: &[Descriptor]) -> Vec<Descriptor> {
    let mut descriptors = first.to_vec();
    descriptors.resize(16, (0, 100, WRITE, 0));
    descriptors.extend_from_slice(table);
    descriptors
}

fn descriptor_chain() -> Vec<Named> {
    let chained = [(0, 3, WRITE | NEXT, 1), (0x100, 12, WRITE | NEXT, 2), (0x200, 200, WRITE, 0)];
    let table = [(0x300, 9, WRITE | NEXT, 1), (0x8000, 300, WRITE, 0)];
    let indirect = with_table(&[(TABLE, ENTRIES + 2, INDIRECT, 0)], &table);
    let nested = with_table(&[(TABLE, ENTRIES + 2, INDIRECT, 0)], &[(TABLE, ENTRIES + 1, INDIRECT, 0)]);
    let circle = with_table(
        &[(TABLE, ENTRIES + 2, INDIRECT, 0)],
        &[(0, 50, WRITE | NEXT, 1), (0, 50, WRITE | NEXT, 0)],
    );
    vec![
        ("single", chains(2, VERSION_1, 0, &[(0, 200, WRITE, 0), (0x400, 100, WRITE, 0)], &[0, 1, 0, 1])),
        ("chained", chains(4, 0, 2, &chained, &[0, 0, 1])),
        ("merged", chains(3, MRG_RXBUF | EVENT_IDX, 0, &[(0, 20, WRITE, 0); 8], &[0, 1, 2, 3, 4, 5, 6, 7])),
        ("indirect", chains(4, INDIRECT_DESC, 0, &indirect, &[0, 1, 0])),
        ("indirect-read", chains(4, INDIRECT_DESC | MRG_RXBUF, 2, &indirect, &[0, 1, 0])),
        ("indirect-nested", chains(4, INDIRECT_DESC, 0, &nested, &[0, 1])),
        ("indirect-circle", chains(4, INDIRECT_DESC, 0, &circle, &[0, 1])),
        ("circle", chains(1, 0, 0, &[(0, 50, WRITE | NEXT, 1), (0, 50, WRITE | NEXT, 0)], &[0, 1])),
        ("read-only", chains(1, 0, 0, &[(0, 100, 0, 0), (0, 100, WRITE, 0)], &[0, 1])),
        (
            "outside",
            chains(2, 0, 0, &[(0xe000, 100, WRITE, 0), (0xf000, 0xe000, WRITE, 0)], &[0, 1, 255, 40]),
        ),
        ("over-an-end", chains(2, 0, 0, &[(0xb020, 33, WRITE, 0), (0xc020, 32, WRITE, 0)], &[0, 1])),
        ("into-the-ring", chains(2, 0, 0, &[(0xd400, 200, WRITE, 0), (0xd500, 200, WRITE, 0)], &[0, 1, 0])),
        ("duplicate", chains(2, MRG_RXBUF, 0, &[(0, 20, WRITE, 0); 4], &[0, 0, 1, 0])),
        ("batches", chains(4, VERSION_1, 3, &[(0, 100, WRITE, 0); 16], &[0, 1, 2, 3, 4, 5, 6, 7])),
    ]
}

fn header(features: u64, checksum: (u8, u16, u16), cut: (u8, u16, u16), len: u16, how: u8) -> Vec<u8> {
    let mut input = features.to_le_bytes().to_vec();
    for (kind, first, second) in [checksum, cut] {
        input.push(kind);
        input.extend_from_slice(&first.to_le_bytes());
        input.extend_from_slice(&second.to_le_bytes());
    }
    input.extend_from_slice(&len.to_le_bytes());
    input.push(how);
    input
}

fn net_hdr() -> Vec<Named> {
    const NONE: (u8, u16, u16) = (7, 0, 0);
    let all = u64::MAX;
    vec![
        ("plain-legacy", header(0, (0, 0, 0), NONE, 60, 0)),
        ("plain-modern", header(1 << 32, (0, 0, 0), NONE, 60, 1)),
        ("valid", header(all, (1, 0, 0), NONE, 60, 0)),
        ("partial", header(all, (2, 34, 16), NONE, 800, 0)),
        ("partial-beyond", header(all, (2, 34, 16), NONE, 51, 0)),
        ("tcp4", header(all, (2, 34, 16), (0, 536, 54), 800, 0)),
        ("tcp6-ecn", header(all, (2, 54, 16), (0x81, 536, 74), 800, 1)),
        ("ufo", header(1 << 1 | 1 << 10, (2, 34, 6), (2, 536, 42), 800, 0)),
        ("uso4", header(1 << 1 | 1 << 54, (2, 34, 6), (3, 536, 42), 800, 0)),
        ("uso6-unacknowledged", header(1 << 1, (2, 54, 6), (4, 536, 62), 800, 0)),
    ]
}

/// A well-made ring of `size` single buffers at the front of memory: table, available ring, used ring, buffers.
fn memory(size: u16, len: u32) -> Vec<u8> {
    let mut bytes = vec![0; 0x400];
    for index in 0..size {
        let at = 0x4000_0400_u64 + u64::from(index) * u64::from(len);
        let descriptor = [at, u64::from(len) | u64::from(WRITE) << 32].map(u64::to_le_bytes).concat();
        bytes[16 * usize::from(index)..][..16].copy_from_slice(&descriptor);
        bytes[0x204 + 2 * usize::from(index)..][..2].copy_from_slice(&index.to_le_bytes());
    }
    bytes
}

/// Areas at 0, 0x200 and 0x300, then the memory, then what happens.
fn raw(log: u8, features: u8, how: u8, memory: &[u8], steps: &[u8]) -> Vec<u8> {
    let mut input = vec![log, features, how, 0, 0x40, 0x60, 0, 0];
    input.extend_from_slice(&(memory.len() as u16).to_le_bytes());
    input.extend_from_slice(memory);
    input.extend_from_slice(steps);
    input
}

fn ring_bytes() -> Vec<Named> {
    const FRAME: [u8; 3] = [4, 60, 0];
    let two = [&[2, 2][..], &FRAME, &FRAME, &[6]].concat();
    let jump = [&FRAME[..], &[2, 200, 6, 2, 56, 6]].concat();
    let again = [&two[..], &[3, 0, 3, 1], &FRAME, &[6, 7], &FRAME, &[6]].concat();
    let overwritten =
        [&two[..], &[0, 0, 0, 16], &[0xff; 16], &[3, 0], &FRAME, &[6, 3, 1], &FRAME, &[6]].concat();
    let memory = memory(8, 100);
    vec![
        ("two-frames", raw(3, VERSION_1, 0, &memory, &two)),
        ("index-jump", raw(3, EVENT_IDX, 0, &memory, &jump)),
        ("restart", raw(3, EVENT_IDX | MRG_RXBUF, 2, &memory, &again)),
        ("overwritten-descriptor", raw(3, 0, 0, &memory, &overwritten)),
        ("drops", raw(3, MRG_RXBUF, 4, &memory, &[&FRAME[..], &two[..], &FRAME, &[6]].concat())),
        ("bursts", raw(3, VERSION_1, 1, &memory, &again)),
        ("batches", raw(3, VERSION_1, 3, &memory, &again)),
        ("all-in-one-place", [&[2, 8, 0, 0, 0, 0, 0, 0, 0, 1][..], &[7; 256], &two].concat()),
    ]
}

/// A queue of `1 << log`, chains of these shapes, and what happens.
fn ops(log: u8, features: u8, how: u8, start: u16, shapes: &[(bool, &[u16])], steps: &[u8]) -> Vec<u8> {
    let mut input = vec![log, features, how];
    input.extend_from_slice(&start.to_le_bytes());
    input.push(shapes.len() as u8 - 1);
    for (indirect, lens) in shapes {
        input.push((lens.len() as u8 - 1) | u8::from(*indirect) << 7);
        lens.iter().for_each(|len| input.extend_from_slice(&len.to_le_bytes()));
    }
    input.extend_from_slice(steps);
    input
}

/// A driver that keeps the rules, one that writes registers by itself, one that sends, and one that scribbles.
fn mmio_ops() -> Vec<Named> {
    const UP: u8 = 3;
    const UP_TO_SEND: u8 = 4;
    const TRAFFIC: [u8; 11] = [5, 8, 6, 0, 6, 255, 6, 40, 7, 8, 7];
    const RESET: u8 = 10;
    let honest =
        [&[EVENT_IDX, UP][..], &TRAFFIC, &TRAFFIC, &[RESET, UP], &TRAFFIC, &[11, 1, 11, 0, 7]].concat();
    let by_hand = [&[0, 0, 25, 0, 1, 0, 25, 0, 3, 0, 25, 0, 11, 2, 0x70, 0, 4][..], &TRAFFIC].concat();
    let descriptor = [9, 0, 0x40, 16, 0x50, 0x40, 0, 0x40, 0, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0];
    let available = [9, 0, 0x41, 6, 0, 0, 1, 0, 0, 0];
    let sending = [&[MRG_RXBUF, UP_TO_SEND][..], &TRAFFIC, &descriptor, &available, &[0, 12, 0, 1]].concat();
    let scribbling =
        [&[INDIRECT_DESC, UP, 5, 8, 9, 0, 1, 32][..], &[0xff; 32], &TRAFFIC, &[1, 0x44, 0, 2, 7]].concat();
    vec![("honest", honest), ("by-hand", by_hand), ("sending", sending), ("scribbling", scribbling)]
}

fn ring_ops() -> Vec<Named> {
    const SEND: [u8; 3] = [2, 60, 0];
    let burst = SEND.repeat(6);
    let round = [&[0, 4, 7][..], &burst, &[11, 6, 0, 8, 7, 11, 6]].concat();
    let mixed = [&round[..], &[9, 3, 5, 200, 1, 33, 10], &round, &[8], &round].concat();
    vec![
        ("single", ops(2, VERSION_1, 0, 0, &[(false, &[200])], &round)),
        ("wrap", ops(1, EVENT_IDX, 0, 65534, &[(false, &[100])], &mixed)),
        (
            "tiny-first",
            ops(3, MRG_RXBUF | EVENT_IDX, 1, 65530, &[(false, &[1, 11, 60]), (false, &[7, 5])], &mixed),
        ),
        ("indirect", ops(4, INDIRECT_DESC | EVENT_IDX, 0, 0, &[(true, &[12, 300]), (false, &[90])], &mixed)),
        ("merged", ops(4, MRG_RXBUF, 0, 7, &[(false, &[30])], &mixed)),
        ("bursts", ops(4, EVENT_IDX, 0xa0, 65530, &[(false, &[120])], &mixed)),
        ("drops", ops(1, MRG_RXBUF | EVENT_IDX, 2, 7, &[(false, &[30])], &mixed)),
        ("small-budget", ops(3, EVENT_IDX, 0x14, 7, &[(false, &[80])], &mixed)),
    ]
}

/// A connection that begins at `next`, with a window, a scale and an MSS, and what happens.
fn tcp(next: u32, window: u16, scale: u8, mss: u16, steps: &[u8]) -> Vec<u8> {
    let mut input = u64::from(next).to_le_bytes().to_vec();
    input.extend_from_slice(&window.to_le_bytes());
    input.push(scale);
    input.extend_from_slice(&mss.to_le_bytes());
    input.extend_from_slice(steps);
    input
}

fn tcp_ctl() -> Vec<Named> {
    // 1000 bytes, or as many as there may be; all acknowledged, with a window of 4096; the same, shut.
    const SEND: [u8; 3] = [4, 0xe8, 3];
    const ACK: [u8; 5] = [0, 0xff, 0xff, 0, 16];
    const SHUT: [u8; 5] = [0, 0xff, 0xff, 0, 0];
    let duplicates =
        [&SEND[..], &SEND, &SEND, &[2, 3], &SEND, &[2, 3], &SEND, &[0, 0xe8, 3, 0, 16], &SEND, &ACK];
    let timeouts = [&SEND[..], &SEND, &[7], &SEND, &[7], &SEND, &[7, 6, 200], &SEND, &ACK, &SEND];
    let probes = [&SEND[..], &SHUT, &[7], &SEND, &SHUT, &[7], &SEND, &SHUT, &[6, 255], &ACK, &SEND, &ACK];
    let half = [&SEND[..], &[10], &SEND, &ACK, &[8, 5, 0, 1], &SEND, &[2, 2]];
    let shrinks = [&SEND[..], &[0, 100, 0, 50, 0, 7], &SEND, &[1, 0, 0, 0, 0, 7], &SEND, &ACK];
    let silent = SEND.into_iter().chain([7, 4, 1, 0].repeat(11)).collect::<Vec<u8>>();
    let beyond = [&SEND[..], &[3, 77, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f, 1, 1, 9, 0, 1, 11], &SEND];
    // Just before the guest's window, just behind it, far away; with the window shut as well.
    const BEFORE: [u8; 5] = [12, 3, 0, 0xff, 0xff];
    const BEHIND: [u8; 5] = [12, 3, 1, 1, 0];
    const FAR: [u8; 5] = [12, 3, 0, 0, 0x80];
    let strays = [&SEND[..], &BEFORE, &BEHIND, &FAR, &[11, 8, 50, 0, 0], &BEFORE, &BEHIND, &SEND, &ACK];
    let ends = [&SEND[..], &[12, 4, 1, 1, 0, 0, 12, 4, 0, 0xfe, 0xff, 0, 12, 4, 1, 0, 0, 0, 11], &SEND, &ACK];
    vec![
        ("acknowledged", tcp(u32::MAX - 1500, 4096, 0, 1460, &[&SEND[..], &ACK].concat().repeat(4))),
        ("duplicates", tcp(0, 60_000, 0, 1460, &duplicates.concat())),
        ("timeouts", tcp(7, 60_000, 2, 1460, &timeouts.concat())),
        ("probes", tcp(7, 1000, 0, 1460, &probes.concat())),
        ("half-closed", tcp(7, 4096, 0, 1460, &half.concat())),
        ("shrinks", tcp(1 << 31, 4096, 0, 536, &shrinks.concat())),
        ("silent", tcp(0, 4096, 14, 1460, &silent)),
        ("beyond", tcp(0, 4096, 0, 1460, &beyond.concat())),
        ("one-flight", tcp(0, 4096, 0, 1463, &[&SEND[..], &SEND, &ACK, &SEND, &[7], &SEND, &ACK].concat())),
        ("reset", tcp(0, 4096, 0, 1460, &[&SEND[..], &[12, 2, 11], &SEND].concat())),
        ("stray-resets", tcp(7, 4096, 0, 1460, &strays.concat())),
        ("stray-ends", tcp(7, 4096, 0, 1460, &ends.concat())),
        ("dropped", tcp(0, 4096, 0, 1460, &[&SEND[..], &[12, 1, 11], &SEND].concat())),
    ]
}
