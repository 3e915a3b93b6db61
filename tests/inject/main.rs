//! The example `inject`, run as a user would: what it takes, what it prints, how it exits.

#[path = "../../backends/pcap/tests/files/mod.rs"]
mod files;
mod program;
mod refused;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use netrx_pcap::Capture;
use serde_json::Value;

use program::{inject, scratch};

type Outcome = Result<(), Box<dyn Error>>;

/// The figures of a run that went well; the flags are words.
fn figures(flags: &str) -> Result<BTreeMap<String, Value>, Box<dyn Error>> {
    let output = inject(&format!("{flags} --json"))?;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{flags}: {}", output.stdout);
    assert_eq!(output.stdout.lines().count(), 1, "{flags}: one object and nothing else");
    Ok(serde_json::from_str(&output.stdout)?)
}

fn count(figures: &BTreeMap<String, Value>, name: &str) -> u64 {
    figures.get(name).and_then(Value::as_u64).unwrap_or(u64::MAX)
}

/// Frames dropped for any reason.
fn dropped(figures: &BTreeMap<String, Value>) -> u64 {
    let reasons = figures["frames_dropped"].as_object();
    reasons.map_or(u64::MAX, |reasons| reasons.values().filter_map(Value::as_u64).sum())
}

/// Runs it, and checks that every frame came.
fn all_arrive(flags: &str, frames: u64) -> Outcome {
    let figures = figures(&format!("{flags} --frames {frames}"))?;
    assert_eq!(count(&figures, "frames_sent"), frames, "{flags}");
    assert_eq!(count(&figures, "frames_delivered"), frames, "{flags}");
    assert_eq!(count(&figures, "frames_corrupted"), 0, "{flags}");
    assert_eq!(dropped(&figures), 0, "{flags}");
    Ok(())
}

