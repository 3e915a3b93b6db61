//! The capture: what is in the file, that neither a slow nor a broken one holds the source up, and starts and stops while it
//! runs.

mod rig;

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use netrx::engine::{EngineConfig, WhenFull};
use netrx::spec::Checksum;
use netrx::{FrameMeta, Progress};
use netrx_decorators::{Capture, CaptureError, CaptureHandle, Captured};
use netrx_mock::{Placing, ScriptedSource, conformance, traffic};
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_statistics::{InterfaceStatisticsBlock, InterfaceStatisticsOption};
use pcap_file::pcapng::{Block, PcapNgParser};

use rig::{Feed, Finite, STUCK, Tested, Worker, frame, guest, guest_with};

/// A file in memory, which can be shut and can run full.
#[derive(Clone, Default)]
struct File(Arc<(Mutex<Inside>, Condvar)>);

#[derive(Default)]
struct Inside {
    bytes: Vec<u8>,
    /// Whoever writes waits.
    shut: bool,
    /// How many bytes it holds, if there is an end to it.
    limit: Option<usize>,
}

impl File {
    fn with<R>(&self, change: impl FnOnce(&mut Inside) -> R) -> R {
        let (inside, changed) = &*self.0;
        let result = change(&mut inside.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
        result
    }

    fn bytes(&self) -> Vec<u8> {
        self.with(|inside| inside.bytes.clone())
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (inside, changed) = &*self.0;
        let inside = inside.lock().unwrap_or_else(PoisonError::into_inner);
        let mut inside =
            changed.wait_while(inside, |inside| inside.shut).unwrap_or_else(PoisonError::into_inner);
        if inside.limit.is_some_and(|limit| inside.bytes.len() + bytes.len() > limit) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        inside.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a file says.
struct Parsed {
    packets: Vec<EnhancedPacketBlock<'static>>,
    statistics: InterfaceStatisticsBlock<'static>,
}

fn parse(file: &[u8]) -> Result<Parsed, Box<dyn std::error::Error>> {
    let (mut rest, mut parser) = PcapNgParser::new(file)?;
    let (mut packets, mut statistics) = (Vec::new(), None);
    while !rest.is_empty() {
        let (after, block) = parser.next_block(rest)?;
        assert!(statistics.is_none(), "the statistics come last");
        match block.into_owned() {
            Block::EnhancedPacket(packet) => packets.push(packet),
            Block::InterfaceStatistics(block) => statistics = Some(block),
            _ => {}
        }
        rest = after;
    }
    Ok(Parsed { packets, statistics: statistics.ok_or("it has no statistics")? })
}

impl Parsed {
    fn frames(&self) -> Vec<&[u8]> {
        self.packets.iter().map(|packet| &*packet.data).collect()
    }
}

fn comment<'p>(packet: &'p EnhancedPacketBlock<'_>) -> Option<&'p str> {
    packet.options.iter().find_map(|option| match option {
        EnhancedPacketOption::Comment(comment) => Some(&**comment),
        _ => None,
    })
}

fn missed(packet: &EnhancedPacketBlock<'_>) -> u64 {
    let count = |option: &EnhancedPacketOption<'_>| match option {
        EnhancedPacketOption::DropCount(count) => Some(*count),
        _ => None,
    };
    packet.options.iter().find_map(count).unwrap_or(0)
}

fn counts(captured: Option<Captured>) -> (u64, u64, u64) {
    captured.map_or((0, 0, 0), |captured| (captured.delivered, captured.dropped, captured.missed))
}

/// A source that is captured into a file from the start.
fn captured<S>(source: S) -> Result<(Capture<S>, CaptureHandle, File), CaptureError> {
    let (source, handle) = Capture::new(source);
    let file = File::default();
    handle.start(file.clone())?;
    Ok((source, handle, file))
}

#[test]
fn passes_the_suites_while_it_captures_and_while_not() {
    for placing in Placing::EACH {
        for on in [false, true] {
            conformance::source(|| {
                let (source, script) = ScriptedSource::placing(placing);
                (wrap(source, on), Feed(script))
            });
            conformance::finite_source(|frames| wrap(Finite::new(placing, frames), on));
        }
    }
}

fn wrap<S>(source: S, on: bool) -> Capture<S> {
    let (source, handle) = Capture::new(source);
    assert!(!on || handle.start(io::sink()).is_ok());
    source
}

#[test]
fn the_file_has_each_frame_with_its_time_and_what_became_of_it() -> Tested {
    let offload = FrameMeta { checksum: Checksum::Partial { start: 34, offset: 16 }, segmentation: None };
    for placing in Placing::EACH {
        let (inner, script) = ScriptedSource::placing(placing);
        let (mut source, handle, file) = captured(inner)?;
        let mut rig = guest(8)?;
        let sent: Vec<_> =
            (0..).zip([60, 3000, 10, 100, 1514]).map(|(number, len)| frame(number, len)).collect();
        for (number, frame) in sent.iter().enumerate() {
            let meta = if number == 3 { offload } else { FrameMeta::PLAIN };
            script.frame_with(frame.as_slice(), meta);
        }
        let before = SystemTime::now().duration_since(UNIX_EPOCH)?;
        assert_eq!(rig.drain(&mut source)?, [sent[0].as_slice(), sent[4].as_slice()]);
        assert_eq!(counts(handle.stop()?), (2, 3, 0));
        let after = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let parsed = parse(&file.bytes())?;
        let comments: Vec<_> = parsed.packets.iter().map(comment).collect();
        let dropped = ["too_long", "runt", "offload"].map(|reason| format!("dropped by netrx: {reason}"));
        let [long, runt, offload] = dropped.each_ref().map(|comment| Some(comment.as_str()));
        assert_eq!(comments, [None, long, runt, offload, None]);
        let frames = parsed.frames();
        assert_eq!(
            (frames[0], frames[2], frames[3], frames[4]),
            (&*sent[0], &*sent[2], &*sent[3], &*sent[4])
        );
        assert!(sent[1].starts_with(frames[1]) && parsed.packets[1].original_len as usize > 2036);
        assert!(parsed.packets.iter().all(|packet| (before..=after).contains(&packet.timestamp)));
    }
    Ok(())
}

#[test]
fn the_statistics_count_what_came_and_what_was_dropped() -> Tested {
    let config = EngineConfig { when_full: WhenFull::DropNewest, ..EngineConfig::default() };
    for placing in Placing::EACH {
        let (inner, script) = ScriptedSource::placing(placing);
        let (mut source, handle, file) = captured(inner)?;
        let mut rig = guest_with(4, config)?;
        let sent: Vec<_> = (0..7).map(|number| frame(number, 60)).collect();
        sent.iter().for_each(|frame| script.frame(frame.as_slice()));
        rig.driver.post(4);
        assert_eq!(rig.engine.poll(&mut source, Instant::now())?, Progress::Idle);
        let stats = rig.check()?;
        let captured = handle.stop()?;
        assert_eq!(
            counts(captured),
            (stats.frames_delivered, stats.frames_taken - stats.frames_delivered, 0)
        );
        let parsed = parse(&file.bytes())?;
        assert_eq!(parsed.frames(), sent, "{placing:?}: also those that the guest had no room for");
        assert!(
            parsed
                .packets
                .iter()
                .skip(4)
                .all(|packet| comment(packet) == Some("dropped by netrx: ring_full"))
        );
        use InterfaceStatisticsOption as Statistic;
        let options = &parsed.statistics.options;
        for expected in [Statistic::IsbIfRecv(7), Statistic::IsbIfDrop(3), Statistic::IsbOsDrop(0)] {
            assert!(options.contains(&expected), "{expected:?} in {options:?}");
        }
        let total = "dropped by netrx: ring_full 3, too_long 0, runt 0, offload 0";
        assert!(options.contains(&Statistic::Comment(total.into())), "{options:?}");
    }
    Ok(())
}

#[test]
fn the_times_of_the_statistics_are_as_the_format_wants_them() -> Tested {
    let (_source, handle, file) = captured(ScriptedSource::new().0)?;
    handle.stop()?;
    let file = file.bytes();
    // The block is the last: from its end, its length, and from its start: type, length, interface, the time's high half
    // and its low half, in the order of bytes that the section has.
    let word = |at: usize| file.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_be_bytes);
    assert_eq!(word(8), Some(0x1a2b_3c4d), "the section is big-endian");
    let len = word(file.len() - 4).ok_or("the file has an end")?;
    let start = file.len() - len as usize;
    let (high, low) = word(start + 12).zip(word(start + 16)).ok_or("the block has a time")?;
    let nanos = Duration::from_nanos(u64::from(high) << 32 | u64::from(low));
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    assert!(nanos <= now && now - nanos < STUCK, "{nanos:?} at {now:?}");
    Ok(())
}

#[test]
fn a_file_that_runs_full_ends_the_capture_and_nothing_else() -> Tested {
    let (inner, script) = ScriptedSource::new();
    let (source, handle) = Capture::new(inner);
    let mut worker = Worker::start(source)?;
    let file = File::default();
    file.with(|inside| inside.limit = Some(20_000));
    handle.start(file.clone())?;
    for number in 0..500 {
        script.frame(frame(number, 1000));
        if number % 10 == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    let frames = worker.take(500)?;
    assert!((0..).zip(&frames).all(|(number, frame)| traffic::is_frame(number, frame)));
    let begin = Instant::now();
    while handle.is_running() {
        assert!(begin.elapsed() < STUCK, "the end of the capture shows");
        thread::yield_now();
    }
    let again = handle.start(io::sink());
    assert!(matches!(again, Err(CaptureError::Started)), "{again:?}");
    let ended = handle.stop();
    assert!(
        matches!(&ended, Err(CaptureError::Write(error)) if error.kind() == io::ErrorKind::StorageFull),
        "{ended:?}"
    );
    assert!(matches!(handle.stop(), Ok(None)), "told once");
    handle.start(io::sink())?;
    script.frame(frame(0, 60));
    worker.take(1)?;
    assert_eq!(worker.stop()?.frames_delivered, 501);
    assert_eq!(counts(handle.stop()?).0, 1);
    Ok(())
}

#[test]
fn a_file_that_nobody_can_write_to_is_told_when_it_is_stopped() -> Tested {
    struct Forbidden;
    impl Write for Forbidden {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::PermissionDenied.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    struct Panicking;
    impl Write for Panicking {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            std::panic::resume_unwind(Box::new("the test says so"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (_source, handle) = Capture::new(ScriptedSource::new().0);
    handle.start(Forbidden)?;
    let ended = handle.stop();
    assert!(
        matches!(&ended, Err(CaptureError::Write(error)) if error.kind() == io::ErrorKind::PermissionDenied),
        "{ended:?}"
    );
    handle.start(Panicking)?;
    let ended = handle.stop();
    assert!(matches!(ended, Err(CaptureError::Panicked)), "{ended:?}");
    Ok(())
}

#[test]
fn a_writer_that_is_stuck_holds_nothing_up_and_what_it_missed_is_counted() -> Tested {
    let (inner, script) = ScriptedSource::placing(Placing::Burst(32));
    let (mut source, handle, file) = captured(inner)?;
    let mut rig = guest(64)?;
    file.with(|inside| inside.shut = true);
    // More than the queue takes: 20 MB.
    let sent = 10_000;
    for number in 0..sent {
        script.frame(frame(number, 2000));
        if number % 50 == 49 {
            assert_eq!(rig.drain(&mut source)?.len(), 50);
        }
    }
    file.with(|inside| inside.shut = false);
    // Once it has caught up, frames are captured again; the first of them says how many are missing.
    let (begin, mut more) = (Instant::now(), 0);
    let marked = |file: &File| file.bytes().len() > 16_000_000;
    while more < 5 || !marked(&file) {
        assert!(begin.elapsed() < STUCK, "it catches up");
        script.frame(frame(sent + more, 60));
        assert_eq!(rig.drain(&mut source)?.len(), 1);
        more += 1;
        thread::sleep(Duration::from_millis(5));
    }
    let (delivered, dropped, lost) = counts(handle.stop()?);
    assert_eq!((delivered + lost, dropped), (sent + more, 0));
    assert!(lost > 1000, "{lost} of 20 MB did not fit into 16 MiB");
    let parsed = parse(&file.bytes())?;
    assert_eq!(parsed.packets.len() as u64, delivered);
    let mut expected = 0;
    for packet in &parsed.packets {
        expected += missed(packet);
        assert_eq!(
            traffic::number(&packet.data),
            Some(expected),
            "what is missing is where it is said to be"
        );
        expected += 1;
    }
    assert!(parsed.statistics.options.contains(&InterfaceStatisticsOption::IsbOsDrop(lost)));
    assert_eq!(rig.check()?.frames_delivered, sent + more);
    Ok(())
}

#[test]
fn it_is_started_and_stopped_under_load_and_each_file_is_whole() -> Tested {
    let (inner, script) = ScriptedSource::placing(Placing::Read { largest: 1514, batch: 16 });
    let (source, handle) = Capture::new(inner);
    let first = File::default();
    handle.start(first.clone())?;
    let mut worker = Worker::start(source)?;
    let feeder = thread::spawn(move || (0..30_000).for_each(|number| script.frame(frame(number, 100))));
    let taken = worker.take(1)?.len();
    let files = thread::spawn(move || {
        let mut files = vec![first];
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(2));
            assert!(handle.stop().is_ok_and(|captured| captured.is_some()));
            let file = File::default();
            assert!(handle.start(file.clone()).is_ok());
            files.push(file);
        }
        assert!(handle.stop().is_ok_and(|captured| captured.is_some()));
        files
    });
    assert_eq!(taken + worker.take(30_000 - taken)?.len(), 30_000);
    assert!(feeder.join().is_ok());
    let files = files.join().map_err(|_| "a capture failed")?;
    assert_eq!(worker.stop()?.frames_delivered, 30_000);
    let mut last = None;
    for file in files {
        for packet in parse(&file.bytes())?.packets {
            let number = traffic::number(&packet.data);
            assert!(number > last, "no frame twice, and all in order");
            last = number;
        }
    }
    assert!(last.is_some(), "something was captured");
    Ok(())
}

#[test]
fn a_capture_that_nobody_stops_ends_with_its_source_and_handles() -> Tested {
    let (inner, script) = ScriptedSource::new();
    let (mut source, handle, file) = captured(inner)?;
    script.frame(frame(0, 60));
    guest(4)?.drain(&mut source)?;
    drop(source);
    drop(handle);
    assert_eq!(parse(&file.bytes())?.frames(), [frame(0, 60)]);
    Ok(())
}
