//! Why a slot does not do as asked.

use std::{fmt, io};

use crate::ring::ConfigError;

/// A part that a worker cannot start without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The guest's memory.
    Memory,
    /// The interrupt line.
    Irq,
    /// A frame source.
    Source,
}

/// Why a slot did not do as asked. Every deposited part is still there, but for those of a worker that is [lost](Self::Lost).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SlotError {
    /// Parts were not deposited yet: all that are missing.
    #[error("the receive worker cannot start without {}: deposit or offer it first", Names(.0))]
    Missing(Vec<Part>),
    /// A worker runs, is being stopped, or has ended by itself and was not stopped since.
    #[error("there is a receive worker already: stop or reset it first, also one that has ended")]
    Running,
    /// The driver set the queue up wrongly, or its start is none of this queue's.
    #[error("the queue's registers make no sense: {0}")]
    Config(#[from] ConfigError),
    /// The system has no thread to spare.
    #[error("the receive worker's thread could not be started: {0}")]
    Spawn(#[source] io::Error),
    /// The worker cannot wait for its own end.
    #[error("the receive worker was told to stop by itself; stop it from another thread")]
    OwnThread,
    /// The worker's thread has panicked at its end, beyond its own report: where a subscriber to its events does, or what a
    /// replaced [hook](super::RxWorkerSlot::on_end) holds, being dropped. Memory, line and source are gone.
    #[error("the receive worker is lost, and its parts with it: {0}")]
    Lost(String),
}

/// Parts, as a sentence names them.
struct Names<'p>(&'p [Part]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let name = match part {
                Part::Memory => "the guest's memory",
                Part::Irq => "an interrupt line",
                Part::Source => "a frame source",
            };
            write!(f, "{comma}{name}")?;
        }
        Ok(())
    }
}
