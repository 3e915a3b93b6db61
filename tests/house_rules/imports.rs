//! Who imports whom: the modules of core among each other, core and the world, the backends and each other.

use crate::source::{File, Finding, words};

/// Each module of core and the modules it may name.
#[rustfmt::skip]
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("sync",       &[]),
    ("spec",       &[]),
    ("mem",        &["sync"]),
    ("ring",       &["mem", "spec", "sync"]),
    ("space",      &["mem", "spec", "ring"]),
    ("source",     &["space", "sync"]),
    ("irq",        &["sync"]),
    // A hypervisor hands out memory and interrupt lines.
    ("hypervisor", &["mem", "irq"]),
    ("engine",     &["mem", "spec", "ring", "space", "sync", "source", "irq"]),
    ("mocks",      &["mem", "space", "source", "irq", "hypervisor"]),
    ("worker",     &["mem", "spec", "ring", "space", "sync", "source", "irq", "hypervisor", "engine"]),
    ("mmio",       &["mem", "spec", "ring", "sync", "irq", "engine", "worker"]),
];

/// The backends that others may test with: the mock, and a source for those that have none.
const TESTED_WITH: [&str; 2] = ["netrx-mock", "netrx-channel"];

/// What is below backends and shared by them, where it is, and who may depend on it. It knows nothing of netrx itself.
const SHARED: &[(&str, &str, &[&str])] = &[(
    "netrx-poller",
    "backends/poller/Cargo.toml",
    &["backends/socketpair/Cargo.toml", "backends/tcp/Cargo.toml"],
)];

/// Names of other modules in `src/` must be in the table.
pub(crate) fn directions(file: &File) -> Vec<Finding> {
    let Some(module) = module(&file.path) else { return Vec::new() };
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
        return vec![file.finding(
            0,
            format!("`{module}` is in no row of MAY_IMPORT: add one and say whom it may import"),
        )];
    };
    let named = named(&file.code.join("\n"));
    named
        .into_iter()
        .filter_map(|(line, name)| Some(file.finding(line, judge(module, allowed, &name)?)))
        .collect()
}

fn judge(module: &str, allowed: &[&str], name: &str) -> Option<String> {
    if name == module || allowed.contains(&name) {
        None
    } else if MAY_IMPORT.iter().any(|(known, _)| *known == name) {
        Some(format!("`{module}` may not import `{name}`: move what is shared down, or pass it in"))
    } else {
        Some(format!("`crate::{name}` hides where it comes from: name the module it is defined in"))
    }
}

/// The module a file of `src/` belongs to; the crate's root belongs to none.
fn module(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/").filter(|inside| *inside != "lib.rs")?;
    inside.split('/').next()?.strip_suffix(".rs").or_else(|| inside.split('/').next())
}

/// What follows `crate::` (any name) and `super::` (modules of core), with its line. Braces are looked into.
fn named(code: &str) -> Vec<(usize, String)> {
    let known = |name: &str| MAY_IMPORT.iter().any(|(module, _)| *module == name);
    let mut found = Vec::new();
    for (at, root) in words(code) {
        let Some(path) = code[at + root.len()..].trim_start().strip_prefix("::") else { continue };
        for (offset, name) in heads(path) {
            if root == "crate" || (root == "super" && known(name)) {
                let start = code.len() - path.len() + offset;
                found.push((code[..start].matches('\n').count(), name.to_owned()));
            }
        }
    }
    found
}

/// The first names of a path or of each path in its braces, with the byte at which they start.
fn heads(path: &str) -> Vec<(usize, &str)> {
    let open = path.len() - path.trim_start().len();
    if !path[open..].starts_with('{') {
        return words(path).next().into_iter().collect();
    }
    let (mut depth, mut fresh, mut found) = (0, false, Vec::new());
    for (at, c) in path.char_indices().skip_while(|(at, _)| *at < open) {
        match c {
            '{' => (depth, fresh) = (depth + 1, depth == 0),
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' if depth == 1 => fresh = true,
            c if fresh && !c.is_whitespace() => {
                found.extend(words(&path[at..]).next().map(|(_, name)| (at, name)));
                fresh = false;
            }
            _ => {}
        }
    }
    found
}

