//! The command line, and the plan that comes of it.

use std::fmt::Display;
use std::fs::File;
use std::io::BufWriter;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, ValueEnum};
use netrx::engine::WhenFull;
use netrx::spec::MIN_FRAME;
use netrx_pcap::Capture;
use same_file::is_same_file;

use crate::NOT_TRIED;
use crate::capture::Out;
use crate::machine;
use crate::traffic::Traffic;

/// The capture that is replayed unless said otherwise; the program needs no file beside itself.
pub(crate) const SAMPLE: &[u8] = include_bytes!("../data/traffic.pcapng");

/// How many frames are sent if neither a number nor a time is given.
const FRAMES: u64 = 100_000;

/// The lengths of frames: the shortest that holds its number, the longest that virtio knows.
const SIZES: RangeInclusive<usize> = 22..=65_550;

/// For how long frames may be sent, in seconds.
const TIMES: RangeInclusive<f64> = 1e-9..=1e9;

/// Replays a capture of real traffic into a mock virtual machine, and checks
/// every frame that arrives.
///
/// A worker moves frames from a source into the receive ring of a guest, whose
/// driver runs on a thread of its own and compares each frame, byte for byte and
/// in order, with what was sent. The exit code is 0 if all frames arrived that
/// were not dropped by choice, 1 if one was lost or differs or if none arrived, and
/// 2 for bad flags or files.
///
/// Latency is the time from just before a frame is sent to the interrupt that
/// announces it or, if the guest is awake and finds the frame by itself, to that
/// moment. Frames are sent as fast as they are taken, so it includes the time that
/// a frame queues in its source and for room in the ring.
///
/// The guest's buffers are chosen so that every frame fits. Without --mrg each is
/// as large as the largest frame (65 KB for the sample capture); with --mrg each
/// has 4096 bytes, and a larger frame spans several.
#[derive(Debug, Parser)]
#[command(name = "inject", verbatim_doc_comment)]
pub(crate) struct Args {
    /// Where frames come from: socketpair, channel, or pcap with a FILE or the sample
    #[arg(long, num_args = 1..=2, value_names = ["SOURCE", "FILE"], default_value = "socketpair")]
    source: Vec<String>,
    /// Send the frames of this pcapng or pcap file, not the sample's
    #[arg(long, value_name = "FILE", conflicts_with = "size")]
    data: Option<PathBuf>,
    /// Send numbered frames of this size, not a capture's
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, value_parser = whole(SIZES))]
    size: Option<usize>,
    /// End after this many frames [default: 100000, unless --seconds is given]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole(1..=u64::MAX))]
    frames: Option<u64>,
    /// Send for this long
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = time)]
    seconds: Option<Duration>,
    /// Descriptors in the receive ring, a power of two
    #[arg(long, value_name = "SIZE", default_value_t = 256, allow_negative_numbers = true, value_parser = ring)]
    ring: u16,
    /// Let the guest merge receive buffers (MRG_RXBUF)
    #[arg(long)]
    mrg: bool,
    /// Let the guest's driver poll the ring, without interrupts
    #[arg(long)]
    poll: bool,
    /// What to do with frames while the guest has no room
    #[arg(long, value_name = "POLICY", default_value = "wait")]
    full: Full,
    /// Let the guest post its buffers late and in part, at random from this seed
    #[arg(long, value_name = "SEED", allow_negative_numbers = true, value_parser = whole(0..=u64::MAX))]
    seed: Option<u64>,
    /// Write what the guest got to this pcapng file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Full {
    /// Leave them in the source
    Wait,
    /// Take them and drop them, counted
    Drop,
}

/// Where the worker gets its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Socketpair,
    Channel,
    Pcap,
}

/// A command line that makes sense.
pub(crate) struct Plan {
    pub(crate) source: Source,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) quota: Quota,
    pub(crate) ring: u16,
    pub(crate) mrg: bool,
    pub(crate) poll: bool,
    pub(crate) when_full: WhenFull,
    pub(crate) seed: Option<u64>,
    pub(crate) out: Option<Out>,
    pub(crate) json: bool,
}

/// When the sending ends; whichever comes first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota {
    pub(crate) frames: Option<u64>,
    pub(crate) time: Option<Duration>,
}

