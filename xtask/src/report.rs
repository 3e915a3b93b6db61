//! What the suites came to: the closing table, its last line, and whether that is good enough.

use std::fmt;

/// How a suite ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    /// It ran and found something: which command, and the lines of its output that say what.
    Failed {
        reason: String,
        telling: Vec<String>,
    },
    /// It could not run here; the text says why.
    Skipped(String),
}

impl Verdict {
    fn word(&self) -> &'static str {
        match self {
            Self::Passed => "PASSED",
            Self::Failed { .. } => "FAILED",
            Self::Skipped(_) => "SKIPPED",
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Passed => "",
            Self::Failed { reason, .. } | Self::Skipped(reason) => reason,
        }
    }

    fn telling(&self) -> &[String] {
        if let Self::Failed { telling, .. } = self { telling } else { &[] }
    }
}

/// A suite's line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) suite: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) seconds: f64,
}

/// All that ran, in order.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Nothing failed and, when everything is required, nothing was skipped.
    pub(crate) fn is_good(&self, require_all: bool) -> bool {
        self.count("FAILED") == 0 && !(require_all && self.count("SKIPPED") > 0)
    }

    fn count(&self, word: &str) -> usize {
        self.rows.iter().filter(|row| row.verdict.word() == word).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Ahead of the table, so that the end of a long log has both.
        for Row { suite, verdict, .. } in &self.rows {
            verdict.telling().iter().try_for_each(|line| writeln!(f, "{suite}: {line}"))?;
        }
        writeln!(f, "{:<10} {:<8} {:>7}  reason", "suite", "verdict", "seconds")?;
        for Row { suite, verdict, seconds } in &self.rows {
            // A reason is one line, whatever a tool put into it.
            let reason = verdict.reason().split_whitespace().collect::<Vec<_>>().join(" ");
            let line = format!("{suite:<10} {:<8} {seconds:>7.1}  {reason}", verdict.word());
            writeln!(f, "{}", line.trim_end())?;
        }
        let [passed, failed, skipped] = ["PASSED", "FAILED", "SKIPPED"].map(|word| self.count(word));
        writeln!(f, "netrx: {passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdicts: &[Verdict]) -> Report {
        let row = |verdict: &Verdict| Row { suite: "lint", verdict: verdict.clone(), seconds: 1.25 };
        Report { rows: verdicts.iter().map(row).collect() }
    }

    fn failed() -> Verdict {
        Verdict::Failed {
            reason: "`cargo clippy`:\nexit status: 101".to_owned(),
            telling: vec!["error: unused".to_owned()],
        }
    }

    fn skipped() -> Verdict {
        Verdict::Skipped("libkqueue: not Debian-like".to_owned())
    }

    #[test]
    fn a_failure_is_never_good() {
        assert!(!report(&[Verdict::Passed, failed()]).is_good(false));
        assert!(!report(&[Verdict::Passed, failed()]).is_good(true));
    }

    #[test]
    fn a_skip_is_good_unless_all_is_required() {
        assert!(report(&[Verdict::Passed, skipped()]).is_good(false));
        assert!(!report(&[Verdict::Passed, skipped()]).is_good(true));
        assert!(report(&[Verdict::Passed]).is_good(true));
    }

    #[test]
    fn the_table_closes_with_the_counts() {
        let table = report(&[Verdict::Passed, failed(), skipped()]).to_string();
        let expected = "\
lint: error: unused
suite      verdict  seconds  reason
lint       PASSED       1.2
lint       FAILED       1.2  `cargo clippy`: exit status: 101
lint       SKIPPED      1.2  libkqueue: not Debian-like
netrx: 1 passed, 1 failed, 1 skipped
";
        assert_eq!(table, expected);
    }
}
