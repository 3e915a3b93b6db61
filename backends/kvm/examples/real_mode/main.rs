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
const HELP: &str = "\
Makes a VM with KVM, whose guest is a small program in real mode, delivers three frames into its receive ring, and
prints the sums with which the guest answers.

Usage: real_mode

  --help  print this";

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() -> std::process::ExitCode {
    use std::process::ExitCode;

    match wants_help(std::env::args_os().skip(1)) {
        Ok(true) => println!("{HELP}"),
        Ok(false) => {
            if let Err(error) = vmm::run() {
                eprintln!("error: {error:#}");
                return ExitCode::FAILURE;
            }
        }
        Err(wrong) => {
            eprintln!("error: {wrong}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// What the command line wants. The error is one line.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn wants_help(args: impl IntoIterator<Item = std::ffi::OsString>) -> Result<bool, String> {
    let args: Vec<_> = args.into_iter().collect();
    match args.as_slice() {
        [] => Ok(false),
        [help] if help == "--help" || help == "-h" => Ok(true),
        args => Err(format!("it takes no arguments, and was given {args:?}: see --help")),
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() {
    println!("this runs where KVM is, on x86-64");
}

#[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
mod tests {
    use super::{vmm, wants_help};

    fn wanted(args: &[&str]) -> Result<bool, String> {
        wants_help(args.iter().map(Into::into))
    }

    #[test]
    fn arguments_are_help_or_refused_in_one_line() {
        assert_eq!((wanted(&[]), wanted(&["--help"]), wanted(&["-h"])), (Ok(false), Ok(true), Ok(true)));
        for bad in [&["--what"][..], &["3\n"], &[""], &["--help", "me"]] {
            let refused = wanted(bad);
            assert!(matches!(&refused, Err(line) if line.lines().count() == 1), "{refused:?}");
        }
    }

    #[test]
    fn a_file_that_is_no_kvm_is_named_with_the_cure() {
        for path in [c"/dev/null", c"/dev/there-is-none"] {
            let Err(error) = vmm::open(path) else { unreachable!("{path:?} is no KVM") };
            let (line, name) = (format!("{error:#}"), path.to_string_lossy());
            assert!(line.contains(&*name) && line.contains("kvm_intel"), "{line}");
        }
    }
}
