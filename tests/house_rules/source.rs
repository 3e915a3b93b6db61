//! The files the rules are about, and each line of them with comments and strings told apart from code.

use std::path::Path;
use std::{fmt, fs, io};

/// Where this project's own code is.
const ROOTS: [&str; 7] = ["src", "backends", "benches", "examples", "xtask", "fuzz", "tests"];
/// Folders below them that hold no code of ours.
const SKIPPED: [&str; 4] = ["target", "corpus", "artifacts", "coverage"];

/// A text file, its path relative to the workspace's root.
pub(crate) struct File {
    pub(crate) path: String,
    /// The lines as they are.
    pub(crate) raw: Vec<String>,
    /// The same lines with comments and the insides of strings blanked out.
    pub(crate) code: Vec<String>,
}

/// One breach of a rule.
pub(crate) struct Finding {
    place: String,
    advice: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.advice)
    }
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let lines = |text: &str| text.lines().map(str::to_owned).collect();
        Self { path: path.to_owned(), raw: lines(text), code: lines(&code_only(text)) }
    }

    /// A finding at a line counted from 0.
    pub(crate) fn finding(&self, line: usize, advice: impl Into<String>) -> Finding {
        Finding { place: format!("{}:{}", self.path, line + 1), advice: advice.into() }
    }

    /// The lines of code, counted from 0, for which there is advice.
    pub(crate) fn find(&self, advice: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
        let lines = self.code.iter().enumerate();
        lines.filter_map(|(at, line)| Some(self.finding(at, advice(line)?))).collect()
    }

    /// Whether it is part of the library: core, or a backend's own sources.
    pub(crate) fn is_library(&self) -> bool {
        let mut parts = self.path.split('/');
        match parts.next() {
            Some("src") => true,
            Some("backends") => parts.nth(1) == Some("src"),
            _ => false,
        }
    }
}

/// The words of a line of code, each with the byte at which it starts.
pub(crate) fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut at = 0;
    line.split_inclusive(move |c| !is_word(c)).filter_map(move |piece| {
        let start = at;
        at += piece.len();
        let word = piece.trim_end_matches(|c| !is_word(c));
        (!word.is_empty()).then_some((start, word))
    })
}

/// Whether a line of code holds this word.
pub(crate) fn has_word(line: &str, wanted: &str) -> bool {
    words(line).any(|(_, word)| word == wanted)
}

pub(crate) fn rust_files() -> io::Result<Vec<File>> {
    collect(|path| path.ends_with(".rs"))
}

/// The root's and the backends' `Cargo.toml`.
pub(crate) fn manifests() -> io::Result<Vec<File>> {
    let mut files = collect(|path| path.starts_with("backends/") && path.ends_with("/Cargo.toml"))?;
    files.push(File::new("Cargo.toml", &fs::read_to_string(root().join("Cargo.toml"))?));
    Ok(files)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn collect(wanted: impl Fn(&str) -> bool) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    let mut folders: Vec<String> =
        ROOTS.into_iter().filter(|name| root().join(name).is_dir()).map(Into::into).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{folder}/{name}");
            if !entry.file_type()?.is_dir() {
                if wanted(&path) {
                    files.push(File::new(&path, &fs::read_to_string(entry.path())?));
                }
            } else if !SKIPPED.contains(&name.as_str()) {
                folders.push(path);
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Replaces comments and the insides of literals by spaces; lines and the places in them stay.
pub(crate) fn code_only(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let literal = literal(rest, after_word);
        let length = literal.unwrap_or(first.len_utf8());
        let (taken, left) = rest.split_at(length);
        if literal.is_some() {
            out.extend(taken.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        } else {
            out.push_str(taken);
        }
        rest = left;
    }
    out
}

/// The length of the comment or literal that starts here, if one does.
fn literal(text: &str, after_word: bool) -> Option<usize> {
    let length = match text.as_bytes() {
        [b'/', b'/', ..] => text.find('\n').unwrap_or(text.len()),
        [b'/', b'*', ..] => block_comment(text),
        [b'"', ..] => quoted(text),
        [b'r' | b'b' | b'c', ..] if !after_word => return raw_string(text),
        [b'\'', ..] => return character(text),
        _ => return None,
    };
    Some(length)
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let step = match text.as_bytes()[at..] {
            [b'/', b'*', ..] => (1, 2),
            [b'*', b'/', ..] => (-1, 2),
            _ => (0, 1),
        };
        depth += step.0;
        at += step.1;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn quoted(text: &str) -> usize {
    let mut bytes = text.bytes().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `r"..."`, `r#"..."#`, also with `b` or `c` in front.
fn raw_string(text: &str) -> Option<usize> {
    let hashes_at = text.find(|c| !matches!(c, 'b' | 'c' | 'r'))?;
    let hashes = text[hashes_at..].len() - text[hashes_at..].trim_start_matches('#').len();
    let body = hashes_at + hashes + 1;
    let is_raw = hashes_at <= 2 && text[..hashes_at].ends_with('r') && text[body - 1..].starts_with('"');
    let end = format!("\"{}", "#".repeat(hashes));
    is_raw.then(|| text[body..].find(&end).map_or(text.len(), |at| body + at + end.len()))
}

/// A character, not a lifetime: `'x'`, `'\n'`, `'\u{1F600}'`.
fn character(text: &str) -> Option<usize> {
    let mut inside = text.chars().skip(1);
    let first = inside.next()?;
    if first == '\\' {
        return text.get(3..)?.find('\'').map(|at| at + 4);
    }
    (inside.next() == Some('\'')).then(|| first.len_utf8() + 2)
}

#[test]
fn comments_and_literals_are_blanked_and_code_stays() {
    let cases = [
        ("a // unsafe", "a"),
        ("a /* x /* y */ z */ b", "a b"),
        (r#"f("un\"safe") + 1"#, "f( ) + 1"),
        (r###"f(r#"a"b"#, x)"###, "f( , x)"),
        (r#"f(b"ab", br"\")"#, "f(b , )"),
        ("('\"', 'a', '\\'', '\\n', '\\u{e9}', 'é')", "( , , , , , )"),
        ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
        ("bar\"x\"", "bar"),
        ("\"two\nlines\" x", "x"),
        ("let r = b; let c = r#type;", "let r = b; let c = r#type;"),
        ("\"never closed", ""),
    ];
    for (text, expected) in cases {
        let code = code_only(text);
        // Every character keeps its place in its line.
        assert_eq!(code.chars().count(), text.chars().count(), "{text}");
        assert_eq!(code.matches('\n').count(), text.matches('\n').count(), "{text}");
        assert_eq!(code.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{text}");
    }
}

#[test]
fn words_are_whole() {
    assert!(has_word("pub unsafe fn f()", "unsafe"));
    assert!(!has_word("#![deny(unsafe_code)]", "unsafe"));
    assert_eq!(words("a::b(c_d)").collect::<Vec<_>>(), [(0, "a"), (3, "b"), (5, "c_d")]);
}

#[test]
fn only_core_and_the_sources_of_backends_are_the_library() {
    assert!(File::new("src/lib.rs", "").is_library());
    assert!(File::new("backends/mock/src/lib.rs", "").is_library());
    assert!(!File::new("backends/mock/tests/src.rs", "").is_library());
    assert!(!File::new("xtask/src/main.rs", "").is_library());
}
