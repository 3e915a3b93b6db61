//! How sources of datagrams end, and what does not end them.

#![cfg(supported)]
#![allow(clippy::expect_used, reason = "what goes wrong fails the test")]

mod rig;

use std::net::Shutdown;
use std::os::unix::net::UnixDatagram;

use netrx::Progress;
use netrx_socketpair::SocketSource;
use rustix::net::shutdown;

use rig::{frame, numbers, plain_guest, whole};

#[test]
fn a_datagram_socket_shut_down_for_reading_ends() {
    let (mut source, far) = SocketSource::pair(1514).expect("a pair");
    let mut rig = plain_guest();
    assert_eq!(rig.turn(&mut source).expect("a turn").0, Progress::Idle);
    far.send(&frame(0, 60)).expect("there is room");
    shutdown(&source, rustix::net::Shutdown::Read).expect("it is a socket");
    let frames = rig.take(&mut source, usize::MAX).expect("all come");
    // Linux still gives what is queued; the BSDs throw it away.
    assert!(frames.is_empty() || numbers(&frames) == whole([0]));
    assert!(far.shutdown(Shutdown::Both).is_ok());
}

// The BSDs throw away what is queued.
#[cfg(target_os = "linux")]
#[test]
fn a_frame_behind_an_empty_datagram_is_not_lost_by_a_shutdown() {
    for between in 1..4 {
        let (mut source, far) = SocketSource::pair(1514).expect("a pair");
        far.send(&frame(0, 60)).expect("there is room");
        (0..between).for_each(|_| assert!(far.send(&[]).is_ok()));
        far.send(&frame(1, 60)).expect("there is room");
        shutdown(&source, rustix::net::Shutdown::Read).expect("it is a socket");
        let mut rig = plain_guest();
        // The kernel fills both buffers, the second with nothing.
        rig.driver.post(2);
        assert_eq!(rig.poll(&mut source).expect("a turn"), Progress::Starved);
        let frames = rig.take(&mut source, usize::MAX).expect("all come");
        assert_eq!(numbers(&frames), whole([0, 1]), "{between} between");
        assert_eq!(rig.stats().dropped(netrx::DropReason::Runt), between);
        rig.check().expect("all is well");
    }
}

#[test]
fn a_closed_datagram_peer_does_not_take_its_frames_along() {
    let (mut source, far) = SocketSource::pair(1514).expect("a pair");
    for number in 0..3 {
        far.send(&frame(number, 60)).expect("there is room");
    }
    drop(far);
    assert_eq!(numbers(&plain_guest().take(&mut source, 3).expect("all come")), whole(0..3));
}

#[test]
fn a_named_socket_outlives_its_peers() {
    let folder = Folder::new();
    let (ours, first, second) = (folder.socket("ours"), folder.socket("first"), folder.socket("second"));
    ours.connect(folder.path("first")).expect("it is bound");
    let sender = ours.try_clone().expect("a descriptor");
    let mut source = SocketSource::new(ours).expect("it keeps boundaries");
    let mut rig = plain_guest();
    first.send_to(&frame(0, 60), folder.path("ours")).expect("there is room");
    assert_eq!(numbers(&rig.take(&mut source, 1).expect("all come")), whole([0]));
    drop(first);
    // Whoever sends to the peer that is gone is refused, which is no news of ours.
    assert!(sender.send(b"to nobody").is_err());
    assert_ne!(rig.poll(&mut source).expect("a turn"), Progress::Closed);
    sender.connect(folder.path("second")).expect("it is bound");
    second.send_to(&frame(1, 60), folder.path("ours")).expect("there is room");
    assert_eq!(numbers(&rig.take(&mut source, 1).expect("all come")), whole([1]));
}

/// A folder for sockets with names.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("netrx-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.join(name)
    }

    fn socket(&self, name: &str) -> UnixDatagram {
        UnixDatagram::bind(self.path(name)).expect("a name")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind, it harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
