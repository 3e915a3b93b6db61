//! What a driver writes to virtio-mmio's registers to bring a card up (virtio 1.2, sections 3.1.1 and 4.2.3).

use netrx::Features;
use netrx::ring::RingConfig;
use netrx::spec::mmio::{Register, status};

/// The driver knows the device, and both have agreed on the features.
pub const AGREED: u32 = status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK;
/// The driver is ready as well.
pub const LIVE: u32 = AGREED | status::DRIVER_OK;

/// All of it, in order: negotiation, the queues by their indices, `DRIVER_OK`.
#[must_use]
pub fn bring_up(features: Features, queues: &[(u32, RingConfig)]) -> Vec<(Register, u32)> {
    let queues = queues.iter().flat_map(|(index, ring)| set_queue(*index, ring));
    agree(features).into_iter().chain(queues).chain([(Register::Status, LIVE)]).collect()
}

/// Negotiation alone, up to `FEATURES_OK`: whether that stays set is the device's answer.
#[must_use]
pub fn agree(features: Features) -> [(Register, u32); 7] {
    [
        (Register::Status, status::ACKNOWLEDGE),
        (Register::Status, status::ACKNOWLEDGE | status::DRIVER),
        (Register::DriverFeaturesSel, 0),
        (Register::DriverFeatures, features.0 as u32),
        (Register::DriverFeaturesSel, 1),
        (Register::DriverFeatures, (features.0 >> 32) as u32),
        (Register::Status, AGREED),
    ]
}

/// One queue, to where it is ready.
#[must_use]
pub fn set_queue(index: u32, ring: &RingConfig) -> [(Register, u32); 9] {
    let (desc, avail, used) = (ring.desc.0, ring.avail.0, ring.used.0);
    [
        (Register::QueueSel, index),
        (Register::QueueNum, u32::from(ring.size)),
        (Register::QueueDescLow, desc as u32),
        (Register::QueueDescHigh, (desc >> 32) as u32),
        (Register::QueueDriverLow, avail as u32),
        (Register::QueueDriverHigh, (avail >> 32) as u32),
        (Register::QueueDeviceLow, used as u32),
        (Register::QueueDeviceHigh, (used >> 32) as u32),
        (Register::QueueReady, 1),
    ]
}
