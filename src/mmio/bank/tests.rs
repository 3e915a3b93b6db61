//! Each register and each rule, without a device behind them.

use super::*;
use crate::mem::Gpa;
use crate::spec::mmio::Register as R;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];
const KNOWN: u32 = status::ACKNOWLEDGE | status::DRIVER;
const AGREED: u32 = KNOWN | status::FEATURES_OK;
const LIVE: u32 = AGREED | status::DRIVER_OK;

fn config() -> NetConfig {
    let offloads = Features::GUEST_CSUM | Features::GUEST_TSO4;
    let plain = NetConfig::new(MAC);
    NetConfig { features: plain.features | offloads, mtu: Some(1500), vendor: 0x7478_6e72, ..plain }
}

fn bank() -> Bank {
    Bank::new(&config()).unwrap_or_else(|error| unreachable!("it makes sense: {error}"))
}

/// A driver that acknowledged these features and set the status step by step.
fn driven(features: Features, status: u32) -> Bank {
    let mut bank = bank();
    for (select, word) in [(0, features.0 as u32), (1, (features.0 >> 32) as u32)] {
        bank.write(R::DriverFeaturesSel, select);
        bank.write(R::DriverFeatures, word);
    }
    for bit in [status::ACKNOWLEDGE, status::DRIVER, status::FEATURES_OK, status::DRIVER_OK] {
        let before = bank.read(R::Status);
        if status & bit != 0 {
            bank.write(R::Status, before | bit);
        }
    }
    bank
}

#[test]
fn what_can_be_read_at_power_on() {
    let bank = bank();
    let expected = [
        (R::MagicValue, 0x7472_6976),
        (R::Version, 2),
        (R::DeviceId, 1),
        (R::VendorId, 0x7478_6e72),
        (R::DeviceFeatures, 1 << 1 | 1 << 3 | 1 << 5 | 1 << 7 | 1 << 15 | 1 << 16 | 1 << 28 | 1 << 29),
        (R::QueueNumMax, 256),
        (R::ShmLenLow, u32::MAX),
        (R::ShmLenHigh, u32::MAX),
        (R::ShmBaseLow, u32::MAX),
        (R::ShmBaseHigh, u32::MAX),
    ];
    for &register in Register::ALL {
        let expected = expected.iter().find(|(named, _)| *named == register).map_or(0, |(_, value)| *value);
        assert_eq!(bank.read(register), expected, "{register:?}");
    }
}

#[test]
fn every_register_is_at_its_place() {
    for &register in Register::ALL {
        assert_eq!(Register::at(register as u64), Some(register));
    }
    let known = (0..0x400).filter(|offset| Register::at(*offset).is_some()).count();
    assert_eq!(known, Register::ALL.len());
    assert_eq!((R::QueueReset as u64, R::ConfigGeneration as u64, R::Status as u64), (0xc0, 0xfc, 0x70));
}

#[test]
fn features_come_in_halves() {
    let mut bank = bank();
    for (select, expected) in [(1, 1), (2, 0), (u32::MAX, 0)] {
        bank.write(R::DeviceFeaturesSel, select);
        assert_eq!(bank.read(R::DeviceFeatures), expected, "half {select}");
    }
    for (select, word) in [(1, 7), (0, 9), (2, 11), (1, 1)] {
        bank.write(R::DriverFeaturesSel, select);
        bank.write(R::DriverFeatures, word);
    }
    assert_eq!(bank.features(), Features(1 << 32 | 9), "the last word of each half, and nothing beyond");
}

/// Which sets of features the device accepts, and that it says so by the bit.
#[test]
fn features_are_refused_or_frozen() {
    let modern = Features::VERSION_1;
    let rows = [
        (modern, true),
        (modern | Features::MRG_RXBUF | Features::EVENT_IDX, true),
        (modern | Features::GUEST_CSUM | Features::GUEST_TSO4, true),
        (Features::NONE, false),
        (Features::MRG_RXBUF, false),
        (modern | Features::GUEST_TSO4, false),
        (modern | Features::GUEST_TSO6 | Features::GUEST_CSUM, false),
        (modern | Features(1 << 40), false),
        (modern | Features(1 << 34), false),
    ];
    for (features, accepted) in rows {
        let bank = driven(features, LIVE);
        let expected = if accepted { LIVE } else { KNOWN };
        assert_eq!(bank.read(R::Status), expected, "{features:?}");
    }
    let mut bank = driven(modern, AGREED);
    bank.write(R::DriverFeatures, u32::MAX);
    assert_eq!(bank.features(), modern, "agreed is agreed");
}

