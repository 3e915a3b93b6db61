//! Accesses that make no sense, before the device is live and after: they read as 0 and change nothing.

use netrx::Features;
use netrx::spec::mmio::{CONFIG, Register};

use super::Tested;
use super::rig::{MAC, RECEIVE, Rig};
use netrx_mock::registers::LIVE;

/// What a guest can see of the device, whose features it selected before.
fn seen(rig: &Rig) -> Vec<u32> {
    Register::ALL.iter().map(|register| rig.read(*register)).collect()
}

/// Every width up to 16 at every place of the first 0x400 bytes, but for whole registers and fields.
fn senseless(mut access: impl FnMut(u64, usize)) {
    for offset in (0..0x400).chain([u64::MAX, u64::MAX - 3, 1 << 32]) {
        for width in 0..=16 {
            let register = width == 4 && Register::at(offset).is_some();
            let field = (CONFIG..CONFIG + 12).contains(&offset) && matches!(width, 1 | 2 | 4);
            if !(register || field && offset.is_multiple_of(width as u64)) {
                access(offset, width);
            }
        }
    }
}

fn senseless_accesses_are_harmless(rig: &Rig) {
    let before = seen(rig);
    senseless(|offset, width| {
        let mut data = vec![0xaa; width];
        rig.device.read(offset, &mut data);
        assert!(data.iter().all(|byte| *byte == 0), "{width} bytes at {offset:#x}: {data:?}");
        let written = rig.device.write(offset, &vec![0; width]);
        let again = rig.device.write(offset, &vec![0xff; width]);
        assert!(written.is_ok() && again.is_ok(), "{width} bytes at {offset:#x}");
    });
    assert_eq!(seen(rig), before);
}

#[test]
fn at_power_on() -> Tested {
    senseless_accesses_are_harmless(&Rig::new(Features::VERSION_1)?);
    Ok(())
}

#[test]
fn while_it_is_live() -> Tested {
    let mut rig = Rig::new(Features::VERSION_1)?;
    rig.start()?;
    senseless_accesses_are_harmless(&rig);
    assert_eq!(rig.read(Register::Status), LIVE);
    rig.post()?;
    rig.script.frame(*b"it works all the same");
    assert_eq!(rig.frames(1)?, [b"it works all the same"]);
    Ok(())
}

/// Registers that are only read keep what they say, and the configuration space cannot be written.
#[test]
fn what_is_read_only_stays() -> Tested {
    let rig = Rig::new(Features::VERSION_1)?;
    let before = seen(&rig);
    let read_only = [
        Register::MagicValue,
        Register::Version,
        Register::DeviceId,
        Register::VendorId,
        Register::DeviceFeatures,
        Register::QueueNumMax,
        Register::InterruptStatus,
        Register::ShmLenLow,
        Register::ShmBaseHigh,
        Register::QueueReset,
        Register::ConfigGeneration,
    ];
    for register in read_only {
        rig.write(register, u32::MAX)?;
    }
    for (offset, len) in [(0, 1), (0, 4), (6, 2), (10, 2)] {
        rig.device.write(CONFIG + offset, &vec![0xff; len])?;
    }
    let mut mac = [0; 4];
    rig.device.read(CONFIG, &mut mac);
    assert_eq!((seen(&rig), mac.as_slice()), (before, &MAC[..4]));
    Ok(())
}

/// A kick before the device is live, or for a queue that it does not have.
#[test]
fn kicks_for_nothing() -> Tested {
    let rig = Rig::new(Features::VERSION_1)?;
    let all = [RECEIVE, 1, 2, 31, 32, 33, 0x1_0000, u32::MAX];
    for queue in all {
        rig.write(Register::QueueNotify, queue)?;
    }
    rig.start()?;
    for queue in all {
        rig.write(Register::QueueNotify, queue)?;
    }
    assert_eq!(rig.forward.calls(), [0; 3], "the transmit queue was never ready");
    Ok(())
}
