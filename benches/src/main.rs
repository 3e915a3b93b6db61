//! The bench's command; see the library for what it measures.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    netrx_bench::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("netrx-bench: the peers that it measures beside netrx build on Linux only");
    ExitCode::FAILURE
}
