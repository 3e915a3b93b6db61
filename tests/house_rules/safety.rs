//! Where `unsafe` may stand and what must be said about it, and that guest memory is never a reference.

use crate::source::{File, Finding, has_word, words};

/// The files to read slowly: nothing else may hold `unsafe`. `*` stands for one name, a final `/` for a whole folder.
#[rustfmt::skip]
const ISLANDS: &[(&str, &str)] = &[
    ("src/mem/",               "guest memory is reached through raw pointers"),
    ("src/sync.rs",            "shared words of ring and memory"),
    ("src/space/pool.rs",      "buffers lent to the kernel"),
    ("backends/*/src/sys.rs",  "calls into the operating system"),
    ("backends/*/src/sys/",    "calls into the operating system"),
    ("benches/",               "counting allocators and floors to measure against"),
];

/// Slices and references made from raw parts; guest memory must not become one.
const REFERENCES: [&str; 6] = [
    "from_raw_parts",
    "from_raw_parts_mut",
    "IoSliceMut",
    "as_mut_slice",
    "as_uninit_slice",
    "as_uninit_slice_mut",
];

fn is_island(path: &str) -> bool {
    ISLANDS.iter().any(|(pattern, _)| matches(pattern, path))
}

fn matches(pattern: &str, path: &str) -> bool {
    let mut names = path.split('/');
    let mut parts = pattern.split('/');
    loop {
        match (parts.next(), names.next()) {
            (None, None) | (Some(""), Some(_)) => return true,
            (Some(part), Some(name)) if part == "*" || part == name => {}
            _ => return false,
        }
    }
}

/// `unsafe` outside the islands.
pub(crate) fn islands(file: &File) -> Vec<Finding> {
    if is_island(&file.path) {
        return Vec::new();
    }
    let advice = "unsafe outside the islands: use what mem or a sys module offers, or add the file to ISLANDS with a reason";
    file.find(|line| has_word(line, "unsafe").then(|| advice.to_owned()))
}

/// `unsafe` without a word on why it is sound.
pub(crate) fn explained(file: &File) -> Vec<Finding> {
    let lines = file.code.iter().enumerate();
    let missing = lines.flat_map(|(at, line)| {
        let uses = words(line).filter(|(_, word)| *word == "unsafe");
        uses.filter_map(move |(start, _)| missing(file, at, line[start..].trim_start_matches("unsafe")))
    });
    missing.map(|(at, advice)| file.finding(at, advice)).collect()
}

/// What is missing at one `unsafe`, given what follows it.
fn missing(file: &File, at: usize, after: &str) -> Option<(usize, &'static str)> {
    let head = after.split(['{', '(']).next().unwrap_or_default();
    let is_type = words(head).last().is_some_and(|(_, word)| word == "fn");
    let declares = has_word(head, "fn") || has_word(head, "trait");
    let above = above(file, at);
    let comment = above.iter().any(|line| line.contains("// SAFETY:"));
    let section = above.iter().any(|line| line.contains("/// # Safety"));
    if is_type || comment || (declares && section) {
        None
    } else if declares {
        Some((at, "no `# Safety` section: say in the docs what the caller must keep"))
    } else {
        Some((at, "no `// SAFETY:` comment right above: say why this is sound"))
    }
}

/// The line itself and those above it that belong to it: comments, attributes, the statement's earlier lines.
fn above(file: &File, at: usize) -> Vec<&str> {
    let mut lines = vec![file.raw[at].as_str()];
    for earlier in (0..at).rev() {
        let (raw, code) = (file.raw[earlier].trim(), file.code[earlier].trim_end());
        let ends = code.ends_with([';', '{', '}', ',']) && !raw.starts_with("#[");
        if raw.is_empty() || ends {
            break;
        }
        lines.push(raw);
    }
    lines
}

