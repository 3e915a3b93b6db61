//! The ledgers: what was taken, delivered, dropped, popped and raised.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ring::Ledger;
use crate::space::{DropReason, Tally};

macro_rules! ledger {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Live counters of one engine: written by its thread, readable from any.
        ///
        /// Each is exact. Interrupts are counted as they come, frames and chains at the end of a turn: read while the engine
        /// runs, those may be a turn behind.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($name: AtomicU64,)*
            dropped: [AtomicU64; DropReason::ALL.len()],
        }

        /// The counters at one moment. All count from the engine's start.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
            /// Frames taken and not delivered, by reason.
            dropped: [u64; DropReason::ALL.len()],
        }

        impl Counters {
            /// The counters now.
            #[must_use]
            pub fn snapshot(&self) -> Stats {
                Stats {
                    $($name: self.$name.load(Ordering::Relaxed),)*
                    dropped: std::array::from_fn(|reason| self.dropped[reason].load(Ordering::Relaxed)),
                }
            }
        }
    };
}

ledger! {
    /// Frames that left their source.
    frames_taken,
    /// Frames in guest memory.
    frames_delivered,
    /// Bytes of the delivered frames, without headers.
    bytes_delivered,
    /// Chains popped from the ring, good or bad.
    chains_popped,
    /// Chains completed with a frame, or a part of one.
    chains_used,
    /// Chains completed with length 0 because the guest made them wrong.
    chains_bad,
    /// Good chains completed with length 0: they were free at the end and could not be made available again, or their
    /// memory was taken away.
    chains_emptied,
    /// Chains made available again at the end.
    chains_given_back,
    /// Interrupts raised.
    irqs_raised,
    /// Interrupts that the guest did not want.
    irqs_suppressed,
    /// Interrupts that the line failed to raise.
    irqs_failed,
    /// Turns that ended because the guest had no room.
    starved,
}

impl Counters {
    /// Enters what a turn came to.
    pub(super) fn enter(&self, tally: &Tally, ledger: &Ledger) {
        add(&self.frames_taken, tally.taken);
        add(&self.frames_delivered, tally.delivered);
        add(&self.bytes_delivered, tally.bytes);
        for (counter, dropped) in self.dropped.iter().zip(tally.dropped) {
            add(counter, dropped);
        }
        let set = |counter: &AtomicU64, now| counter.store(now, Ordering::Relaxed);
        set(&self.chains_popped, ledger.popped);
        set(&self.chains_used, ledger.entries - ledger.bad - ledger.emptied);
        set(&self.chains_bad, ledger.bad);
        set(&self.chains_emptied, ledger.emptied);
        set(&self.chains_given_back, ledger.given_back);
    }

    pub(super) fn irq_raised(&self) {
        add(&self.irqs_raised, 1);
    }

    pub(super) fn irq_suppressed(&self) {
        add(&self.irqs_suppressed, 1);
    }

    pub(super) fn irq_failed(&self) {
        add(&self.irqs_failed, 1);
    }

    pub(super) fn starved(&self) {
        add(&self.starved, 1);
    }
}

/// One thread writes, so a load and a store do; no locked instruction is needed.
fn add(counter: &AtomicU64, more: u64) {
    if more > 0 {
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    }
}

impl Stats {
    /// Frames dropped for `reason`.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }

    /// Frames dropped for any reason.
    #[must_use]
    pub fn frames_dropped(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// Chains popped that are neither used nor given back: the engine holds them for the next frames.
    #[must_use]
    pub fn chains_held(&self) -> u64 {
        let settled = self.chains_used + self.chains_bad + self.chains_emptied + self.chains_given_back;
        self.chains_popped.wrapping_sub(settled)
    }

    /// Whether no frame is unaccounted for: taken = delivered + dropped.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.frames_taken == self.frames_delivered + self.frames_dropped()
    }

    /// Emits the counters as one `tracing` event of the level `debug`: a guest that resets its card ends a worker each time.
    pub fn trace(&self) {
        tracing::debug!(
            frames_taken = self.frames_taken,
            frames_delivered = self.frames_delivered,
            bytes_delivered = self.bytes_delivered,
            dropped_ring_full = self.dropped(DropReason::RingFull),
            dropped_too_long = self.dropped(DropReason::TooLong),
            dropped_runt = self.dropped(DropReason::Runt),
            dropped_offload = self.dropped(DropReason::Offload),
            chains_popped = self.chains_popped,
            chains_used = self.chains_used,
            chains_bad = self.chains_bad,
            chains_emptied = self.chains_emptied,
            chains_given_back = self.chains_given_back,
            irqs_raised = self.irqs_raised,
            irqs_suppressed = self.irqs_suppressed,
            irqs_failed = self.irqs_failed,
            starved = self.starved,
            "receive counters"
        );
    }
}
