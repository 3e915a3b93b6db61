//! netrx-channel.
