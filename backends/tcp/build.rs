//! Gives each platform condition one name.

use cfg_aliases::cfg_aliases;

fn main() {
    cfg_aliases! {
        // Waiting: one of the two, on every system that the crate supports.
        epoll: { target_os = "linux" },
        kqueue: { any(bsd, target_os = "macos") },
        supported: { any(epoll, kqueue) },
        bsd: { any(target_os = "freebsd", target_os = "openbsd", target_os = "netbsd") },
        // Whether a socket can be looked into at an offset, and bytes be discarded unread.
        peek_offset: { target_os = "linux" },
    }
    println!("cargo::rerun-if-changed=build.rs");
}
