//! Gives each platform condition one name.

use cfg_aliases::cfg_aliases;

fn main() {
    cfg_aliases! {
        // Waiting: one of the two, on every system that the crate supports.
        epoll: { all(target_os = "linux", not(libkqueue)) },
        kqueue: { any(bsd, target_os = "macos", libkqueue) },
        supported: { any(epoll, kqueue) },
        libkqueue: { all(target_os = "linux", feature = "libkqueue") },
        bsd: { any(target_os = "freebsd", target_os = "openbsd", target_os = "netbsd") },
        // Whether there are connected Unix sockets that keep boundaries.
        seqpacket: { all(supported, not(target_os = "macos")) },
        // Many frames a call.
        recvmmsg: { any(target_os = "linux", target_os = "freebsd", target_os = "netbsd") },
    }
    println!("cargo::rerun-if-changed=build.rs");
}
