//! Gives each platform condition one name, and says where libkqueue is.

use std::env;

use cfg_aliases::cfg_aliases;

fn main() {
    cfg_aliases! {
        // Waiting: one of the two.
        epoll: { all(target_os = "linux", not(libkqueue)) },
        kqueue: { any(kqueue_sys, libkqueue) },
        supported: { any(epoll, kqueue) },
        // Where kqueue comes from.
        kqueue_sys: { any(bsd, target_os = "macos") },
        libkqueue: { all(target_os = "linux", feature = "libkqueue") },
        bsd: { any(target_os = "freebsd", target_os = "openbsd", target_os = "netbsd") },
        // Whether kqueue has events of the user's own; else a pair of sockets stands in.
        user_events: { all(kqueue, not(any(target_os = "openbsd", target_os = "netbsd"))) },
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=NETRX_LIBKQUEUE_DIR");
    if env::var_os("CARGO_FEATURE_LIBKQUEUE").is_some()
        && let Ok(folder) = env::var("NETRX_LIBKQUEUE_DIR")
    {
        println!("cargo::rustc-link-search=native={folder}");
    }
}
