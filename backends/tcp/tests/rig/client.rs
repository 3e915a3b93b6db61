//! A guest's connection, and the application behind it.

use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::{Socket, State};

use super::traffic::Bytes;

pub(crate) struct Client {
    pub(crate) socket: SocketHandle,
    pub(crate) got: Bytes,
    /// What came after its own end.
    pub(crate) got_after_end: u64,
    /// What it sends, once it got everything unless it goes first.
    back: Bytes,
    to_send: u64,
    /// It sends and ends without waiting for the host's end.
    pub(crate) goes_first: bool,
    /// It resets the connection once it got so many bytes.
    pub(crate) resets_at: Option<u64>,
    pub(super) resting: u32,
    pub(crate) done: bool,
}

impl Client {
    /// Gets bytes of seed `seed`, and sends `to_send`.
    pub(super) fn new(socket: SocketHandle, seed: u64, to_send: u64) -> Self {
        Self {
            socket,
            got: Bytes::new(seed),
            got_after_end: 0,
            back: Bytes::new(!seed),
            to_send,
            goes_first: false,
            resets_at: None,
            resting: 0,
            done: false,
        }
    }

    /// Has its application do nothing for so many rounds.
    pub(crate) fn rest(&mut self, rounds: u32) {
        self.resting = rounds;
    }

    /// Takes what came and checks it; in its time sends what it has to, and ends.
    pub(super) fn turn(&mut self, socket: &mut Socket<'_>) {
        self.read(socket);
        if socket.state() == State::CloseWait || (self.goes_first && socket.state() == State::Established) {
            self.write(socket);
        }
        if self.resets_at.is_some_and(|at| self.got.count() >= at) {
            socket.abort();
        }
        let is_over = matches!(socket.state(), State::Closed | State::TimeWait);
        self.done |= is_over && self.got.count() > 0;
    }

    fn read(&mut self, socket: &mut Socket<'_>) {
        let (before, has_ended) = (self.got.count(), !socket.may_send());
        while socket.can_recv() {
            let got = &mut self.got;
            let taken = socket.recv(|bytes| {
                got.check(bytes);
                (bytes.len(), bytes.len())
            });
            assert!(taken.is_ok());
        }
        if has_ended {
            self.got_after_end += self.got.count() - before;
        }
    }

    fn write(&mut self, socket: &mut Socket<'_>) {
        let left = self.to_send - self.back.count();
        if left == 0 {
            return socket.close();
        }
        let back = &mut self.back;
        let sent = socket.send(|room| {
            let len = room.len().min(left as usize);
            back.make(&mut room[..len]);
            (len, len)
        });
        assert!(sent.is_ok());
    }
}
