//! Both bells.
