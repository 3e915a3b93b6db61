//! What is asked of KVM and of the operating system: the only files of this crate with `unsafe` code.

mod event;
mod run_page;
mod signal;
mod slot;

pub(crate) use event::Event;
pub(crate) use run_page::RunPage;
pub(crate) use signal::{Tid, install_handler, unblock};
pub(crate) use slot::Slot;
