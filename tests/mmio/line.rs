//! Calls of the level line that meet each other: one waits, fails or panics while somebody else changes the register.

use std::collections::VecDeque;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use netrx::mmio::{Discard, MmioError, MmioIrq};
use netrx::spec::mmio::Register;
use netrx::spec::mmio::interrupt::USED;
use netrx::{IrqError, IrqLine, LevelLine, MmioDevice, NetConfig};
use netrx_mock::{LevelProbe, MockLevel, MockMemory};

use super::rig::MAC;
use super::{STUCK, Tested};

type Card = MmioDevice<MockMemory, Staged>;

/// What happens in a call before the line is set, or instead of that.
type Act = Box<dyn FnOnce() -> Result<(), IrqError> + Send>;

/// What somebody else does to the card, and whether it is told that all is well.
type Other = fn(&Card) -> bool;

/// A line whose first calls are staged.
struct Staged {
    line: MockLevel,
    acts: Mutex<VecDeque<Act>>,
}

impl LevelLine for Staged {
    fn set(&self, high: bool) -> Result<(), IrqError> {
        let act = lock(&self.acts).pop_front();
        act.map_or(Ok(()), |act| act())?;
        self.line.set(high)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn card(acts: impl IntoIterator<Item = Act>) -> Result<(Card, LevelProbe), Box<dyn Error>> {
    let (line, probe) = MockLevel::new();
    let line = Staged { line, acts: Mutex::new(acts.into_iter().collect()) };
    Ok((
        Card::new("staged", &NetConfig::new(MAC), MockMemory::heap(&[1 << 12]), line, Discard::default())?,
        probe,
    ))
}

fn acknowledge(card: &Card, why: u32) -> Result<(), MmioError> {
    card.write(Register::InterruptAck as u64, &why.to_le_bytes())
}

/// A call that lasts until it is let go on, and ends as `end` says; and what tells that it has begun.
fn held(end: Result<(), IrqError>) -> (Act, Receiver<()>, Sender<()>) {
    let ((begin, begun), (resume, go_on)) = (mpsc::channel(), mpsc::channel());
    let act = move || {
        begin.send(()).map_err(|error| IrqError::Failed(error.into()))?;
        go_on.recv().map_err(|error| IrqError::Failed(error.into()))?;
        end
    };
    (Box::new(act), begun, resume)
}

fn busy() -> Act {
    Box::new(|| Err(IrqError::Busy))
}

/// Registers wait for nobody, not for a raise that has not returned either.
#[test]
fn an_acknowledge_does_not_wait_for_a_raise() -> Tested {
    let (raise, begun, resume) = held(Ok(()));
    let (card, probe) = card([raise])?;
    let mut irq = card.irq();
    let raising = thread::spawn(move || irq.raise());
    begun.recv_timeout(STUCK)?;
    acknowledge(&card, USED)?;
    let mut why = [0xff; 4];
    card.read(Register::InterruptStatus as u64, &mut why);
    assert_eq!((why, probe.is_high()), ([0; 4], false));
    resume.send(())?;
    assert!(raising.join().is_ok_and(|raised| raised.is_ok()));
    assert!(!probe.is_high() && probe.rises() == 1, "it came too late, and was taken back");
    Ok(())
}

/// Whoever raises relies on nobody's call that may still fail: another raise's, or that of an acknowledge which tries what
/// was busy again.
#[test]
fn a_raise_that_was_answered_is_seen_though_others_fail() -> Tested {
    let raise: Other = |card| card.irq().raise().is_ok();
    let acknowledge_nothing: Other = |card| acknowledge(card, 0).is_ok();
    for (refused, other) in [(0, raise), (1, acknowledge_nothing)] {
        let (failing, begun, resume) = held(Err(IrqError::Busy));
        let (card, probe) = card((0..refused).map(|_| busy()).chain([failing]))?;
        let mut worker = card.irq();
        for _ in 0..refused {
            assert!(matches!(worker.raise(), Err(IrqError::Busy)));
        }
        thread::scope(|scope| -> Tested {
            let other = scope.spawn(|| other(&card));
            begun.recv_timeout(STUCK)?;
            worker.raise()?;
            resume.send(())?;
            assert!(other.join().is_ok_and(|fine| !fine), "it is told");
            Ok(())
        })?;
        assert!(probe.is_high());
    }
    Ok(())
}

/// A raise comes in the midst of an acknowledge, which lowers the line after it and has to raise it again: who raised was
/// told that the line is high, so the acknowledge insists.
#[test]
fn what_an_acknowledge_lowered_too_late_it_raises_again() -> Tested {
    let irq = Arc::new(Mutex::new(None::<MmioIrq<Staged>>));
    let worker = Arc::clone(&irq);
    let raise_meanwhile = move || lock(&worker).take().map_or(Ok(()), |mut irq| irq.raise());
    let acts: [Act; 3] = [Box::new(|| Ok(())), Box::new(raise_meanwhile), Box::new(|| Ok(()))];
    let (card, probe) = card(acts.into_iter().chain((0..150).map(|_| busy())))?;
    card.irq().raise()?;
    *lock(&irq) = Some(card.irq());
    acknowledge(&card, USED)?;
    assert!(probe.is_high());
    Ok(())
}

/// The next change of the register sets right what a panic left behind.
#[test]
fn a_line_that_panicked_is_set_by_the_next_raise() -> Tested {
    let panics: Act = Box::new(|| -> Result<(), IrqError> { resume_unwind(Box::new("the line")) });
    let (card, probe) = card([panics])?;
    let mut irq = card.irq();
    assert!(catch_unwind(AssertUnwindSafe(|| irq.raise())).is_err());
    card.irq().needs_reset()?;
    assert!(probe.is_high());
    Ok(())
}
