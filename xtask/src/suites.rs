//! The test suites, as data: adding a suite is adding an entry.

use crate::components::Component;

/// One row of the closing table.
#[derive(Debug)]
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Without these the suite is SKIPPED.
    pub(crate) needs: &'static [Component],
    /// All of them must pass.
    pub(crate) steps: &'static [Step],
}

/// Something a suite does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Cargo(Cargo),
    /// The first with nextest where it is or can be had, else the second.
    Nextest(Cargo, Cargo),
    /// Every fuzz target for as long as `--seconds-fuzz` says.
    Fuzz,
    /// Clippy for every foreign target.
    Cross,
}

/// One run of cargo.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cargo {
    pub(crate) args: &'static [&'static str],
    pub(crate) env: &'static [(&'static str, &'static str)],
    /// A target folder of its own, under the common one, for flags that would rebuild everything.
    pub(crate) target: Option<&'static str>,
}

const fn cargo(args: &'static [&'static str]) -> Cargo {
    Cargo { args, env: &[], target: None }
}

const fn step(args: &'static [&'static str]) -> Step {
    Step::Cargo(cargo(args))
}

/// A run under the model checker.
const fn loom(args: &'static [&'static str]) -> Cargo {
    Cargo { args, env: &[("RUSTFLAGS", "--cfg loom")], target: Some("loom") }
}

/// In the order in which they run: quick and telling ones first.
#[rustfmt::skip]
pub(crate) const SUITES: &[Suite] = &[
    Suite {
        name: "format",
        about: "the code is formatted",
        needs: &[Component::Rustfmt],
        steps: &[step(&["fmt", "--all", "--check"])],
    },
    Suite {
        // The feature `libkqueue` links a system library; the suite `kqueue` lints it.
        name: "lint",
        about: "clippy finds nothing, in any target, with all features",
        needs: &[Component::Clippy],
        steps: &[
            step(&["clippy", "--workspace", "--exclude", "netrx-poller", "--exclude", "netrx-socketpair",
                   "--exclude", "netrx-tcp", "--all-targets", "--all-features", "--", "-D", "warnings"]),
            step(&["clippy", "-p", "netrx-poller", "-p", "netrx-socketpair", "-p", "netrx-tcp", "--all-targets",
                   "--", "-D", "warnings"]),
        ],
    },
    Suite {
        name: "docs",
        about: "the documentation builds without a warning",
        needs: &[],
        steps: &[Step::Cargo(Cargo {
            args: &["doc", "--workspace", "--no-deps"],
            env: &[("RUSTDOCFLAGS", "-D warnings")],
            target: None,
        })],
    },
    Suite {
        name: "workspace",
        about: "unit, integration, property and conformance tests of every crate",
        needs: &[],
        steps: &[Step::Nextest(
            cargo(&["nextest", "run", "--workspace", "--no-fail-fast"]),
            cargo(&["test", "--workspace", "--no-fail-fast", "--lib", "--bins", "--tests", "--examples"]),
        )],
    },
    Suite {
        name: "doctest",
        about: "the examples in the documentation and the README",
        needs: &[],
        steps: &[step(&["test", "--workspace", "--doc"])],
    },
    Suite {
        name: "features",
        about: "what the features vm-memory and mockall add",
        needs: &[],
        steps: &[
            step(&["test", "-p", "netrx", "--features", "vm-memory,mockall", "--lib", "--test", "vm_memory"]),
            step(&["test", "-p", "netrx", "--features", "vm-memory,mockall", "--doc"]),
        ],
    },
    Suite {
        name: "loom",
        about: "the orderings that must not lose a wake-up, in every interleaving of a few preemptions",
        needs: &[],
        steps: &[
            Step::Nextest(
                loom(&["nextest", "run", "--release", "--no-fail-fast", "-p", "netrx-loom"]),
                loom(&["test", "--release", "--no-fail-fast", "-p", "netrx-loom"]),
            ),
            Step::Nextest(
                loom(&["nextest", "run", "--release", "--no-fail-fast", "-p", "netrx-tcp", "-p", "netrx-kvm", "--lib",
                       "models::"]),
                loom(&["test", "--release", "--no-fail-fast", "-p", "netrx-tcp", "-p", "netrx-kvm", "--lib", "models::"]),
            ),
        ],
    },
    Suite {
        name: "stress",
        about: "the long tests: millions of frames, a thousand restarts",
        needs: &[],
        steps: &[step(&["test", "--release", "--workspace", "--test", "stress", "--", "--ignored"])],
    },
    Suite {
        name: "kqueue",
        about: "the code paths for kqueue, run on Linux against libkqueue",
        needs: &[Component::Clippy, Component::Libkqueue],
        steps: &[
            step(&["clippy", "-p", "netrx-poller", "-p", "netrx-socketpair", "-p", "netrx-tcp", "--all-targets",
                   "--features", "libkqueue", "--", "-D", "warnings"]),
            step(&["test", "-p", "netrx-poller", "-p", "netrx-socketpair", "-p", "netrx-tcp",
                   "--features", "libkqueue"]),
        ],
    },
    Suite {
        name: "kvm",
        about: "frames through KVM into a guest that runs",
        needs: &[Component::Kvm],
        steps: &[
            Step::Cargo(Cargo {
                args: &["test", "-p", "netrx-kvm", "--lib", "--tests"],
                env: &[("NETRX_KVM", "required")],
                target: None,
            }),
            step(&["run", "-p", "netrx-kvm", "--example", "real_mode"]),
        ],
    },
    Suite {
        name: "fuzz",
        about: "a smoke run of every fuzz target",
        needs: &[Component::Nightly, Component::CargoFuzz, Component::CxxCompiler],
        steps: &[Step::Fuzz],
    },
    Suite {
        name: "cross",
        about: "clippy for macOS and FreeBSD, also of what core's features add",
        needs: &[Component::CrossStd],
        steps: &[Step::Cross],
    },
    Suite {
        name: "example",
        about: "the main jobs: a capture and a promoted connection go through a mock machine, nothing lost",
        needs: &[],
        steps: &[
            step(&["run", "--release", "--example", "inject", "--", "--frames", "20000", "--json"]),
            step(&["run", "--release", "-p", "netrx-tcp", "--example", "promote", "--", "256"]),
        ],
    },
];

