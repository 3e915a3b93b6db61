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

/// Makes a VM with KVM, whose guest is a small program in real mode, delivers three frames into its receive ring, and prints
/// the sums with which the guest answers.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[derive(clap::Parser)]
struct Args {}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() -> anyhow::Result<()> {
    let Args {} = clap::Parser::parse();
    vmm::run()
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() {
    println!("this runs where KVM is, on x86-64");
}

#[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
mod tests {
    use super::vmm;

    #[test]
    fn a_file_that_is_no_kvm_is_named_with_the_cure() {
        for path in [c"/dev/null", c"/dev/there-is-none"] {
            let Err(error) = vmm::open(path) else { unreachable!("{path:?} is no KVM") };
            let (line, name) = (format!("{error:#}"), path.to_string_lossy());
            assert!(line.contains(&*name) && line.contains("kvm_intel"), "{line}");
        }
    }
}