/// Core names no crate of the workspace and no OS interface.
pub(crate) fn core_is_neutral(file: &File) -> Vec<Finding> {
    if !file.path.starts_with("src/") {
        return Vec::new();
    }
    file.find(|line| {
        let (_, name) = words(line).find(|(_, word)| *word == "libc" || word.starts_with("netrx_"))?;
        Some(format!("core does not know `{name}`: put what needs it into a backend"))
    })
}

/// Dependencies of the root package and of the backends on backends.
pub(crate) fn dependencies(file: &File) -> Vec<Finding> {
    let mut section = String::new();
    let mut found = Vec::new();
    for (at, line) in file.raw.iter().map(|line| line.trim()).enumerate() {
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']').to_owned();
        }
        let Some((kind, name)) = dependency(&section, line) else { continue };
        if !may_depend(&file.path, kind, name) {
            found.push(file.finding(
                at,
                format!(
                    "no {kind} on `{name}` here: only core, what SHARED says, and for tests {}",
                    TESTED_WITH.join(", ")
                ),
            ));
        }
    }
    found
}

/// The kind and the name of the dependency this line adds, be it `name = ...` or a section of its own.
fn dependency<'a>(section: &'a str, line: &'a str) -> Option<(&'a str, &'a str)> {
    let kinds = ["dev-dependencies", "build-dependencies", "dependencies"];
    let in_section = |kind: &str| section == kind || section.ends_with(&format!(".{kind}"));
    if section.starts_with("workspace") || line.starts_with('#') {
        return None;
    }
    if line.starts_with('[') {
        let (table, name) = section.rsplit_once('.')?;
        let kind = kinds.into_iter().find(|kind| table == *kind || table.ends_with(&format!(".{kind}")))?;
        return Some((kind, name));
    }
    let kind = kinds.into_iter().find(|kind| in_section(kind))?;
    let name = line.split(['=', '.', ' ']).next().filter(|name| !name.is_empty())?;
    Some((kind, name))
}

