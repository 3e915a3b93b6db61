//! netrx-mock.
