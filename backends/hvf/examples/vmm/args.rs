//! The command line.

use std::ffi::OsString;

#[cfg(framework)]
pub(crate) const HELP: &str = "\
Makes a VM with the Hypervisor framework, loads a program for AArch64 into it, and delivers three frames to its
virtio-mmio network card. It ends when the program turns the machine off.

Usage: vmm PROGRAM

  PROGRAM  a flat file, entered at EL1 at its beginning
  --help   print this";

#[cfg(stand_in)]
pub(crate) const HELP: &str = "\
Makes a VM with a stand-in for the Hypervisor framework, whose guest is a closure with a driver in it, and delivers
three frames to its virtio-mmio network card. It ends when the guest turns the machine off.

Usage: vmm

  --help  print this";

/// The `N` arguments that there must be; `None` if help is wanted. The error is one line.
pub(crate) fn parse<const N: usize>(
    args: impl IntoIterator<Item = OsString>,
) -> Result<Option<[OsString; N]>, String> {
    let args: Vec<_> = args.into_iter().collect();
    if matches!(args.as_slice(), [help] if help == "--help" || help == "-h") {
        return Ok(None);
    }
    let wrong = |args| format!("it wants {N} argument(s), and was given {args:?}: see --help");
    args.try_into().map(Some).map_err(wrong)
}

#[cfg(all(test, stand_in))]
mod tests {
    use super::{OsString, parse};

    fn parsed<const N: usize>(args: &[&str]) -> Result<Option<[OsString; N]>, String> {
        parse(args.iter().map(Into::into))
    }

    #[test]
    fn arguments_are_as_many_as_there_must_be_or_help() {
        assert_eq!(parsed::<0>(&[]), Ok(Some([])));
        assert_eq!(parsed::<1>(&["file"]), Ok(Some(["file".into()])));
        assert_eq!((parsed::<0>(&["--help"]), parsed::<1>(&["-h"])), (Ok(None), Ok(None)));
    }

    #[test]
    fn all_else_is_refused_in_one_line() {
        for bad in [&["--what"][..], &["3\n"], &[""], &["--help", "me"]] {
            let refused = parsed::<0>(bad);
            assert!(matches!(&refused, Err(line) if line.lines().count() == 1), "{refused:?}");
        }
        assert!(parsed::<1>(&[]).is_err() && parsed::<1>(&["one", "two"]).is_err());
    }
}
