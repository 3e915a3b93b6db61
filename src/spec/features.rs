//! Feature bits, as the driver acknowledged them.

use std::fmt;
use std::ops::{BitAnd, BitOr};

/// A set of feature bits (sections 5.1.3 and 6). The engine is given the ones the driver **acknowledged**, never the
/// ones that were offered.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Features(pub u64);

impl Features {
    /// No feature: a driver of the oldest kind.
    pub const NONE: Self = Self(0);
    /// `VIRTIO_NET_F_GUEST_CSUM`: the driver takes frames with partial checksums.
    pub const GUEST_CSUM: Self = Self(1 << 1);
    /// `VIRTIO_NET_F_MTU`: the configuration space has the link's MTU.
    pub const MTU: Self = Self(1 << 3);
    /// `VIRTIO_NET_F_MAC`: the configuration space has the card's address.
    pub const MAC: Self = Self(1 << 5);
    /// `VIRTIO_NET_F_GUEST_TSO4`: the driver takes TCP segments over IPv4 larger than a frame.
    pub const GUEST_TSO4: Self = Self(1 << 7);
    /// `VIRTIO_NET_F_GUEST_TSO6`: the same over IPv6.
    pub const GUEST_TSO6: Self = Self(1 << 8);
    /// `VIRTIO_NET_F_GUEST_ECN`: the driver takes large TCP segments with ECN.
    pub const GUEST_ECN: Self = Self(1 << 9);
    /// `VIRTIO_NET_F_GUEST_UFO`: the driver takes UDP datagrams to be fragmented.
    pub const GUEST_UFO: Self = Self(1 << 10);
    /// `VIRTIO_NET_F_MRG_RXBUF`: a frame may span several of the driver's buffers.
    pub const MRG_RXBUF: Self = Self(1 << 15);
    /// `VIRTIO_NET_F_STATUS`: the configuration space says whether the link is up.
    pub const STATUS: Self = Self(1 << 16);
    /// `VIRTIO_F_INDIRECT_DESC`: a chain may lie in a table of its own.
    pub const INDIRECT_DESC: Self = Self(1 << 28);
    /// `VIRTIO_F_EVENT_IDX`: both sides say by index when they want to be notified.
    pub const EVENT_IDX: Self = Self(1 << 29);
    /// `VIRTIO_F_VERSION_1`: a driver of virtio 1.0 or later.
    pub const VERSION_1: Self = Self(1 << 32);
    /// `VIRTIO_F_RING_PACKED`: the queues are packed rings.
    pub const RING_PACKED: Self = Self(1 << 34);
    /// `VIRTIO_F_IN_ORDER`: the device uses chains in the order in which they were made available.
    pub const IN_ORDER: Self = Self(1 << 35);
    /// `VIRTIO_NET_F_GUEST_USO4`: the driver takes UDP segments over IPv4 larger than a frame.
    pub const GUEST_USO4: Self = Self(1 << 54);
    /// `VIRTIO_NET_F_GUEST_USO6`: the same over IPv6.
    pub const GUEST_USO6: Self = Self(1 << 55);
    /// `VIRTIO_NET_F_HASH_REPORT`: headers have a hash of the frame, and are 20 bytes long.
    pub const HASH_REPORT: Self = Self(1 << 57);

    const NAMES: [(Self, &str); 17] = [
        (Self::GUEST_CSUM, "GUEST_CSUM"),
        (Self::MTU, "MTU"),
        (Self::MAC, "MAC"),
        (Self::GUEST_TSO4, "GUEST_TSO4"),
        (Self::GUEST_TSO6, "GUEST_TSO6"),
        (Self::GUEST_ECN, "GUEST_ECN"),
        (Self::GUEST_UFO, "GUEST_UFO"),
        (Self::MRG_RXBUF, "MRG_RXBUF"),
        (Self::STATUS, "STATUS"),
        (Self::INDIRECT_DESC, "INDIRECT_DESC"),
        (Self::EVENT_IDX, "EVENT_IDX"),
        (Self::VERSION_1, "VERSION_1"),
        (Self::RING_PACKED, "RING_PACKED"),
        (Self::IN_ORDER, "IN_ORDER"),
        (Self::GUEST_USO4, "GUEST_USO4"),
        (Self::GUEST_USO6, "GUEST_USO6"),
        (Self::HASH_REPORT, "HASH_REPORT"),
    ];

    /// What each feature of a network card needs beside it: one of the features on the right (section 5.1.3.1).
    const NEEDS: [(Self, Self); 6] = [
        (Self::GUEST_TSO4, Self::GUEST_CSUM),
        (Self::GUEST_TSO6, Self::GUEST_CSUM),
        (Self::GUEST_ECN, Self(Self::GUEST_TSO4.0 | Self::GUEST_TSO6.0)),
        (Self::GUEST_UFO, Self::GUEST_CSUM),
        (Self::GUEST_USO4, Self::GUEST_CSUM),
        (Self::GUEST_USO6, Self::GUEST_CSUM),
    ];

    /// Whether each feature of the set has those beside it that it needs (section 5.1.3.1).
    #[must_use]
    pub fn is_closed(self) -> bool {
        Self::NEEDS.iter().all(|(feature, needs)| !self.has(*feature) || (self & *needs) != Self::NONE)
    }

    /// Whether every bit of `wanted` is in the set.
    #[must_use]
    pub const fn has(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// The set without the bits of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Features {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Features {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::NAMES.iter().filter(|(feature, _)| self.has(*feature));
        let rest = Self::NAMES.iter().fold(*self, |rest, (feature, _)| rest.without(*feature));
        let mut set = f.debug_set();
        named.for_each(|(_, name)| _ = set.entry(&format_args!("{name}")));
        (0..64)
            .filter(|bit| rest.0 & (1 << bit) != 0)
            .for_each(|bit| _ = set.entry(&format_args!("bit {bit}")));
        set.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_name_and_what_has_none_its_bit() {
        let set = Features::MRG_RXBUF | Features::RING_PACKED | Features(1 | 1 << 63);
        assert_eq!(format!("{set:?}"), "{MRG_RXBUF, RING_PACKED, bit 0, bit 63}");
        assert_eq!(format!("{:?}", Features::NONE), "{}");
        let named = Features::NAMES.iter().fold(0, |bits, (feature, _)| bits + feature.0.count_ones());
        assert_eq!(named as usize, Features::NAMES.len(), "one bit each");
    }
}
