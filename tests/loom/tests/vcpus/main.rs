//! The exits that are asked of vCPUs: never missed, never asked for twice, never of a vCPU that is gone. The registry is
//! the real one of `netrx-hvf`; the framework is a model.
//!
//! Known failure 21 (two flows that cost more than one, in interrupt delivery).

#![cfg(all(loom, target_os = "linux"))]

mod framework;

use std::sync::Arc;

use framework::Machine;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread::{self, JoinHandle};
use netrx_hvf::{JoinedVcpu, Ran, Vcpus};
use netrx_loom::check;

const VCPU: u64 = 0;

/// What requests are for: each sets a bit, and then asks.
#[derive(Clone, Default)]
struct Work(Arc<AtomicU32>);

impl Work {
    fn ask(&self, vcpus: &Vcpus, bit: u32) {
        self.0.fetch_or(bit, Ordering::Relaxed);
        let asked = vcpus.exit();
        assert!(asked.is_ok(), "{asked:?}");
    }

    /// Asks on a thread of its own.
    fn asker(&self, vcpus: &Vcpus, bit: u32) -> JoinHandle<()> {
        let (work, vcpus) = (self.clone(), vcpus.clone());
        thread::spawn(move || work.ask(&vcpus, bit))
    }

    fn all(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The vCPU of this thread, which has joined.
fn join(vcpus: &Vcpus) -> JoinedVcpu {
    let Ok(joined) = vcpus.join(VCPU) else { unreachable!("it has not joined before") };
    joined
}

/// Runs a guest that never comes out by itself, until all of the work was seen. A request that is missed keeps it in for
/// ever, which is a deadlock.
fn serve(joined: &mut JoinedVcpu, work: &Work, wanted: u32) {
    let mut seen = 0;
    while seen != wanted {
        if joined.run(Machine::run) == Ran::Requested {
            let now = work.all();
            assert_ne!(now & !seen, 0, "it came out for something new");
            seen = now;
        }
    }
}

/// A request before, while and after the vCPU enters.
#[test]
fn a_request_meets_an_entry() {
    check(4, || {
        let (vcpus, work) = (Vcpus::new(), Work::default());
        let mut joined = join(&vcpus);
        let asker = work.asker(&vcpus, 1);
        serve(&mut joined, &work, 1);
        assert!(asker.join().is_ok());
        assert!(Machine::asked() <= Machine::runs(), "asked once for each time that it is in");
    });
}

/// Two flows: the second request is merged with the first, or comes after it, and what it is for is seen all the same.
#[test]
fn requests_of_two_flows_merge() {
    check(3, || {
        let (vcpus, work) = (Vcpus::new(), Work::default());
        let mut joined = join(&vcpus);
        let askers = [1, 2].map(|bit| work.asker(&vcpus, bit));
        serve(&mut joined, &work, 3);
        assert!(askers.into_iter().all(|asker| asker.join().is_ok()));
        assert!(Machine::asked() <= Machine::runs(), "asked once for each time that it is in");
    });
}

/// The guest comes out by itself while it is asked to: the request is there at the next entry, and a cancel that comes
/// later still is no request.
#[test]
fn a_request_meets_an_exit() {
    check(4, || {
        let (vcpus, work) = (Vcpus::new(), Work::default());
        let mut joined = join(&vcpus);
        let asker = work.asker(&vcpus, 1);
        if joined.run(|| ()) != Ran::Requested {
            serve(&mut joined, &work, 1);
        }
        assert_eq!(work.all(), 1, "what the request is for is seen");
        assert!(asker.join().is_ok());
        assert!(Machine::asked() <= 1);
        assert_eq!(joined.run(|| ()), Ran::Exited(()), "one request, once");
    });
}

/// The vCPU leaves the registry and is destroyed: it is never asked to exit from then on.
#[test]
fn a_request_meets_a_vcpu_that_leaves() {
    check(4, || {
        let (vcpus, work) = (Vcpus::new(), Work::default());
        let mut joined = join(&vcpus);
        let asker = work.asker(&vcpus, 1);
        let _ = joined.run(|| ());
        drop(joined);
        Machine::destroy();
        assert!(asker.join().is_ok());
    });
}

/// A request before, while and after the vCPU's thread falls asleep outside of the guest.
#[test]
fn a_request_meets_a_sleeper() {
    check(4, || {
        let (vcpus, work) = (Vcpus::new(), Work::default());
        let mut joined = join(&vcpus);
        let asker = work.asker(&vcpus, 1);
        joined.sleep(None);
        assert_eq!(joined.run(|| ()), Ran::Requested);
        assert_eq!(work.all(), 1, "what the request is for is seen");
        assert!(asker.join().is_ok());
        assert_eq!(Machine::asked(), 0, "a sleeper is woken without the framework");
    });
}

/// The framework refuses while the guest comes out by itself: either the caller is told, or the request stands.
#[test]
fn a_refused_request_meets_an_exit() {
    check(4, || {
        let vcpus = Vcpus::new();
        let mut joined = join(&vcpus);
        Machine::refuse();
        let asker = thread::spawn({
            let vcpus = vcpus.clone();
            move || vcpus.exit().is_ok()
        });
        let first = joined.run(|| ());
        let Ok(promised) = asker.join() else { unreachable!("it does not panic") };
        let came_out = [first, joined.run(|| ())].contains(&Ran::Requested);
        assert_eq!(promised, came_out);
    });
}
