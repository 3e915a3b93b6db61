//! Causes that meet a guest on its way through an interrupt, in every interleaving of a few preemptions. Status and watcher's
//! loop are the real ones; KVM, its eventfds and the guest are a model. A guest that would sleep for ever, with a cause that
//! it was not told of, is a deadlock to loom.

use std::io;
use std::sync::{Arc, PoisonError};

use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::{Condvar, Mutex, MutexGuard};
use loom::thread::{self, JoinHandle};
use netrx::mmio::Discard;
use netrx::spec::mmio::Register;
use netrx::{IrqError, IrqLine, LevelLine, MmioDevice, NetConfig};
use netrx_mock::MockMemory;

use super::status::{Status, Wires};
use crate::KvmError;
use crate::watcher::run;

/// When KVM carries a raise out.
#[derive(Clone, Copy, PartialEq)]
enum Raises {
    AtOnce,
    /// By a thread of its own.
    Later,
}

/// The line in KVM, and the eventfds at its two ends.
struct Machine {
    raises: Raises,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// A raise that is not carried out yet.
    raised: bool,
    high: bool,
    resampled: bool,
    stopped: bool,
    /// How often it still refuses to be raised.
    refusals: u32,
    /// How often the guest was interrupted.
    interrupts: u32,
}

impl Machine {
    fn new(raises: Raises, refusals: u32) -> Arc<Self> {
        let state = State { refusals, ..State::default() };
        Arc::new(Self { raises, state: Mutex::new(state), changed: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn sleep(&self, until: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        while !until(&state) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    /// Carries raises out, until it is stopped and none is left.
    fn carry_out(&self) {
        loop {
            let mut state = self.sleep(|state| state.raised || state.stopped);
            if !state.raised {
                return;
            }
            (state.raised, state.high) = (false, true);
            drop(state);
            self.changed.notify_all();
        }
    }

    /// The guest is interrupted if the line is high, or sleeps until it is; then it handles that and ends it, by which the
    /// line falls.
    fn interrupt<T>(&self, handle: impl FnOnce() -> T) -> T {
        let mut state = self.sleep(|state| state.high);
        state.interrupts += 1;
        assert!(state.interrupts <= 5, "a storm");
        drop(state);
        let handled = handle();
        self.change(|state| (state.high, state.resampled) = (false, true));
        handled
    }
}

impl Wires for Arc<Machine> {
    fn raise(&self) -> Result<(), KvmError> {
        let mut state = self.lock();
        if state.refusals > 0 {
            state.refusals -= 1;
            return Err(KvmError::io("signal an interrupt")(io::ErrorKind::Other.into()));
        }
        match self.raises {
            Raises::AtOnce => state.high = true,
            Raises::Later => state.raised = true,
        }
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    fn take_resample(&self) -> Result<bool, KvmError> {
        Ok(std::mem::take(&mut self.lock().resampled))
    }
}

/// A line, and how often there was a cause for each of its two bits.
struct Scene {
    machine: Arc<Machine>,
    status: Status<Arc<Machine>>,
    causes: [AtomicU32; 2],
}

/// The threads of the machine.
struct Threads {
    watcher: JoinHandle<Result<(), KvmError>>,
    raises: Option<JoinHandle<()>>,
}

impl Scene {
    fn new(raises: Raises, refusals: u32) -> Arc<Self> {
        let machine = Machine::new(raises, refusals);
        let causes = [AtomicU32::new(0), AtomicU32::new(0)];
        Arc::new(Self { status: Status::new(Arc::clone(&machine)), machine, causes })
    }

    fn start(self: &Arc<Self>) -> Threads {
        let (scene, machine) = (Arc::clone(self), Arc::clone(&self.machine));
        let raises = (machine.raises == Raises::Later).then(|| thread::spawn(move || machine.carry_out()));
        let sleep = |machine: &Machine| machine.sleep(|state| state.resampled || state.stopped).stopped;
        let watcher = thread::spawn(move || {
            // It may be called at any time.
            scene.status.resample()?;
            run(|| Ok(sleep(&scene.machine)), || scene.status.resample().map(drop))
        });
        Threads { watcher, raises }
    }

    /// There are so many causes more for the bit, one after the other, each told until that succeeds.
    fn cause(self: &Arc<Self>, bit: usize, times: u32) -> JoinHandle<()> {
        let scene = Arc::clone(self);
        thread::spawn(move || {
            for _ in 0..times {
                scene.causes[bit].fetch_add(1, Ordering::Relaxed);
                while scene.status.set(1 << bit).is_err() {}
            }
        })
    }

    /// How many causes the guest finds.
    fn found(&self) -> [u32; 2] {
        [0, 1].map(|bit| self.causes[bit].load(Ordering::Relaxed))
    }

    /// Everybody has been heard: the guest is interrupted for nothing at most, and then the line stays low.
    fn settle(&self) {
        while self.machine.lock().high {
            assert_eq!(self.machine.interrupt(|| self.status.take()), 0, "nothing is left to be told");
            assert!(matches!(self.status.resample(), Ok(false)));
        }
        assert_eq!(self.status.get(), 0);
    }
}

impl Threads {
    fn stop(self, machine: &Machine) {
        machine.change(|state| state.stopped = true);
        assert!(self.watcher.join().is_ok_and(|served| served.is_ok()));
        assert!(self.raises.is_none_or(|raises| raises.join().is_ok()));
    }
}

/// Runs every interleaving of `model` that switches threads at most `preemptions` times against their will.
fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.check(model);
}

/// One bit, set twice, which the guest takes note of by `read`.
fn one_bit(preemptions: usize, raises: Raises, refusals: u32, read: fn(&Status<Arc<Machine>>) -> u32) {
    check(preemptions, move || {
        let scene = Scene::new(raises, refusals);
        let threads = scene.start();
        let device = scene.cause(0, 2);
        let mut found = 0;
        while found != 2 {
            let (bits, causes) = scene.machine.interrupt(|| (read(&scene.status), scene.found()[0]));
            if bits != 0 {
                found = causes;
            }
        }
        assert!(device.join().is_ok());
        // The second time may have been found by the interrupt of the first.
        if scene.status.get() != 0 {
            assert_eq!(scene.machine.interrupt(|| read(&scene.status)), 1);
        }
        threads.stop(&scene.machine);
        scene.settle();
    });
}

/// As virtio-mmio's driver does.
fn acknowledge(status: &Status<Arc<Machine>>) -> u32 {
    let bits = status.get();
    status.acknowledge(bits);
    bits
}

#[test]
fn a_bit_is_set_while_the_guest_takes_it() {
    one_bit(4, Raises::AtOnce, 0, Status::take);
}

#[test]
fn a_bit_is_set_while_the_guest_acknowledges_it() {
    one_bit(3, Raises::AtOnce, 0, acknowledge);
}

#[test]
fn a_raise_comes_late() {
    one_bit(2, Raises::Later, 0, Status::take);
}

#[test]
fn a_raise_is_refused() {
    one_bit(3, Raises::AtOnce, 1, Status::take);
}

/// Two bits, set by two threads. The guest acknowledges one of those that it reads, as it may by virtio-mmio's
/// `InterruptACK`: it is interrupted again for the other one.
#[test]
fn two_bits_are_acknowledged_one_by_one() {
    check(3, || {
        let scene = Scene::new(Raises::AtOnce, 0);
        let threads = scene.start();
        let devices = [scene.cause(0, 1), scene.cause(1, 1)];
        let mut heard = [0, 0];
        while heard != [1, 1] {
            scene.machine.interrupt(|| {
                let read = scene.status.get();
                if read != 0 {
                    let bit = read.trailing_zeros();
                    scene.status.acknowledge(1 << bit);
                    heard[bit as usize] = scene.found()[bit as usize];
                }
            });
        }
        assert!(devices.into_iter().all(|device| device.join().is_ok()));
        threads.stop(&scene.machine);
        scene.settle();
    });
}

/// The watcher is stopped after the guest's end of interrupt, during which a bit was set again: that is not missed.
#[test]
fn a_resample_meets_a_stop() {
    check(4, || {
        let scene = Scene::new(Raises::AtOnce, 0);
        let threads = scene.start();
        assert!(scene.status.set(1).is_ok());
        let again = || (scene.status.take(), scene.status.set(1).is_ok());
        assert_eq!(scene.machine.interrupt(again), (1, true));
        scene.machine.change(|state| state.stopped = true);
        assert_eq!(scene.machine.interrupt(|| scene.status.take()), 1);
        threads.stop(&scene.machine);
        scene.settle();
    });
}

/// A resample cannot be served while another bit is set: the next call makes up for that.
#[test]
fn a_resample_is_refused() {
    check(4, || {
        let scene = Scene::new(Raises::AtOnce, 0);
        assert!(scene.status.set(1).is_ok());
        let again = || (scene.status.take(), scene.status.set(1).is_ok());
        assert_eq!(scene.machine.interrupt(again), (1, true));
        scene.machine.change(|state| state.refusals = 1);
        let device = scene.cause(1, 1);
        assert!(scene.status.resample().is_err());
        assert!(scene.status.set(0).is_ok());
        let mut read = 0;
        while read != 3 {
            read |= scene.machine.interrupt(|| scene.status.take());
            assert!(scene.status.resample().is_ok());
        }
        assert!(device.join().is_ok());
        scene.settle();
    });
}

/// The line of a virtio-mmio card, which keeps the register itself and is acknowledged while it raises.
#[test]
fn a_card_follows_its_own_register() {
    check(3, || {
        let scene = Scene::new(Raises::AtOnce, 0);
        let threads = scene.start();
        let (config, memory) = (NetConfig::new([2, 0, 0, 0, 0, 1]), MockMemory::heap(&[4096]));
        let Ok(card) = MmioDevice::new("loom", &config, memory, Pin(Arc::clone(&scene)), Discard::default())
        else {
            unreachable!("its configuration makes sense")
        };
        let mut irq = card.irq();
        let device = thread::spawn({
            let scene = Arc::clone(&scene);
            move || {
                for _ in 0..2 {
                    scene.causes[0].fetch_add(1, Ordering::Relaxed);
                    assert!(irq.raise().is_ok());
                }
            }
        });
        let handle = || {
            let mut word = [0; 4];
            card.read(Register::InterruptStatus as u64, &mut word);
            assert!(card.write(Register::InterruptAck as u64, &word).is_ok());
            (u32::from_le_bytes(word), scene.found()[0])
        };
        let mut found = 0;
        while found != 2 {
            let (bits, causes) = scene.machine.interrupt(handle);
            if bits != 0 {
                found = causes;
            }
        }
        assert!(device.join().is_ok());
        while scene.status.get() != 0 {
            scene.machine.interrupt(handle);
        }
        threads.stop(&scene.machine);
        scene.settle();
    });
}

struct Pin(Arc<Scene>);

impl LevelLine for Pin {
    fn set(&self, high: bool) -> Result<(), IrqError> {
        Ok(self.0.status.follow(high)?)
    }
}
