//! Gives each platform condition one name.

use cfg_aliases::cfg_aliases;

fn main() {
    cfg_aliases! {
        supported: { any(target_os = "linux", target_os = "macos", bsd) },
        bsd: { any(target_os = "freebsd", target_os = "openbsd", target_os = "netbsd") },
        // Whether there are connected Unix sockets that keep boundaries.
        seqpacket: { all(supported, not(target_os = "macos")) },
        // Many frames a call.
        recvmmsg: { any(target_os = "linux", target_os = "freebsd", target_os = "netbsd") },
    }
    println!("cargo::rerun-if-changed=build.rs");
}
