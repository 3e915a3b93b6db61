//! What the consumer decides about a network card, and what its driver reads of that (section 5.1.4).

use crate::engine::EngineConfig;
use crate::spec::Features;
use crate::spec::ring::MAX_SIZE;

/// What the consumer decides about a network card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetConfig {
    /// The card's address, which is a single card's.
    pub mac: [u8; 6],
    /// The link's largest packet in bytes, from 68 (section 5.1.4.1), if the driver is to be told.
    pub mtu: Option<u16>,
    /// What is offered beside `VERSION_1`, `MAC`, `STATUS` and `MTU`: offloads of the receive direction, `MRG_RXBUF`,
    /// `INDIRECT_DESC` and `EVENT_IDX`.
    pub features: Features,
    /// The largest size of either queue: a power of two, at most 32768.
    pub queue_max: u16,
    /// `VendorID`.
    pub vendor: u32,
    /// How the receive engine works.
    pub engine: EngineConfig,
}

impl NetConfig {
    /// A card that offers all that a plain source can use, with queues of at most 256.
    #[must_use]
    pub fn new(mac: [u8; 6]) -> Self {
        let features = Features::MRG_RXBUF | Features::INDIRECT_DESC | Features::EVENT_IDX;
        Self { mac, mtu: None, features, queue_max: 256, vendor: 0, engine: EngineConfig::default() }
    }
}

/// Why a card cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetConfigError {
    /// Features that the device cannot keep up, or without those that they need.
    #[error(
        "{0:?} cannot be offered: the device does not have all of it, or a feature lacks the one it needs"
    )]
    Features(Features),
    /// The largest queue size is none.
    #[error("queues of at most {0} descriptors: the size must be a power of two from 1 to 32768")]
    QueueMax(u16),
    /// The address is one of a group, or none: drivers make up another one then.
    #[error("{0:02x?} is the address of no card: it must be unicast, and not all zeros")]
    Mac([u8; 6]),
    /// The MTU is below what IPv4 demands.
    #[error("an MTU of {0} bytes: it must be at least 68")]
    Mtu(u16),
}

/// What a consumer may add to what is always offered.
const ALLOWED: [Features; 10] = [
    Features::GUEST_CSUM,
    Features::GUEST_TSO4,
    Features::GUEST_TSO6,
    Features::GUEST_ECN,
    Features::GUEST_UFO,
    Features::GUEST_USO4,
    Features::GUEST_USO6,
    Features::MRG_RXBUF,
    Features::INDIRECT_DESC,
    Features::EVENT_IDX,
];

/// What the driver reads of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    mac: [u8; 6],
    link_up: bool,
    mtu: u16,
    /// `ConfigGeneration`.
    pub(super) generation: u32,
}

/// `VIRTIO_NET_S_LINK_UP`.
const LINK_UP: u16 = 1;
/// One pair: more need a control queue.
const PAIRS: u16 = 1;

impl NetConfig {
    /// What is offered, if all of it is allowed.
    pub(super) fn offer(&self) -> Result<Features, NetConfigError> {
        const MIN_MTU: u16 = 68;
        let allowed = ALLOWED.into_iter().fold(Features::NONE, |set, feature| set | feature);
        if self.features.without(allowed) != Features::NONE || !self.features.is_closed() {
            return Err(NetConfigError::Features(self.features));
        }
        if !self.queue_max.is_power_of_two() || self.queue_max > MAX_SIZE {
            return Err(NetConfigError::QueueMax(self.queue_max));
        }
        if self.mac[0] & 1 != 0 || self.mac == [0; 6] {
            return Err(NetConfigError::Mac(self.mac));
        }
        if let Some(mtu) = self.mtu.filter(|mtu| *mtu < MIN_MTU) {
            return Err(NetConfigError::Mtu(mtu));
        }
        let mtu = if self.mtu.is_some() { Features::MTU } else { Features::NONE };
        Ok(self.features | Features::VERSION_1 | Features::MAC | Features::STATUS | mtu)
    }

    pub(super) fn space(&self) -> Space {
        Space { mac: self.mac, link_up: true, mtu: self.mtu.unwrap_or(0), generation: 0 }
    }
}

impl Space {
    /// Takes the link up or down; whether that is a change.
    pub(super) fn set_link(&mut self, up: bool) -> bool {
        let changed = self.link_up != up;
        self.link_up = up;
        self.generation = self.generation.wrapping_add(u32::from(changed));
        changed
    }

    /// Reads what lies at `offset`, in one, two or four bytes at their natural alignment; behind the last field there are
    /// only zeros.
    pub(super) fn read(&self, offset: u64, data: &mut [u8]) {
        let bytes = self.bytes();
        let (width, at) = (data.len(), usize::try_from(offset).unwrap_or(usize::MAX));
        if matches!(width, 1 | 2 | 4) && at.is_multiple_of(width) {
            let found = bytes.get(at.min(bytes.len())..).unwrap_or_default();
            data.iter_mut().zip(found).for_each(|(to, from)| *to = *from);
        }
    }

    /// `struct virtio_net_config`, up to the MTU.
    fn bytes(&self) -> [u8; 12] {
        let status = if self.link_up { LINK_UP } else { 0 };
        let mut bytes = [0; 12];
        let (mac, words) = bytes.split_at_mut(self.mac.len());
        mac.copy_from_slice(&self.mac);
        for (to, word) in words.chunks_exact_mut(2).zip([status, PAIRS, self.mtu]) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}
