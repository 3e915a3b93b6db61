//! The machine's apt sources, and how one of them is turned into a source of another suite on the same mirror.
//!
//! Both formats are read: paragraphs of fields (`.sources`) and one line per source (`.list`). Everything but the
//! suite and the components is kept, the keyring above all.

use std::fs;
use std::path::{Path, PathBuf};

use crate::tree;

const APT: &str = "/etc/apt";
/// Suites of the distribution proper whatever its release; an entry for security fixes has none of them.
const ROLLING: [&str; 5] = ["stable", "oldstable", "testing", "unstable", "sid"];

/// How a sources file is written; apt tells by the file's extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Paragraphs,
    Lines,
}

impl Format {
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Paragraphs => "sources",
            Self::Lines => "list",
        }
    }

    fn of(file: &Path) -> Option<Self> {
        [Self::Paragraphs, Self::Lines]
            .into_iter()
            .find(|format| tree::has_extension(file, format.extension()))
    }
}

/// One source, ready to be written to a file of its format.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) format: Format,
    pub(super) text: String,
}

/// The first of the machine's sources that serves its release, with the suite replaced.
pub(super) fn of_machine(suite: &str) -> Option<Entry> {
    let codename = codename(&fs::read_to_string("/etc/os-release").unwrap_or_default());
    let home = |suite: &str| suite == codename || ROLLING.contains(&suite);
    files().iter().find_map(|file| {
        let format = Format::of(file)?;
        let text = fs::read_to_string(file).ok()?;
        Some(Entry { format, text: rewrite(format, &text, home, suite)? })
    })
}

fn files() -> Vec<PathBuf> {
    let apt = Path::new(APT);
    let mut files = tree::entries(&apt.join("sources.list.d"));
    files.insert(0, apt.join("sources.list"));
    files
}

/// `VERSION_CODENAME` of an os-release file.
fn codename(os_release: &str) -> String {
    let value = os_release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    value.unwrap_or_default().trim_matches('"').to_owned()
}

fn rewrite(format: Format, text: &str, home: impl Fn(&str) -> bool, suite: &str) -> Option<String> {
    match format {
        Format::Paragraphs => paragraphs(text).iter().find_map(|fields| rewrite_fields(fields, &home, suite)),
        Format::Lines => text.lines().find_map(|line| rewrite_line(line, &home, suite)),
    }
}

/// A field's name and its value, continuation lines included.
type Field = (String, String);

fn paragraphs(text: &str) -> Vec<Vec<Field>> {
    let mut found = vec![Vec::new()];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.trim().is_empty() {
            found.push(Vec::new());
        } else if let Some(fields) = found.last_mut() {
            add_line(fields, line);
        }
    }
    found
}

fn add_line(fields: &mut Vec<Field>, line: &str) {
    if line.starts_with([' ', '\t']) {
        if let Some((_, value)) = fields.last_mut() {
            value.push('\n');
            value.push_str(line);
        }
    } else if let Some((name, value)) = line.split_once(':') {
        fields.push((name.to_owned(), value.trim().to_owned()));
    }
}

fn rewrite_fields(fields: &[Field], home: impl Fn(&str) -> bool, suite: &str) -> Option<String> {
    let value = |wanted: &str| {
        let field = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        field.map_or("", |(_, value)| value.as_str())
    };
    let binary = value("Types").split_whitespace().any(|kind| kind == "deb");
    let enabled = !value("Enabled").eq_ignore_ascii_case("no");
    if !(binary && enabled && value("Suites").split_whitespace().any(home)) {
        return None;
    }
    let replaced = fields.iter().map(|(name, value)| match name.to_ascii_lowercase().as_str() {
        "types" => "Types: deb\n".to_owned(),
        "suites" => format!("Suites: {suite}\n"),
        "components" => "Components: main\n".to_owned(),
        _ => format!("{name}: {value}\n"),
    });
    Some(replaced.collect())
}

