//! What is to be sent again, and when it is not (RFC 6582).

use super::Seq;

/// The state of retransmission.
///
/// A retransmission is one frame, which may be as large as any. So a partial acknowledgement within it asks for no
/// other: that is on its way. Three duplicates there do, since then part of it was lost again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recovery {
    open: Option<Open>,
    /// Where the last recovery ended, until that is acknowledged and more: duplicates there are answers to what was
    /// sent twice.
    passed: Option<Seq>,
    duplicates: u32,
    /// The first frame that is not acknowledged is to be sent again.
    due: bool,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    /// What had been sent when the loss was noticed: recovered once that is acknowledged.
    until: Seq,
    /// Where the last retransmission began, if there was one, and where it ended.
    from: Option<Seq>,
    to: Seq,
}

impl Recovery {
    const DUPLICATES: u32 = 3;

    /// Whether something is to be sent again.
    pub(super) fn is_due(&self) -> bool {
        self.due
    }

    /// Everything before `una` is acknowledged, which is news.
    pub(super) fn advanced(&mut self, una: Seq) {
        self.duplicates = 0;
        self.due = false;
        if let Some(open) = self.open {
            if una.is_after(open.until) || una == open.until {
                self.passed = Some(open.until);
                self.open = None;
            } else {
                self.due = !open.to.is_after(una);
            }
        }
        self.passed = self.passed.filter(|passed| !una.is_after(*passed));
    }

    /// So many duplicates of the acknowledgement of `una` came, while everything before `nxt` was sent; says whether
    /// that means a loss.
    pub(super) fn duplicated(&mut self, una: Seq, nxt: Seq, duplicates: u32) -> bool {
        self.duplicates = self.duplicates.saturating_add(duplicates);
        if self.duplicates < Self::DUPLICATES || self.due {
            return false;
        }
        let lost = match &self.open {
            None => self.passed.is_none(),
            Some(open) => open.from.is_none_or(|from| una.is_after(from)),
        };
        if lost {
            self.open.get_or_insert(Open { until: nxt, from: None, to: una });
            self.due = true;
        }
        lost
    }

    /// Nothing came for too long.
    pub(super) fn timed_out(&mut self, una: Seq, nxt: Seq) {
        *self = Self { open: Some(Open { until: nxt, from: None, to: una }), due: true, ..Self::default() };
    }

    /// The window was shut, and is not any more: what is missing can be sent again. Says whether anything is.
    pub(super) fn reopened(&mut self) -> bool {
        self.due |= self.open.is_some();
        self.due
    }

    /// It was sent again, from `from` to `to`.
    pub(super) fn resent(&mut self, from: Seq, to: Seq) {
        self.due = false;
        if let Some(open) = &mut self.open {
            (open.from, open.to) = (Some(from), open.to.or_later(to));
        }
    }
}
