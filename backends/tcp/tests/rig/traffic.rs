//! Bytes that are each other's neighbours at one place only, and the host's ends that send and check them.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

/// A stream of bytes that anybody who knows its seed can check.
#[derive(Clone, Copy)]
pub(crate) struct Bytes {
    seed: u64,
    at: u64,
}

impl Bytes {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, at: 0 }
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.at
    }

    fn word(&self, index: u64) -> [u8; 8] {
        let mut word = (index ^ self.seed.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word ^= word >> 29;
        word.wrapping_mul(0xbf58_476d_1ce4_e5b9).to_le_bytes()
    }

    /// Hands each piece of the next bytes over with what it has to be.
    fn pieces(&mut self, mut len: usize, mut each: impl FnMut(usize, &[u8])) {
        let mut done = 0;
        while len > 0 {
            let word = self.word(self.at / 8);
            let part = &word[(self.at % 8) as usize..];
            let part = &part[..part.len().min(len)];
            each(done, part);
            (done, len) = (done + part.len(), len - part.len());
            self.at += part.len() as u64;
        }
    }

    pub(crate) fn make(&mut self, bytes: &mut [u8]) {
        self.pieces(bytes.len(), |at, part| bytes[at..at + part.len()].copy_from_slice(part));
    }

    pub(crate) fn check(&mut self, bytes: &[u8]) {
        let start = self.at;
        self.pieces(bytes.len(), |at, part| {
            assert_eq!(&bytes[at..at + part.len()], part, "at byte {}", start + at as u64);
        });
    }
}

/// A connected pair over the loopback: the one to promote, and the host's far end.
pub(crate) fn connected(v6: bool) -> (TcpStream, TcpStream) {
    let any: SocketAddr = if v6 { (Ipv6Addr::LOCALHOST, 0).into() } else { (Ipv4Addr::LOCALHOST, 0).into() };
    let listener = TcpListener::bind(any).expect("a port");
    let near = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
    (near, listener.accept().expect("it").0)
}

/// The host's end: sends `send` bytes, ends, then reads to the end; gives how many bytes came, all checked.
pub(crate) fn host(mut far: TcpStream, seed: u64, send: u64) -> JoinHandle<u64> {
    thread::spawn(move || {
        send_until(&mut far, &mut Bytes::new(seed), send);
        far.shutdown(Shutdown::Write).expect("it is open");
        read_to_end(&mut far, seed)
    })
}

/// As [`host`], but of the bytes it sends one half after the guest's end only.
pub(crate) fn host_that_goes_last(mut far: TcpStream, seed: u64, send: u64) -> JoinHandle<u64> {
    thread::spawn(move || {
        let mut bytes = Bytes::new(seed);
        send_until(&mut far, &mut bytes, send / 2);
        let back = read_to_end(&mut far, seed);
        send_until(&mut far, &mut bytes, send);
        back
    })
}

/// The host's end of a connection that breaks: sends without end until it is `told` to reset it, or until that fails;
/// whether it was told.
pub(crate) fn host_that_breaks(mut far: TcpStream, seed: u64, told: Arc<AtomicBool>) -> JoinHandle<bool> {
    thread::spawn(move || {
        let (mut bytes, mut buffer) = (Bytes::new(seed), vec![0; 64 << 10]);
        while !told.load(Ordering::Relaxed) {
            bytes.make(&mut buffer);
            if let Err(error) = far.write_all(&buffer) {
                let is_gone = matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
                assert!(is_gone, "the near end is closed: {error}");
                return false;
            }
        }
        set_socket_linger(&far, Some(Duration::ZERO)).expect("it can be told");
        true
    })
}

/// Sends until there were `count` of the bytes.
fn send_until(far: &mut TcpStream, bytes: &mut Bytes, count: u64) {
    let mut buffer = vec![0; 64 << 10];
    while bytes.count() < count {
        let len = buffer.len().min((count - bytes.count()) as usize);
        bytes.make(&mut buffer[..len]);
        far.write_all(&buffer[..len]).expect("the near end reads");
    }
}

/// How many bytes come from the guest of `seed` until its end, all checked.
fn read_to_end(far: &mut TcpStream, seed: u64) -> u64 {
    let (mut back, mut buffer) = (Bytes::new(!seed), vec![0; 64 << 10]);
    loop {
        match far.read(&mut buffer).expect("it ends well") {
            0 => return back.count(),
            len => back.check(&buffer[..len]),
        }
    }
}
