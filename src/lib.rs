//! netrx.
