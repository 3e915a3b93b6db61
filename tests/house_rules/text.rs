//! What every file looks like: short, finished, silent, introduced.

use crate::source::{File, Finding, words};

const LONGEST: usize = 400;
/// Spelt in two halves, or this file would break its own rule.
const LOOSE_ENDS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];
const PRINTING: [&str; 5] = ["print", "println", "eprint", "eprintln", "dbg"];

pub(crate) fn short(file: &File) -> Vec<Finding> {
    let length = file.raw.len();
    let advice = || format!("{length} lines are more than {LONGEST}: split the file by concept");
    (length > LONGEST).then(|| file.finding(LONGEST, advice())).into_iter().collect()
}

pub(crate) fn finished(file: &File) -> Vec<Finding> {
    let lines = file.raw.iter().enumerate();
    let found = lines.filter_map(|(at, line)| {
        let (_, word) = words(line).find(|(_, word)| LOOSE_ENDS.contains(word))?;
        Some(file.finding(at, format!("{word}: do it, or file it where work is planned")))
    });
    found.collect()
}

/// Every `allow` and `expect` attribute says why.
pub(crate) fn reasoned(file: &File) -> Vec<Finding> {
    let code = file.code.join("\n");
    let starts = ["#[allow", "#![allow", "#[expect", "#![expect"]
        .into_iter()
        .flat_map(|form| code.match_indices(form));
    let silent = starts.filter(|(at, _)| {
        let attribute = code[*at..].split(")]").next().unwrap_or_default();
        !words(attribute).any(|(_, word)| word == "reason")
    });
    silent
        .map(|(at, form)| {
            let line = code[..at].matches('\n').count();
            file.finding(line, format!("`{form}` without a reason: add `reason = \"...\"`"))
        })
        .collect()
}

pub(crate) fn silent(file: &File) -> Vec<Finding> {
    // The tests of a module may show their tables.
    if !file.is_library() || file.path.contains("/tests/") {
        return Vec::new();
    }
    file.find(|line| {
        let printing =
            |(at, word): &(usize, &str)| PRINTING.contains(word) && line[at + word.len()..].starts_with('!');
        let (_, word) = words(line).find(printing)?;
        Some(format!("`{word}!` in a library: return it, count it, or trace it"))
    })
}

pub(crate) fn introduced(file: &File) -> Vec<Finding> {
    let opens =
        file.raw.iter().find(|line| !line.trim().is_empty()).is_some_and(|line| line.starts_with("//!"));
    let missing = file.is_library() && !opens;
    missing.then(|| file.finding(0, "begin with `//!`: what the file holds and why")).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(text: &str) -> File {
        File::new("src/ring/split.rs", text)
    }

    #[test]
    fn the_line_after_the_longest_is_too_much() {
        assert!(short(&library(&"x\n".repeat(LONGEST))).is_empty());
        assert_eq!(short(&library(&"x\n".repeat(LONGEST + 1))).len(), 1);
    }

    #[test]
    fn loose_ends_are_found_in_comments_and_strings() {
        for word in LOOSE_ENDS {
            assert_eq!(finished(&library(&format!("// {word}: later\nf(\"{word}\");"))).len(), 2);
        }
        assert!(finished(&library("mastodon todo!")).is_empty());
    }

    #[test]
    fn an_allow_needs_a_reason_on_whatever_line() {
        let bad = [
            "#[allow(dead_code)]",
            "#![allow(\n  dead_code,\n)]",
            "#[expect(x)] // reason",
            "#[allow(x)]\nfn reason() {}",
        ];
        for text in bad {
            assert_eq!(reasoned(&library(text)).len(), 1, "{text}");
        }
        for text in
            ["#[allow(x, reason = \"y\")]", "#[allow(\n  x,\n  reason = \"y (z)\"\n)]", "// #[allow(x)]"]
        {
            assert!(reasoned(&library(text)).is_empty(), "{text}");
        }
    }

    #[test]
    fn printing_is_found_in_the_library_only() {
        assert_eq!(silent(&library("println!(\"x\");\nlet y = dbg!(y);\nprint(x); // println!()")).len(), 2);
        assert!(silent(&File::new("xtask/src/main.rs", "println!()")).is_empty());
        assert!(silent(&File::new("src/ring/tests/table.rs", "println!()")).is_empty());
    }

    #[test]
    fn a_file_without_docs_is_found() {
        assert_eq!(introduced(&library("use std::io;\n//! late")).len(), 1);
        assert_eq!(introduced(&library("")).len(), 1);
        assert!(introduced(&library("\n//! Split ring.")).is_empty());
        assert!(introduced(&File::new("tests/x.rs", "")).is_empty());
    }
}
