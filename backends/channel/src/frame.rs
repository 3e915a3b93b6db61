//! What a channel may carry.

use netrx::FrameMeta;

/// A frame: its bytes, and what its sender knows of it.
///
/// Everything that is `AsRef<[u8]>` is a plain one. Types with a header of their own implement it by hand, or travel
/// [`Tagged`].
pub trait Frame {
    /// The frame's bytes, without preamble and checksum.
    fn bytes(&self) -> &[u8];

    /// What is known of it; a plain frame, unless said otherwise.
    #[inline]
    fn meta(&self) -> FrameMeta {
        FrameMeta::PLAIN
    }
}

impl<T: AsRef<[u8]> + ?Sized> Frame for T {
    #[inline]
    fn bytes(&self) -> &[u8] {
        self.as_ref()
    }
}

/// A frame that needs an offload, or whose checksum is vouched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tagged<B> {
    /// The frame.
    pub frame: B,
    /// What is known of it.
    pub meta: FrameMeta,
}

impl<B: AsRef<[u8]>> Frame for Tagged<B> {
    #[inline]
    fn bytes(&self) -> &[u8] {
        self.frame.as_ref()
    }

    #[inline]
    fn meta(&self) -> FrameMeta {
        self.meta
    }
}
