//! Captures that nobody stops: what is wrong with their files is told by `tracing`.

mod rig;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use netrx_decorators::{Capture, CaptureHandle};
use netrx_mock::ScriptedSource;
use netrx_mock::events::{Told, told_anywhere, told_by};
use tracing::Level;

use rig::{QUIET, STUCK, Tested};

/// A full disk.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is told of a capture into a full disk.
fn is_the_full_disk(told: &Told) -> bool {
    let is_told = told.message() == "a capture that nobody stopped is not whole";
    let why = told.fields.get("error").is_some_and(|error| error.contains("no storage space"));
    told.level == Level::ERROR && is_told && why
}

#[test]
fn a_file_that_is_not_whole_is_told_when_nobody_stops_its_capture() -> Tested {
    let (source, handle) = Capture::new(ScriptedSource::new().0);
    handle.start(Full)?;
    drop(source);
    let ((), told) = told_by(|| drop(handle));
    assert!(matches!(&told[..], [once] if is_the_full_disk(once)), "{told:?}");
    Ok(())
}

#[test]
fn a_file_that_is_whole_or_whose_capture_was_stopped_is_not_told() -> Tested {
    let (source, handle) = Capture::new(ScriptedSource::new().0);
    let (stopped, told) = told_by(|| {
        handle.start(Full)?;
        let stopped = handle.stop();
        handle.start(io::sink())?;
        drop((source, handle));
        Ok::<_, netrx_decorators::CaptureError>(stopped)
    });
    assert!(stopped?.is_err() && told.is_empty(), "{told:?}");
    Ok(())
}

/// A writer that takes its time.
struct Slow(Arc<AtomicBool>);

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        thread::sleep(QUIET);
        self.0.store(true, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn whoever_goes_last_waits_for_the_writer() -> Tested {
    let (source, handle) = Capture::new(ScriptedSource::new().0);
    let written = Arc::<AtomicBool>::default();
    handle.start(Slow(Arc::clone(&written)))?;
    drop(handle);
    drop(source);
    assert!(written.load(Ordering::Relaxed));
    Ok(())
}

/// A full disk that holds the last handle, and is found full once the far end of its channel is gone.
struct Holding {
    _handle: CaptureHandle,
    may_end: Receiver<()>,
}

impl Write for Holding {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.may_end.recv();
        Full.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_that_holds_the_last_handle_tells_by_itself() -> Tested {
    let events = told_anywhere()?;
    let (source, handle) = Capture::new(ScriptedSource::new().0);
    let (end, may_end) = channel();
    handle.start(Holding { _handle: handle.clone(), may_end })?;
    drop((source, handle));
    drop(end);
    while !is_the_full_disk(&events.recv_timeout(STUCK)?) {}
    Ok(())
}
