//! Where `unsafe` may stand and what must be said about it, and that guest memory is never a reference.

use crate::source::{File, Finding, has_word, words};

/// The files to read slowly: nothing else may hold `unsafe`. `*` stands for one name, a final `/` for a whole folder.
#[rustfmt::skip]
const ISLANDS: &[(&str, &str)] = &[
    ("src/mem/",               "guest memory is reached through raw pointers"),
    ("src/sync.rs",            "shared words of ring and memory"),
    ("src/ring/pool.rs",       "buffers kept from turn to turn"),
    ("src/ring/pool/loan.rs",  "buffers lent to the kernel"),
    ("src/mocks.rs",           "a mock of an unsafe trait"),
    ("backends/*/src/sys.rs",  "calls into the operating system"),
    ("backends/*/src/sys/",    "calls into the operating system"),
    ("backends/mock/tests/refused.rs", "a memory that hands out too much"),
    ("tests/mmio/hal.rs",      "memory of a driver from elsewhere"),
    ("backends/hvf/examples/vmm/vm.rs", "the VM and its memory"),
    ("backends/hvf/examples/vmm/cpu.rs", "the vCPU"),
    ("backends/hvf/tests/framework/", "exports the symbols of the framework that it stands in for"),
    ("backends/hvf/tests/hvf/rig.rs", "vCPUs and memory made by hand"),
    ("backends/kvm/tests/guest/code.rs", "labels of the guest's program"),
    ("backends/kvm/tests/kvm/not_a_vm.rs", "a VM made of a descriptor that is none"),
    ("tests/loom/tests/vcpus/framework.rs", "exports the symbol of the framework that it models"),
    ("tests/loom/src/ram.rs",  "guest memory of the models"),
    ("tests/dirty_log.rs",     "a memory that watches another"),
    ("tests/layout.rs",        "a memory that hides another"),
    ("tests/allocations.rs",   "counting allocator"),
    ("backends/*/tests/allocations.rs", "counting allocator"),
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

/// Methods that make a reference of a pointer, which only an unsafe block can call: outside of it they are those of
/// `AsRef` and `Option`.
const CONVERSIONS: [&str; 6] =
    ["as_ref", "as_mut", "as_ref_unchecked", "as_mut_unchecked", "as_uninit_ref", "as_uninit_mut"];

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
    if is_type || comment || (declares && (section || in_trait_impl(file, at))) {
        None
    } else if declares {
        Some((at, "no `# Safety` section: say in the docs what the caller must keep"))
    } else {
        Some((at, "no `// SAFETY:` comment right above: say why this is sound"))
    }
}

/// Whether the item at this line is a trait's, implemented here: the contract is written at the trait. Goes by the
/// indentation, which rustfmt keeps.
fn in_trait_impl(file: &File, at: usize) -> bool {
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let own = indentation(&file.code[at]);
    let mut outer =
        file.code[..at].iter().rev().filter(|line| !line.trim().is_empty() && indentation(line) < own);
    let item = outer.find(|line| ["impl", "trait", "mod"].iter().any(|word| has_word(line, word)));
    item.is_some_and(|line| has_word(line, "impl") && has_word(line, "for"))
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
    let mut found = file.find(|line| {
        let (_, what) = words(line).find(|(_, word)| REFERENCES.contains(word))?;
        Some(guest_reference(what))
    });
    let code = file.code.join("\n");
    for (start, block) in unsafe_blocks(&code) {
        // Outside such a block this is an ordinary reborrow: no raw pointer can be followed there.
        let reborrows = ["&mut *", "&*", "&mut (*", "&(*"].iter().flat_map(|form| block.match_indices(form));
        let conversions = words(block).filter(|(_, word)| CONVERSIONS.contains(word));
        for (at, form) in reborrows.chain(conversions) {
            found.push(file.finding(code[..start + at].matches('\n').count(), guest_reference(form)));
        }
    }
    found
}

fn guest_reference(what: &str) -> String {
    format!("`{what}` may make a reference to guest memory: copy through raw pointers instead")
}

/// The insides of `unsafe { ... }`, each with the byte at which it starts.
fn unsafe_blocks(code: &str) -> Vec<(usize, &str)> {
    let blocks = words(code).filter(|(_, word)| *word == "unsafe").filter_map(|(at, word)| {
        let body = code[at + word.len()..].trim_start().strip_prefix('{')?;
        let mut depth = 1;
        let end = body.find(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            depth == 0
        });
        Some((code.len() - body.len(), &body[..end.unwrap_or(body.len())]))
    });
    blocks.collect()
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
            "impl X for Y {}\nimpl Y {\n    unsafe fn f() {}\n}",
            "trait X {\n    unsafe fn f();\n}",
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
            "impl Word for u16 {\n    fn a() {}\n\n    #[inline]\n    unsafe fn load() {}\n}",
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
        let bad = [
            "slice::from_raw_parts(p, n)",
            "IoSliceMut::new(b)",
            "unsafe { &mut *p }",
            "unsafe {\n{}\n&*p }",
            "unsafe { p.as_ref() }",
            "unsafe {\n    NonNull::as_mut(&mut p) }",
            "unsafe { p.as_uninit_ref() }",
        ];
        for bad in bad {
            assert_eq!(count("src/mem/x.rs", bad), 1, "{bad}");
            assert_eq!(count("backends/tap/src/sys.rs", bad), 1, "{bad}");
            assert_eq!(count("tests/x.rs", bad), 0, "{bad}");
        }
        assert_eq!(
            count("src/mem/x.rs", "let s = &mut *self.boxed; unsafe { x() }; f(&*arc); // from_raw_parts"),
            0
        );
        assert_eq!(count("src/mem/x.rs", "unsafe { x() }; put(frame.as_ref()); let y = option.as_mut();"), 0);
    }
}
