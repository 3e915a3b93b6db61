//! The network card on virtio-mmio, from the guest's side of the registers: negotiation, interrupts, the life of the
//! queues, transmission, and a driver from elsewhere, rcore-os' `virtio-drivers`.

mod accesses;
mod discard;
mod forward;
mod hal;
mod interrupts;
mod life;
mod line;
mod lossy;
mod owed;
mod rcore;
mod rig;
mod transmit;
mod transport;
mod unlocked;

use std::error::Error;
use std::time::Duration;

use netrx_mock::eventually;

/// What a test returns, so that it can use `?`.
type Tested = Result<(), Box<dyn Error>>;

/// How long anything may take before a test calls it stuck.
const STUCK: Duration = Duration::from_secs(20);
