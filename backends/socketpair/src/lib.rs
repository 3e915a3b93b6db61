//! netrx-socketpair.