/// `deb [options] URI SUITE COMPONENT...`
fn rewrite_line(line: &str, home: impl Fn(&str) -> bool, suite: &str) -> Option<String> {
    let rest = line.split('#').next()?.trim().strip_prefix("deb")?;
    let (options, rest) = match rest.trim_start().strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None if rest.starts_with([' ', '\t']) => ("", rest),
        None => return None,
    };
    let mut words = rest.split_whitespace();
    let (uri, found) = (words.next()?, words.next()?);
    let options = if options.is_empty() { String::new() } else { format!(" [{options}]") };
    home(found).then(|| format!("deb{options} {uri} {suite} main\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sid(format: Format, text: &str) -> Option<String> {
        rewrite(format, text, |suite| suite == "bookworm" || ROLLING.contains(&suite), "sid")
    }

    #[test]
    fn a_paragraph_keeps_its_mirror_and_keyring() {
        let text = "\
# the mirror
Types: deb deb-src
URIs: http://mirror.invalid/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/archive.gpg
";
        let expected = "\
Types: deb
URIs: http://mirror.invalid/debian
Suites: sid
Components: main
Signed-By: /usr/share/keyrings/archive.gpg
";
        assert_eq!(sid(Format::Paragraphs, text).as_deref(), Some(expected));
    }

    #[test]
    fn a_keyring_of_many_lines_is_kept_whole() {
        let text =
            "Types: deb\nURIs: u\nSuites: sid\nComponents: main\nSigned-By:\n -----BEGIN\n .\n -----END\n";
        let rewritten = sid(Format::Paragraphs, text).unwrap_or_default();
        assert!(rewritten.ends_with("Signed-By: \n -----BEGIN\n .\n -----END\n"), "{rewritten}");
    }

    #[test]
    fn security_disabled_and_source_paragraphs_are_passed_over() {
        let text = "\
Types: deb
URIs: security
Suites: bookworm-security

Types: deb
URIs: disabled
Suites: bookworm
Enabled: no

Types: deb-src
URIs: source
Suites: bookworm

Types: deb
URIs: mirror
Suites: bookworm
";
        assert_eq!(sid(Format::Paragraphs, text).as_deref(), Some("Types: deb\nURIs: mirror\nSuites: sid\n"));
        assert_eq!(sid(Format::Paragraphs, ""), None);
    }

    #[test]
    fn a_line_keeps_its_mirror_and_options() {
        let text = "\
# deb http://commented.invalid bookworm main
deb-src http://mirror.invalid/debian bookworm main
deb http://security.invalid bookworm-security main
deb [arch=amd64 signed-by=/k.gpg] http://mirror.invalid/debian bookworm main contrib
";
        let expected = "deb [arch=amd64 signed-by=/k.gpg] http://mirror.invalid/debian sid main\n";
        assert_eq!(sid(Format::Lines, text).as_deref(), Some(expected));
    }

    #[test]
    fn a_bare_line_works_and_nonsense_does_not() {
        assert_eq!(sid(Format::Lines, "deb uri stable main").as_deref(), Some("deb uri sid main\n"));
        for nonsense in ["", "deb", "deb uri", "deb [open uri bookworm main", "debris uri bookworm main"] {
            assert_eq!(sid(Format::Lines, nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn the_codename_is_read_with_or_without_quotes() {
        assert_eq!(codename("ID=debian\nVERSION_CODENAME=bookworm\n"), "bookworm");
        assert_eq!(codename("VERSION_CODENAME=\"noble\"\n"), "noble");
        assert_eq!(codename("ID=arch\n"), "");
    }

    #[test]
    fn only_files_apt_would_read_have_a_format() {
        assert_eq!(Format::of(Path::new("a.sources")), Some(Format::Paragraphs));
        assert_eq!(Format::of(Path::new("a.list")), Some(Format::Lines));
        assert_eq!(Format::of(Path::new("a.list.disabled")), None);
    }
}
