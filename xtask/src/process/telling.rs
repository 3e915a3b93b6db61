//! Which lines of a long output say what failed, so that they can stand beside the verdict.

/// Lines taken from where a failure is named on: a panic's place is followed by its message.
const RUN: usize = 4;

/// More than this nobody reads.
const MOST: usize = 40;

/// Picks lines as they pass.
#[derive(Debug, Default)]
pub(super) struct Telling {
    lines: Vec<String>,
    /// How many of the coming lines belong to a failure that was named.
    run: usize,
}

impl Telling {
    pub(super) fn note(&mut self, line: &str) {
        if names_failure(line) {
            self.run = RUN;
        }
        if self.run > 0 && self.lines.len() < MOST && !line.is_empty() {
            self.run -= 1;
            self.lines.push(line.to_owned());
        }
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines
    }
}

/// Whether a test runner, the compiler or a fuzzer says here that something failed.
fn names_failure(line: &str) -> bool {
    const BEGINNINGS: [&str; 8] =
        ["FAIL [", "TIMEOUT [", "ABORT [", "SIGABRT [", "SIGSEGV [", "SUMMARY: ", "error: ", "error["];
    let line = line.trim_start();
    BEGINNINGS.iter().any(|beginning| line.starts_with(beginning))
        || line.contains("panicked at")
        || line.ends_with("... FAILED")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(output: &str) -> Vec<String> {
        let mut telling = Telling::default();
        output.lines().for_each(|line| telling.note(line));
        telling.into_lines()
    }

    #[test]
    fn a_panic_is_told_with_its_message() {
        let output = "\
running 2 tests
thread 'ring::wraps' panicked at src/ring.rs:7:5:
assertion `left == right` failed
  left: 1
 right: 2
note: run with `RUST_BACKTRACE=1`
";
        assert_eq!(told(output), output.lines().skip(1).take(RUN).collect::<Vec<_>>());
    }

    #[test]
    fn a_runners_verdicts_are_told_and_success_is_not() {
        for line in
            ["        FAIL [   0.2s] netrx::card resets", "test card::resets ... FAILED", "error[E0308]: no"]
        {
            assert_eq!(told(line), [line]);
        }
        assert_eq!(told("        PASS [   0.2s] netrx::card resets\ntest card::resets ... ok"), [""; 0]);
    }

    #[test]
    fn an_endless_failure_is_cut() {
        assert_eq!(told(&"error: no\n".repeat(2 * MOST)).len(), MOST);
    }
}
