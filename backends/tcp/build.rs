//! Gives each platform condition one name.

use cfg_aliases::cfg_aliases;

fn main() {
    cfg_aliases! {
        supported: { any(target_os = "linux", target_os = "macos", bsd) },
        // Linux waits by kqueue.
        libkqueue: { all(target_os = "linux", feature = "libkqueue") },
        bsd: { any(target_os = "freebsd", target_os = "openbsd", target_os = "netbsd") },
        // Whether a socket can be peeked into at an offset, and bytes be discarded unread. Linux can; where it runs the
        // code of macOS and the BSDs it does as they do.
        peek_offset: { all(target_os = "linux", not(libkqueue)) },
        // Whether a socket says that its connection is closed.
        tcp_state: { target_os = "linux" },
    }
    println!("cargo::rerun-if-changed=build.rs");
}