/// A refused driver may try again with fewer.
#[test]
fn a_refusal_is_not_the_end() {
    let mut bank = driven(Features::VERSION_1 | Features(1 << 40), AGREED);
    assert_eq!(bank.read(R::Status), KNOWN);
    bank.write(R::DriverFeatures, 1);
    bank.write(R::Status, AGREED);
    assert_eq!(bank.read(R::Status), AGREED);
}

#[test]
fn the_status_goes_one_way() {
    let modern = Features::VERSION_1;
    let rows = [
        // From, written, found.
        (0, status::DRIVER_OK, 0),
        (0, status::FEATURES_OK, 0),
        (status::ACKNOWLEDGE, AGREED & !status::DRIVER, status::ACKNOWLEDGE),
        (KNOWN, KNOWN | status::DRIVER_OK, KNOWN),
        (KNOWN, LIVE, LIVE),
        (AGREED, status::ACKNOWLEDGE, AGREED),
        (AGREED, AGREED | status::NEEDS_RESET | 0xff00, AGREED),
        (AGREED, status::FAILED, AGREED | status::FAILED),
        (AGREED, LIVE | status::FAILED, AGREED | status::FAILED),
        (LIVE, status::FAILED, LIVE | status::FAILED),
        (LIVE, 0x100, LIVE),
    ];
    for (from, written, found) in rows {
        let mut bank = driven(modern, from);
        let effect = bank.write(R::Status, written);
        assert_eq!(bank.read(R::Status), found, "{from:#x} <- {written:#x}");
        let starts = found & !from & status::DRIVER_OK != 0;
        assert_eq!(effect, if starts { Effect::Start } else { Effect::None }, "{from:#x} <- {written:#x}");
    }
}

/// Writes each register of the selected queue.
fn set_queue(bank: &mut Bank, base: u32) {
    let words = [
        (R::QueueNum, 64),
        (R::QueueDescLow, base),
        (R::QueueDescHigh, 1),
        (R::QueueDriverLow, base + 0x1000),
        (R::QueueDriverHigh, 2),
        (R::QueueDeviceLow, base + 0x2000),
        (R::QueueDeviceHigh, 3),
    ];
    for (register, word) in words {
        assert_eq!(bank.write(register, word), Effect::None);
    }
}

/// The ring that [`set_queue`] describes.
fn ring(base: u64) -> RingConfig {
    let at = |high: u64, low: u64| Gpa(high << 32 | low);
    let (desc, avail, used) = (at(1, base), at(2, base + 0x1000), at(3, base + 0x2000));
    RingConfig { size: 64, desc, avail, used, start: Default::default() }
}

#[test]
fn a_ready_queue_is_frozen() {
    let mut bank = driven(Features::VERSION_1, AGREED);
    for (queue, base) in [(RECEIVE, 0x1_0000), (TRANSMIT, 0x2_0000)] {
        bank.write(R::QueueSel, queue as u32);
        set_queue(&mut bank, base);
        assert_eq!(bank.ring(queue), Ok(None), "not ready yet");
        bank.write(R::QueueReady, 2);
        assert_eq!(bank.read(R::QueueReady), 0, "2 is neither");
        bank.write(R::QueueReady, 1);
        set_queue(&mut bank, 0x77_0000);
        assert_eq!((bank.read(R::QueueReady), bank.ring(queue)), (1, Ok(Some(ring(u64::from(base))))));
    }
    bank.write(R::QueueReady, 0);
    set_queue(&mut bank, 0x3_0000);
    bank.write(R::QueueReady, 1);
    assert_eq!(bank.ring(TRANSMIT), Ok(Some(ring(0x3_0000))), "changed before the device is live");
    assert_eq!(bank.ring(RECEIVE), Ok(Some(ring(0x1_0000))), "the other queue is as it was");
}

/// Known failure 32: once the device is live, no register of a queue has an effect but the one that stops it.
#[test]
fn a_live_queue_can_only_be_stopped() {
    let mut bank = driven(Features::VERSION_1, AGREED);
    set_queue(&mut bank, 0x1_0000);
    bank.write(R::QueueReady, 1);
    assert_eq!(bank.write(R::Status, LIVE), Effect::Start);
    set_queue(&mut bank, 0x5_0000);
    assert_eq!((bank.write(R::QueueReady, 1), bank.ring(RECEIVE)), (Effect::None, Ok(Some(ring(0x1_0000)))));
    bank.write(R::QueueSel, 1);
    set_queue(&mut bank, 0x6_0000);
    assert_eq!((bank.write(R::QueueReady, 1), bank.ring(TRANSMIT)), (Effect::None, Ok(None)), "too late");
    bank.write(R::QueueSel, 0);
    assert_eq!(bank.write(R::QueueReady, 0), Effect::Stop(RECEIVE));
    assert_eq!(bank.read(R::QueueReady), 1, "until it has stopped");
    bank.unready(RECEIVE);
    set_queue(&mut bank, 0x7_0000);
    assert_eq!((bank.write(R::QueueReady, 1), bank.read(R::QueueReady)), (Effect::None, 0), "for good");
}

