//! A VMM as small as they get: one vCPU in real mode, whose guest owns a receive ring, and frames for it.
//!
//! ```text
//! crossbeam channel --> RxWorkerSlot --irqfd--> guest (tests/guest/guest.S) --port--> its sums, printed here
//!                            ^                    |
//!                            +----ioeventfd-------+
//! ```

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "../../tests/guest/mod.rs"]
mod guest;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod vmm;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() -> anyhow::Result<()> {
    vmm::run()
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() {
    println!("this runs where KVM is, on x86-64");
}