/// References to memory that the guest can change under us.
pub(crate) fn no_guest_references(file: &File) -> Vec<Finding> {
    if !file.is_library() {
        return Vec::new();
    }
    let island = is_island(&file.path);
    file.find(|line| {
        let named = words(line).map(|(_, word)| word).find(|word| REFERENCES.contains(word));
        // Only where raw pointers can be followed at all; elsewhere this is an ordinary reborrow.
        let reborrow =
            ["&mut *", "&*", "&mut(*", "&(*"].into_iter().find(|form| island && line.contains(form));
        let what = named.or(reborrow)?;
        Some(format!("`{what}` may make a reference to guest memory: copy through raw pointers instead"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names_and_folders() {
        assert!(is_island("src/mem/region.rs") && is_island("backends/kvm/src/sys.rs"));
        assert!(is_island("backends/kvm/src/sys/epoll/mod.rs") && is_island("benches/alloc.rs"));
        assert!(
            !is_island("src/mem.rs")
                && !is_island("src/space/pool/x.rs")
                && !is_island("backends/src/sys.rs")
        );
    }

    #[test]
    fn unsafe_outside_an_island_is_found() {
        let count = |path, text| islands(&File::new(path, text)).len();
        assert_eq!(
            count("src/ring/split.rs", "unsafe { x() };\n#[unsafe(no_mangle)]\nunsafe impl Send for X {}"),
            3
        );
        assert_eq!(count("src/ring/split.rs", "#![deny(unsafe_code)]\n// unsafe\nlet s = \"unsafe\";"), 0);
        assert_eq!(count("src/mem/slice.rs", "unsafe { x() }"), 0);
    }

    #[test]
    fn an_unexplained_unsafe_is_found() {
        let bad = [
            "fn f() {\n    unsafe { x() }\n}",
            "// SAFETY: of the other one.\na();\nunsafe { x() }",
            "// SAFETY: too far.\n\nunsafe { x() }",
            "/// Docs.\nunsafe impl Send for X {}",
            "/// Does.\npub unsafe fn f() {}",
            "pub unsafe trait T {}",
            "unsafe extern \"C\" { fn f(); }",
            "unsafe { let f: fn(i32) = x(); }",
            "// SAFETY: fine.\nunsafe { x() };\nunsafe { y() };",
        ];
        for text in bad {
            assert_eq!(explained(&File::new("src/mem/x.rs", text)).len(), 1, "{text}");
        }
    }

    #[test]
    fn an_explained_unsafe_passes() {
        let good = [
            "// SAFETY: y.\nunsafe { x() }",
            "// SAFETY: y,\n// and z.\nlet a =\n    unsafe { x() };",
            "// SAFETY: y.\n#[allow(unsafe_code, reason = \"z\")]\nunsafe impl Send for X {}",
            "/// # Safety\n/// Keep it.\n#[inline]\npub unsafe fn f() {}",
            "/// # Safety\n///\n/// Keep it.\npub unsafe trait T {}",
            "// SAFETY: as in C.\nunsafe extern \"C\" { fn f(); }",
            "type F = unsafe extern \"C\" fn(i32);",
        ];
        for text in good {
            assert!(explained(&File::new("src/mem/x.rs", text)).is_empty(), "{text}");
        }
    }

    #[test]
    fn references_from_raw_parts_are_found_in_the_library() {
        let count = |path, text| no_guest_references(&File::new(path, text)).len();
        for bad in ["slice::from_raw_parts(p, n)", "IoSliceMut::new(b)", "let r = &mut *p;", "let r = &*p;"] {
            assert_eq!(count("src/mem/x.rs", bad), 1, "{bad}");
            assert_eq!(count("backends/tap/src/sys.rs", bad), 1, "{bad}");
            assert_eq!(count("tests/x.rs", bad), 0, "{bad}");
        }
        assert_eq!(count("src/engine/x.rs", "let s = &mut *self.boxed; // from_raw_parts"), 0);
    }
}
