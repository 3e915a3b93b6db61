//! The house rules, held by a test each: who imports whom, where `unsafe` may stand, no reference to guest memory,
//! and what every file looks like. Plain text scanning: `source` tells code from comments and strings, the other
//! files hold the rules, each with snippets that break it.

mod imports;
mod safety;
mod source;
mod text;

use std::io;

use source::{File, Finding, manifests, rust_files};

/// Fails with every finding on its own line.
fn hold(rule: &str, findings: &[Finding]) {
    let lines: String = findings.iter().map(|finding| format!("\n  {finding}")).collect();
    assert!(findings.is_empty(), "{rule}{lines}\n");
}

/// Findings of a rule over all files it concerns.
fn over(files: &[File], rule: impl Fn(&File) -> Vec<Finding>) -> Vec<Finding> {
    files.iter().flat_map(rule).collect()
}

#[test]
fn core_modules_import_only_whom_they_may() -> io::Result<()> {
    hold(
        "import directions of src/ (the table is in imports.rs)",
        &over(&rust_files()?, imports::directions),
    );
    Ok(())
}

#[test]
fn core_names_no_backend_and_no_os() -> io::Result<()> {
    hold("core names no backend crate and no OS", &over(&rust_files()?, imports::core_is_neutral));
    Ok(())
}

#[test]
fn no_crate_depends_on_a_backend_it_should_not_know() -> io::Result<()> {
    hold("a backend depends on core and what it may share", &over(&manifests()?, imports::dependencies));
    Ok(())
}

#[test]
fn unsafe_stays_on_its_islands() -> io::Result<()> {
    hold("unsafe islands (the list is in safety.rs)", &over(&rust_files()?, safety::islands));
    Ok(())
}

#[test]
fn unsafe_is_explained() -> io::Result<()> {
    hold("every unsafe has its reason", &over(&rust_files()?, safety::explained));
    Ok(())
}

#[test]
fn there_is_no_reference_to_guest_memory() -> io::Result<()> {
    hold("no reference to guest memory", &over(&rust_files()?, safety::no_guest_references));
    Ok(())
}

#[test]
fn files_are_short() -> io::Result<()> {
    hold("file length", &over(&rust_files()?, text::short));
    Ok(())
}

#[test]
fn nothing_is_left_to_do() -> io::Result<()> {
    hold("no loose ends", &over(&rust_files()?, text::finished));
    Ok(())
}

#[test]
fn lints_are_switched_off_with_a_reason() -> io::Result<()> {
    hold("allow and expect have a reason", &over(&rust_files()?, text::reasoned));
    Ok(())
}

#[test]
fn the_library_does_not_print() -> io::Result<()> {
    hold("no printing", &over(&rust_files()?, text::silent));
    Ok(())
}

#[test]
fn every_file_says_what_it_is() -> io::Result<()> {
    hold("module docs", &over(&rust_files()?, text::introduced));
    Ok(())
}
