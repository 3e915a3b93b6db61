//! Gives the platform condition one name.

use cfg_aliases::cfg_aliases;

fn main() {
    cfg_aliases! {
        supported: { all(target_os = "linux", target_arch = "x86_64") },
    }
    println!("cargo::rerun-if-changed=build.rs");
}