#[test]
fn the_object_has_these_members() -> Outcome {
    let figures = figures("--frames 500")?;
    let names: Vec<_> = figures.keys().map(String::as_str).collect();
    let expected = [
        "bytes",
        "frames_corrupted",
        "frames_delivered",
        "frames_dropped",
        "frames_sent",
        "irqs_raised",
        "irqs_suppressed",
        "latency_us",
        "seconds",
    ];
    assert_eq!(names, expected);
    assert!(figures["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0));
    assert!(count(&figures, "irqs_raised") > 0 && count(&figures, "bytes") > 500 * 42);
    let latency = |name: &str| figures["latency_us"][name].as_f64().unwrap_or(f64::NAN);
    assert!(0.0 < latency("p50") && latency("p50") <= latency("p99") && latency("p99") <= latency("max"));
    let reasons: Vec<_> =
        figures["frames_dropped"].as_object().into_iter().flat_map(|all| all.keys()).collect();
    assert_eq!(reasons, ["offload", "ring_full", "runt", "too_long"]);
    Ok(())
}

#[test]
fn every_source_delivers_every_frame() -> Outcome {
    for source in ["socketpair", "channel", "pcap"] {
        for flags in ["", "--mrg", "--poll", "--ring 4 --mrg --poll", "--ring 16 --seed 7", "--mrg --seed 8"]
        {
            all_arrive(&format!("--source {source} {flags}"), 3000)?;
        }
    }
    Ok(())
}

#[test]
fn the_smallest_rings_do() -> Outcome {
    for source in ["socketpair", "channel", "pcap"] {
        for ring in ["--ring 1", "--ring 1 --mrg", "--ring 2 --mrg"] {
            all_arrive(&format!("--source {source} {ring}"), 600)?;
        }
    }
    Ok(())
}

#[test]
fn numbered_frames_of_the_shortest_and_the_longest_size() -> Outcome {
    for source in ["socketpair", "channel"] {
        for flags in ["--size 22", "--size 1514", "--size 65550 --ring 16", "--size 65550 --mrg"] {
            all_arrive(&format!("--source {source} {flags}"), 1000)?;
        }
    }
    Ok(())
}

#[test]
fn a_file_is_replayed_over_and_over() -> Outcome {
    let file = scratch("some.pcap");
    let frames: Vec<_> = (1..=9_u8).map(|number| vec![number; 50 + usize::from(number)]).collect();
    fs::write(&file, files::file(files::Form::Pcap, &frames))?;
    all_arrive(&format!("--source pcap {}", file.display()), 1000)?;
    all_arrive(&format!("--source channel --data {}", file.display()), 1000)
}

#[test]
fn what_is_dropped_by_choice_is_counted_and_no_failure() -> Outcome {
    let sources =
        ["channel", "channel --mrg", "socketpair", "pcap", "pcap --seed 1", "channel --size 60 --seed 2"];
    for flags in sources {
        let figures = figures(&format!("--full drop --ring 16 --frames 20000 --source {flags}"))?;
        let (sent, delivered) = (count(&figures, "frames_sent"), count(&figures, "frames_delivered"));
        assert_eq!(sent, 20_000, "{flags}");
        assert!(delivered > 0, "{flags}: the first buffers are there before the first frame");
        assert!(dropped(&figures) > 0, "{flags}: a guest with 16 buffers is soon full");
        assert_eq!(delivered + dropped(&figures), sent, "{flags}");
        assert_eq!(figures["frames_dropped"]["ring_full"], dropped(&figures), "{flags}");
    }
    Ok(())
}

#[test]
fn what_the_guest_got_is_written_down() -> Outcome {
    let out = scratch("guest.pcapng");
    let begin = SystemTime::now().duration_since(UNIX_EPOCH)?;
    all_arrive(&format!("--mrg --out {}", out.display()), 1000)?;
    let (sent, got) = (Capture::open("examples/data/traffic.pcapng")?, Capture::open(&out)?);
    assert_eq!(got.len(), 1000);
    let same = |(index, frame): (usize, netrx_pcap::Frame<'_>)| {
        sent.frame(index % sent.len()).is_some_and(|other| other.bytes == frame.bytes)
    };
    assert!(got.frames().enumerate().all(same), "frame by frame what was sent");
    let times: Vec<_> = got.frames().filter_map(|frame| frame.time).collect();
    assert_eq!(times.len(), 1000);
    assert!(times.is_sorted(), "in the order in which they came");
    let (first, last) = (times[0], times[999]);
    assert!(begin <= first && last <= begin + Duration::from_secs(60), "the resolution is that of the file");
    assert!(times.iter().any(|time| time.subsec_nanos() % 1000 > 0), "to the nanosecond");
    Ok(())
}

#[test]
fn bytes_are_those_of_the_frames() -> Outcome {
    let sent = Capture::open("examples/data/traffic.pcapng")?;
    let frames = (0..3000).filter_map(|number| sent.frame(number % sent.len()));
    let bytes = frames.map(|frame| frame.bytes.len() as u64).sum::<u64>();
    for source in ["socketpair", "channel", "pcap --mrg"] {
        let figures = figures(&format!("--frames 3000 --source {source}"))?;
        assert_eq!(count(&figures, "bytes"), bytes, "{source}");
    }
    assert_eq!(count(&figures("--frames 3000 --size 60")?, "bytes"), 3000 * 60);
    Ok(())
}

#[test]
fn without_json_there_is_a_table_and_no_bar_without_a_terminal() -> Outcome {
    let output = inject("--frames 1234")?;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    for part in ["socketpair", "1,234", "interrupts raised", "send to interrupt, p50", "Every frame arrived"]
    {
        assert!(output.stdout.contains(part), "{part} in\n{}", output.stdout);
    }
    let polled = inject("--frames 1234 --poll")?.stdout;
    assert!(polled.contains("send to seen, p50"), "{polled}");
    Ok(())
}

#[cfg(unix)]
#[test]
fn on_a_terminal_there_is_a_bar_until_the_end() -> Outcome {
    let by_frames = program::shown("--frames 200000 --json")?;
    assert!(by_frames.contains("of 200,000 frames"), "{by_frames:?}");
    let by_time = program::shown("--seconds 0.5 --json")?;
    assert!(by_time.contains(" %  ") && by_time.contains("/s"), "{by_time:?}");
    Ok(())
}

#[test]
fn it_sends_for_as_long_as_it_is_told() -> Outcome {
    for source in ["socketpair", "channel", "pcap"] {
        let begin = Instant::now();
        let figures = figures(&format!("--seconds 0.2 --source {source}"))?;
        assert!(begin.elapsed() >= Duration::from_millis(200), "{source}: {:?}", begin.elapsed());
        assert!(count(&figures, "frames_sent") > 0, "{source}");
        assert_eq!(count(&figures, "frames_delivered"), count(&figures, "frames_sent"), "{source}");
    }
    Ok(())
}

#[test]
fn help_is_no_error() -> Outcome {
    let output = inject("--help")?;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    assert!(output.stdout.lines().all(|line| line.len() <= 110), "{}", output.stdout);
    assert!(output.stdout.contains("65 KB") && output.stdout.contains("4096 bytes"));
    Ok(())
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_panic() -> Outcome {
    let closed = program::into_closed_pipe("--frames 500")?;
    assert_eq!((closed.code, closed.stderr.as_str()), (Some(0), ""));
    Ok(())
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_sending_and_everything_on_its_way_arrives() -> Outcome {
    for source in ["socketpair", "channel", "pcap"] {
        let output = program::interrupted(&format!("--json --seconds 600 --source {source}"))?;
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{source}");
        let figures: BTreeMap<String, Value> = serde_json::from_str(&output.stdout)?;
        assert_eq!(count(&figures, "frames_delivered"), count(&figures, "frames_sent"), "{source}");
    }
    Ok(())
}
