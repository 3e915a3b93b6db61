//! A capture whose writer handles the capture itself.

use std::error::Error;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use netrx_decorators::{Capture, CaptureError, CaptureHandle};
use netrx_mock::ScriptedSource;

const STUCK: Duration = Duration::from_secs(20);

/// A writer that ends its capture by itself, once its file is long enough.
struct Enough(CaptureHandle, Sender<bool>);

impl Write for Enough {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let stopped = catch_unwind(AssertUnwindSafe(|| self.0.stop()));
        let _ = self.1.send(matches!(stopped, Ok(Err(CaptureError::OwnThread))));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_that_stops_its_own_capture_is_refused() -> Result<(), Box<dyn Error>> {
    let (_capture, handle) = Capture::new(ScriptedSource::new().0);
    let (said, heard) = channel();
    handle.start(Enough(handle.clone(), said))?;
    assert!(heard.recv_timeout(STUCK)?, "it is refused");
    assert!(handle.stop()?.is_some(), "another thread stops it");
    Ok(())
}