/// The flags, or how to end without any: after `--help`, or with one line about what is wrong.
pub(crate) fn parse() -> Result<Args, ExitCode> {
    Args::try_parse().map_err(|error| {
        if !error.use_stderr() {
            // A closed pipe is no reason to complain.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        crate::complain(&one_line(&error.render().to_string()));
        ExitCode::from(NOT_TRIED)
    })
}

/// The first paragraph of an error, which the usage follows, on one line.
fn one_line(error: &str) -> String {
    let paragraph = error.lines().take_while(|line| !line.trim().is_empty());
    paragraph.map(str::trim).collect::<Vec<_>>().join(" ")
}

/// Reads a whole number of this range.
fn whole<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: Clone + Display + FromStr + PartialOrd,
{
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("not a whole number from {} to {}", range.start(), range.end()))
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| TIMES.contains(seconds));
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.ok_or_else(|| format!("not a number from {} to {}", TIMES.start(), TIMES.end()))
}

fn ring(text: &str) -> Result<u16, String> {
    let size = text.parse().ok().filter(|size: &u16| size.is_power_of_two());
    size.ok_or_else(|| "not a power of two from 1 to 32768".to_owned())
}

impl Args {
    /// Checks all that the flags say, and opens the files that they name.
    pub(crate) fn plan(self) -> Result<Plan> {
        let (source, file) = self.source()?;
        let traffic = self.traffic(file)?;
        machine::check_memory(self.ring, self.mrg, traffic.longest())?;
        Ok(Plan {
            source,
            traffic: Arc::new(traffic),
            quota: self.quota(),
            ring: self.ring,
            mrg: self.mrg,
            poll: self.poll,
            when_full: match self.full {
                Full::Wait => WhenFull::Wait,
                Full::Drop => WhenFull::DropNewest,
            },
            seed: self.seed,
            out: self.out.as_deref().map(create).transpose()?,
            json: self.json,
        })
    }

    fn source(&self) -> Result<(Source, Option<&Path>)> {
        let file = self.source.get(1).map(Path::new);
        let source = match self.source.first().map(String::as_str) {
            Some("socketpair") => Source::Socketpair,
            Some("channel") => Source::Channel,
            Some("pcap") => Source::Pcap,
            other => bail!("--source {} is none of socketpair, channel, pcap", other.unwrap_or_default()),
        };
        ensure!(
            file.is_none() || source == Source::Pcap,
            "only --source pcap takes a FILE; for the others use --data"
        );
        ensure!(
            source != Source::Pcap || self.size.is_none(),
            "--source pcap sends a capture's frames, not --size"
        );
        ensure!(
            file.is_none() || self.data.is_none(),
            "--source pcap FILE and --data name a capture each; give one"
        );
        let read = file.or(self.data.as_deref());
        ensure!(
            !read
                .zip(self.out.as_deref())
                .is_some_and(|(read, out)| is_same_file(read, out).unwrap_or(false)),
            "--out would write over the capture that is to be sent"
        );
        Ok((source, read))
    }

    fn quota(&self) -> Quota {
        let by_default = self.seconds.is_none().then_some(FRAMES);
        Quota { frames: self.frames.or(by_default), time: self.seconds }
    }

    fn traffic(&self, file: Option<&Path>) -> Result<Traffic> {
        match (self.size, file) {
            (Some(len), _) => Ok(Traffic::Numbered { len }),
            (None, Some(path)) => {
                let named = || format!("cannot replay {}", path.display());
                Capture::open(path).map_err(Into::into).and_then(replayable).with_context(named)
            }
            (None, None) => replayable(Capture::parse(SAMPLE)?),
        }
    }
}

/// A capture of frames that every guest can take.
fn replayable(capture: Capture) -> Result<Traffic> {
    ensure!(!capture.is_empty(), "the capture holds no frames");
    for (index, frame) in (1..).zip(capture.frames()) {
        let len = frame.bytes.len();
        ensure!(len >= MIN_FRAME, "frame {index} has {len} bytes, less than an Ethernet header");
        ensure!(
            len <= *SIZES.end(),
            "frame {index} has {len} bytes, more than a guest takes ({})",
            SIZES.end()
        );
    }
    Ok(Traffic::Capture(Arc::new(capture)))
}

fn create(path: &Path) -> Result<Out> {
    let created = File::create(path).map_err(Into::into).and_then(|file| Out::new(BufWriter::new(file)));
    created.with_context(|| format!("cannot write {}", path.display()))
}
