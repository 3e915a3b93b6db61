//! What is asked of the framework, and the memory that is lent to it: the only files of this crate with `unsafe` code.

mod calls;
mod host;
mod page;
mod shown;

pub(crate) use calls::{exit, set_spi, spi_range};
pub use host::HostMapping;
pub(crate) use host::Table;
pub(crate) use shown::Shown;