#[test]
fn queues_that_are_not_there_read_as_zero() {
    let mut bank = driven(Features::VERSION_1, AGREED);
    for select in [2, 3, 0x1_0000, u32::MAX] {
        bank.write(R::QueueSel, select);
        set_queue(&mut bank, 0x1_0000);
        assert_eq!(bank.write(R::QueueReady, 1), Effect::None);
        assert_eq!((bank.read(R::QueueNumMax), bank.read(R::QueueReady)), (0, 0));
    }
    assert_eq!((bank.ring(RECEIVE), bank.ring(TRANSMIT), bank.ring(2)), (Ok(None), Ok(None), Ok(None)));
}

#[test]
fn a_size_above_the_maximum_is_refused_as_it_was_written() {
    let ready = |num| {
        let mut bank = bank();
        bank.write(R::QueueNum, num);
        bank.write(R::QueueReady, 1);
        bank.ring(RECEIVE)
    };
    for size in [0, 3, 256] {
        assert!(matches!(ready(size.into()), Ok(Some(ring)) if ring.size == size), "{size}");
    }
    for size in [257, 512, 65536, 65537, u32::MAX] {
        assert_eq!(ready(size), Err(ConfigError::AboveMax { size, max: 256 }));
    }
}

#[test]
fn a_reset_forgets_all_but_the_configuration() {
    let mut bank = driven(Features::VERSION_1, LIVE);
    bank.space.set_link(false);
    assert_eq!(bank.write(R::Status, 0), Effect::Reset);
    assert_eq!(bank.read(R::Status), LIVE, "until it has stopped");
    bank.reset();
    assert_eq!((bank.read(R::Status), bank.features()), (0, Features::NONE));
    assert_eq!(bank.read(R::ConfigGeneration), 1);
}

#[test]
fn the_configuration_space() {
    let mut bank = bank();
    let read = |bank: &Bank, offset, len: usize| {
        let mut data = vec![0; len];
        bank.space.read(offset, &mut data);
        data
    };
    let mac: Vec<u8> = (0..6).flat_map(|offset| read(&bank, offset, 1)).collect();
    assert_eq!(mac, MAC);
    assert_eq!(read(&bank, 0, 4), MAC[..4]);
    assert_eq!(read(&bank, 6, 2), [1, 0], "the link is up");
    assert_eq!(read(&bank, 8, 2), [1, 0], "one pair");
    assert_eq!(read(&bank, 10, 2), 1500_u16.to_le_bytes());
    for (offset, len) in [(12, 4), (16, 1), (0xfc, 4), (u64::MAX, 1), (u64::MAX - 3, 4)] {
        assert_eq!(read(&bank, offset, len), vec![0; len], "nothing is at {offset}");
    }
    for (offset, len) in [(0, 0), (0, 3), (0, 8), (0, 16), (1, 2), (2, 4), (5, 2)] {
        assert_eq!(read(&bank, offset, len), vec![0; len], "{len} bytes at {offset}");
    }
    assert!(bank.space.set_link(false) && !bank.space.set_link(false));
    assert_eq!((read(&bank, 6, 2), bank.read(R::ConfigGeneration)), (vec![0, 0], 1));
}

#[test]
fn what_cannot_be_offered() {
    let plain = config();
    let with = |features| NetConfig { features, ..plain };
    for features in [Features(1 << 40), Features(1 << 34), Features(1 << 22), Features::GUEST_TSO4] {
        assert_eq!(Bank::new(&with(features)).err(), Some(NetConfigError::Features(features)));
    }
    for queue_max in [0, 3, 40000] {
        let config = NetConfig { queue_max, ..plain };
        assert_eq!(Bank::new(&config).err(), Some(NetConfigError::QueueMax(queue_max)));
    }
    assert_eq!(Bank::new(&NetConfig { mtu: Some(67), ..plain }).err(), Some(NetConfigError::Mtu(67)));
    for mac in [[0; 6], [0xff; 6], [1, 0, 0x5e, 0, 0, 1]] {
        assert_eq!(Bank::new(&NetConfig { mac, ..plain }).err(), Some(NetConfigError::Mac(mac)));
    }
    let silent = Bank::new(&NetConfig { mtu: None, ..plain });
    assert!(silent.is_ok_and(|bank| !bank.offered.has(Features::MTU)));
}
