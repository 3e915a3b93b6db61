//! Flags and files that it does not take: exit code 2, one line, and that one clear.

use std::fs;
use std::path::Path;

use pcap_file::DataLink;

use crate::Outcome;
use crate::files::{Form, file, pcapng};
use crate::program::{run, scratch};

/// It says one line that has all of these words, and nothing else.
fn is_refused(flags: &[&str], words: &[&str]) -> Outcome {
    let ran = run(flags)?;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{flags:?}: {}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{flags:?}: {}", ran.stderr);
    assert!(ran.stderr.starts_with("error: "), "{flags:?}: {}", ran.stderr);
    for word in words {
        assert!(ran.stderr.contains(word), "{flags:?}: {word:?} is not in {}", ran.stderr);
    }
    Ok(())
}

#[test]
fn what_is_to_be_sent_is_not_written_over() -> Outcome {
    let path = scratch("both.pcap");
    fs::write(&path, file(Form::Pcap, &[vec![1; 60]]))?;
    let (before, both) = (fs::read(&path)?, path.to_str().unwrap_or_default());
    is_refused(&["--data", both, "--out", both], &["--out"])?;
    is_refused(&["--source", "pcap", both, "--out", both], &["--out"])?;
    assert_eq!(fs::read(&path)?, before);
    Ok(())
}

#[test]
fn bad_flags() -> Outcome {
    let cases: &[(&str, &[&str])] = &[
        ("--bogus", &["--bogus"]),
        ("more", &["more"]),
        ("--ring 100", &["--ring", "'100'", "power of two from 1 to 32768"]),
        ("--ring 0", &["--ring", "'0'", "power of two"]),
        ("--ring -4", &["--ring", "'-4'", "power of two"]),
        ("--ring 65536", &["--ring", "'65536'", "32768"]),
        ("--ring 99999999999999999999", &["--ring", "32768"]),
        ("--ring big", &["--ring", "'big'"]),
        ("--ring 32768", &["--ring 32768", "--mrg"]),
        ("--size 21", &["--size", "'21'", "whole number from 22 to 65550"]),
        ("--size 65551", &["--size", "'65551'", "22 to 65550"]),
        ("--size -1", &["--size", "'-1'", "22 to 65550"]),
        ("--size 99999999999999999999", &["--size", "22 to 65550"]),
        ("--size 60 --data x", &["--size", "--data"]),
        ("--size 60 --source pcap", &["--size", "pcap"]),
        ("--frames 0", &["--frames", "'0'", "whole number from 1 to 18446744073709551615"]),
        ("--frames -1", &["--frames", "'-1'", "from 1 to"]),
        ("--frames many", &["--frames", "'many'", "from 1 to"]),
        ("--frames 99999999999999999999", &["--frames", "'99999999999999999999'", "from 1 to"]),
        ("--seconds 0", &["--seconds", "'0'", "number from 0.000000001 to 1000000000"]),
        ("--seconds -1", &["--seconds", "'-1'", "to 1000000000"]),
        ("--seconds 1e30", &["--seconds", "'1e30'", "to 1000000000"]),
        ("--seconds 1e400", &["--seconds", "'1e400'", "to 1000000000"]),
        ("--seconds nan", &["--seconds", "'nan'", "to 1000000000"]),
        ("--seconds inf", &["--seconds", "'inf'", "to 1000000000"]),
        ("--source", &["--source"]),
        ("--source tap", &["tap", "socketpair, channel, pcap"]),
        ("--source channel file", &["--data"]),
        ("--source pcap one --data other", &["--source pcap", "--data"]),
        ("--full never", &["never", "wait", "drop"]),
        ("--seed x", &["--seed", "'x'"]),
        ("--seed -1", &["--seed", "'-1'", "whole number from 0 to 18446744073709551615"]),
    ];
    cases.iter().try_for_each(|(flags, words)| is_refused(&flags.split(' ').collect::<Vec<_>>(), words))
}

/// The file is refused, whichever flag names it.
fn no_capture(name: &str, bytes: &[u8], words: &[&str]) -> Outcome {
    let path = scratch(name);
    fs::write(&path, bytes)?;
    let path = path.display().to_string();
    let words = [words, &[path.as_str()]].concat();
    is_refused(&["--source", "pcap", &path], &words)?;
    is_refused(&["--data", &path], &words)
}

#[test]
fn bad_captures() -> Outcome {
    let sound = file(Form::PcapNg, &[vec![1; 60], vec![2; 60]]);
    let wlan = pcapng(&[vec![1; 60]], DataLink::IEEE802_11, &[])?;
    let mut snapped = file(Form::Pcap, &[vec![1; 60], vec![2; 96]]);
    let data = snapped.len() - 96;
    snapped[data - 4..data].copy_from_slice(&1514_u32.to_be_bytes());
    no_capture("none", b"", &["neither pcapng nor pcap"])?;
    no_capture("text", b"some text, and no capture", &["neither pcapng nor pcap"])?;
    no_capture("empty", &file(Form::PcapNg, &[]), &["no frames"])?;
    no_capture("cut", &sound[..sound.len() - 3], &["cut off after frame 1"])?;
    no_capture("snapped", &snapped, &["frame 2", "96 of its 1514 bytes", "larger snap length"])?;
    no_capture("wlan", &wlan, &["link type 105"])?;
    no_capture("runt", &file(Form::Pcap, &[vec![1; 60], vec![2; 13]]), &["frame 2", "13 bytes"])?;
    no_capture("giant", &file(Form::PcapNg, &[vec![1; 65_551]]), &["frame 1", "65551 bytes"])
}

#[test]
fn files_that_cannot_be_read_or_written() -> Outcome {
    let missing = scratch("no-folder").join("file").display().to_string();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).display().to_string();
    for path in [missing.as_str(), folder.as_str()] {
        is_refused(&["--data", path], &["cannot replay", path])?;
        is_refused(&["--out", path], &["cannot write", path])?;
    }
    if Path::new("/dev/full").exists() {
        is_refused(&["--out", "/dev/full"], &["cannot write"])?;
    }
    Ok(())
}

#[test]
fn a_cause_is_said_once() -> Outcome {
    let ran = run(&["--data", "/no/such/file"])?;
    assert_eq!(ran.stderr.matches("(os error").count(), 1, "{}", ran.stderr);
    Ok(())
}
