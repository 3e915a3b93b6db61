//! The boundary between the benches and what they measure: one small trait.

use crate::Result;
use crate::guest::Driver;
use crate::peer::Peer;

/// Frames that are notified of together, where a subject has batches.
pub(crate) const BURST: usize = 32;

/// Something that puts frames into the buffers a guest has posted.
///
/// `W` is where the frames come from: a pool in hand, or a socket. A pass is `post`, `inject`, `collect`; the
/// driver's part of it is the same code for all, and only `inject` does what is measured.
pub(crate) trait Subject<W: ?Sized> {
    /// Who this is.
    fn peer(&self) -> Peer;

    /// The guest whose buffers it fills.
    fn driver(&mut self) -> &mut Driver;

    /// Delivers the work's frames, in bursts of [`BURST`] where there are batches, and says how many
    /// interrupts it would have raised. Everything the work has must be in the guest when this returns.
    fn inject(&mut self, work: &W) -> u32;

    /// The guest posts `heads` buffers.
    fn post(&mut self, heads: u16) {
        self.driver().post(heads);
    }

    /// The guest takes `heads` used buffers, each of which must be there.
    fn collect(&mut self, heads: u16) -> Result<()> {
        if self.peer().has_ring() {
            return self.driver().collect(heads);
        }
        self.driver().skip(heads);
        Ok(())
    }
}