/// The names of all suites, in order.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    SUITES.iter().map(|suite| suite.name)
}

/// The named suites in the table's order; all when none is named.
pub(crate) fn select(only: &[String]) -> impl Iterator<Item = &'static Suite> {
    SUITES.iter().filter(move |suite| only.is_empty() || only.iter().any(|name| name == suite.name))
}

/// The suites and their needs, for people.
pub(crate) fn listing() -> String {
    let line = |suite: &Suite| {
        let needs: Vec<_> = suite.needs.iter().map(|component| component.name()).collect();
        let needs = if needs.is_empty() { String::new() } else { format!(" (needs {})", needs.join(", ")) };
        format!("{:<10} {}{needs}\n", suite.name, suite.about)
    };
    SUITES.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_every_suite_does_something() {
        assert_eq!(names().collect::<HashSet<_>>().len(), SUITES.len());
        assert!(SUITES.iter().all(|suite| !suite.steps.is_empty()));
    }

    #[test]
    fn selection_keeps_the_order_of_the_table() {
        let only = ["docs".to_owned(), "format".to_owned()];
        assert_eq!(select(&only).map(|suite| suite.name).collect::<Vec<_>>(), ["format", "docs"]);
        assert_eq!(select(&[]).count(), SUITES.len());
    }

    #[test]
    fn the_listing_names_needs() {
        assert!(listing().contains("libkqueue (needs clippy, libkqueue)\n"));
        assert!(listing().contains("formatted (needs rustfmt)\n"));
    }

    #[test]
    fn a_suite_needs_what_its_steps_run() {
        for suite in SUITES {
            let commands = suite.steps.iter().filter_map(|step| match step {
                Step::Cargo(cargo) => cargo.args.first(),
                Step::Nextest(..) | Step::Fuzz | Step::Cross => None,
            });
            for command in commands {
                let needed = match *command {
                    "fmt" => Component::Rustfmt,
                    "clippy" => Component::Clippy,
                    _ => continue,
                };
                assert!(suite.needs.contains(&needed), "{} runs cargo {command}", suite.name);
            }
        }
    }
}
