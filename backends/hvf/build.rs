//! Gives the platform conditions one name.

use cfg_aliases::cfg_aliases;

fn main() {
    cfg_aliases! {
        // Where the framework is.
        framework: { all(target_os = "macos", target_arch = "aarch64") },
        // Where the tests bring a stand-in for it.
        stand_in: { all(target_os = "linux", target_pointer_width = "64") },
        supported: { any(framework, stand_in) },
    }
    println!("cargo::rerun-if-changed=build.rs");
}