fn may_depend(path: &str, kind: &str, name: &str) -> bool {
    let core = path == "Cargo.toml";
    if let Some((.., users)) = SHARED.iter().find(|(shared, ..)| *shared == name) {
        return kind == "dependencies" && users.contains(&path);
    }
    match name {
        name if name.starts_with("netrx") && SHARED.iter().any(|(_, at, _)| *at == path) => false,
        // Core's own tests, benches and examples use the backends.
        name if name.starts_with("netrx-") => {
            kind == "dev-dependencies" && (core || TESTED_WITH.contains(&name))
        }
        "libc" => !core || kind == "dev-dependencies",
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches(path: &str, text: &str) -> Vec<String> {
        directions(&File::new(path, text)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_forbidden_import_is_found_however_it_is_written() {
        let forms = [
            "use crate::worker::Slot;",
            "use crate::{mem::Gpa, worker::{self, Slot}};",
            "use crate::{\n    mem::Gpa,\n    worker::Slot,\n};",
            "fn f() { crate::worker::run() }",
            "use super::super::worker::Slot;",
            "use crate :: worker;",
        ];
        for form in forms {
            let found = breaches("src/ring/split.rs", form);
            assert!(found.len() == 1 && found[0].contains("may not import `worker`"), "{form}: {found:?}");
        }
        assert_eq!(breaches("src/irq.rs", "\n\nuse super::ring::Ring;").len(), 1);
    }

    #[test]
    fn the_line_is_that_of_the_name() {
        let found = breaches("src/ring/split.rs", "\nuse crate::{\n    mem::Gpa,\n    worker::Slot,\n};");
        assert!(found.len() == 1 && found[0].starts_with("src/ring/split.rs:4: "), "{found:?}");
    }

    #[test]
    fn what_the_table_allows_is_not_found() {
        let text = "use crate::mem::{Gpa, worker};\nuse crate::{ring::Chain, spec::{self, worker}};\nuse super::split;\n\
                    // use crate::worker::Slot;\nlet s = \"crate::worker\";\npub(crate) fn f() {}";
        assert!(breaches("src/ring/packed.rs", text).is_empty());
        assert!(breaches("src/lib.rs", "use crate::worker::Slot;").is_empty());
        assert!(breaches("tests/x.rs", "use crate::worker::Slot;").is_empty());
    }

    #[test]
    fn unknown_modules_and_names_of_the_root_are_found() {
        assert!(breaches("src/new.rs", "//! x")[0].contains("in no row"));
        assert!(breaches("src/ring/split.rs", "use crate::Gpa;")[0].contains("hides where it comes from"));
    }

    #[test]
    fn core_naming_a_backend_or_libc_is_found() {
        let found = |path, text| core_is_neutral(&File::new(path, text)).len();
        assert_eq!(found("src/irq.rs", "use netrx_channel::X;\nlibc::write(1);\n// libc"), 2);
        assert_eq!(found("backends/kvm/src/sys.rs", "use libc::write;"), 0);
    }

    #[test]
    fn a_dependency_on_a_sibling_is_found_in_every_form() {
        let forms = [
            "[dependencies]\nnetrx-channel.workspace = true",
            "[dependencies]\nnetrx-mock = { path = \"../mock\" }",
            "[target.'cfg(unix)'.dependencies]\nnetrx-channel = \"1\"",
            "[dependencies.netrx-channel]\npath = \"../channel\"",
            "[dev-dependencies]\nnetrx-pcap.workspace = true",
            "[build-dependencies]\nnetrx-mock.workspace = true",
        ];
        for form in forms {
            assert_eq!(dependencies(&File::new("backends/kvm/Cargo.toml", form)).len(), 1, "{form}");
        }
        let core = "[dependencies]\nlibc = \"0.2\"\nnetrx-mock.workspace = true\n[dev-dependencies]\nnetrx-channel = \"1\"";
        assert_eq!(dependencies(&File::new("Cargo.toml", core)).len(), 2);
    }

    #[test]
    fn what_is_shared_is_its_users_and_knows_nothing_of_netrx() {
        let found = |path, text| dependencies(&File::new(path, text)).len();
        let shared = "[dependencies]\nnetrx-poller.workspace = true";
        assert_eq!(found("backends/tcp/Cargo.toml", shared), 0);
        assert_eq!(found("backends/pcap/Cargo.toml", shared), 1);
        assert_eq!(found("Cargo.toml", shared), 1);
        assert_eq!(found("backends/tcp/Cargo.toml", "[dev-dependencies]\nnetrx-poller.workspace = true"), 1);
        assert_eq!(found("backends/poller/Cargo.toml", "[dependencies]\nnetrx.workspace = true"), 1);
        assert_eq!(found("backends/poller/Cargo.toml", "[dev-dependencies]\nnetrx-mock.workspace = true"), 1);
        assert_eq!(found("backends/poller/Cargo.toml", "[dependencies]\nlibc.workspace = true"), 0);
    }

    #[test]
    fn core_and_what_others_test_with_are_allowed() {
        let good = "[package]\nname = \"netrx-kvm\"\n[dependencies]\nnetrx.workspace = true\nlibc = \"0.2\"\n\
                    # netrx-channel = \"1\"\n[dev-dependencies]\nnetrx-mock.workspace = true\nnetrx-channel.workspace = true";
        assert!(dependencies(&File::new("backends/kvm/Cargo.toml", good)).is_empty());
        let workspace = "[workspace.dependencies]\nnetrx-mock = { path = \"backends/mock\" }\nlibc = \"0.2\"";
        assert!(dependencies(&File::new("Cargo.toml", workspace)).is_empty());
    }
}
