//! The command line.

use std::ffi::OsString;

/// MiB that are sent unless said otherwise.
const USUAL: u64 = 64;
/// A TiB: that takes minutes at least.
const MOST: u64 = 1 << 20;

pub(crate) const USAGE: &str = "\
Hands a TCP connection over to a source, which reads the host's socket straight into the buffers of a guest (a thread).

Usage: promote [MIB]

  MIB     how many MiB the host sends, 1 to 1048576 [default: 64]
  --help  print this";

/// How many MiB are to be sent; `None` if help is wanted. The error is one line.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Option<u64>, String> {
    let mut args = args.into_iter();
    let Some(first) = args.next() else { return Ok(Some(USUAL)) };
    if let Some(more) = args.next() {
        return Err(format!("{more:?} is one argument too many: see --help"));
    }
    if first == "--help" || first == "-h" {
        return Ok(None);
    }
    let mib = first.to_str().and_then(|mib| mib.parse().ok()).filter(|mib| (1..=MOST).contains(mib));
    mib.map(Some).ok_or_else(|| format!("{first:?} is no number of MiB from 1 to {MOST}: see --help"))
}

#[cfg(test)]
mod tests {
    use super::{MOST, USAGE, USUAL, parse};

    fn parsed(args: &[&str]) -> Result<Option<u64>, String> {
        parse(args.iter().map(Into::into))
    }

    #[test]
    fn a_number_or_none_or_help() {
        assert_eq!(parsed(&[]), Ok(Some(USUAL)));
        assert_eq!(parsed(&["1024"]), Ok(Some(1024)));
        assert_eq!(parsed(&["1048576"]), Ok(Some(MOST)));
        assert_eq!((parsed(&["--help"]), parsed(&["-h"])), (Ok(None), Ok(None)));
        assert!(USAGE.contains(&format!("{MOST} [default: {USUAL}]")));
    }

    #[test]
    fn all_else_is_refused_in_one_line() {
        for bad in
            ["abc", "-1", "0", "", "1048577", "17592186044416", "99999999999999999999", "1.5", "two\nlines"]
        {
            let refused = parsed(&[bad]);
            assert!(matches!(&refused, Err(line) if line.lines().count() == 1), "{bad}: {refused:?}");
        }
        assert_eq!(parsed(&["1", "2"]), Err(r#""2" is one argument too many: see --help"#.into()));
    }
}
