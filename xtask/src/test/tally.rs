//! Lines that test programs print, in; counts, and names of what failed or was skipped, out.

/// What ran, and how it went.
#[derive(Default)]
pub struct Tally {
    passed: u64,
    failed: u64,
    /// Tests that libtest did not run: `name: reason`.
    ignored: Vec<String>,
    /// Tests that ran and said that they skipped themselves, which libtest counts as passed.
    skipped: Vec<String>,
    failures: Vec<Failure>,
    /// The test program that prints, as cargo announced it.
    program: String,
    /// The failure whose output libtest repeats at the moment.
    telling: Option<usize>,
}

/// What failed, and what it said: repeated in the report, because the output above it is long.
struct Failure {
    name: String,
    said: Vec<String>,
}

/// As many lines as a list of a dozen wrong cases takes.
const SAID_LINES_MAX: usize = 24;

impl Tally {
    /// Takes one line of what cargo and the test programs print.
    pub fn line(&mut self, line: &str) {
        self.tell(line);
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["Running", .., program, _] | ["Doc-tests", program] = words[..] {
            self.program = program.to_owned();
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count(counts, "passed");
            self.failed += count(counts, "failed");
        } else if let Some(skip) = line.strip_prefix("SKIPPED: ") {
            self.skip(skip);
        } else if let Some(test) = line.strip_prefix("test ") {
            let Some((name, outcome)) = test.rsplit_once(" ... ") else { return };
            if outcome.starts_with("FAILED") {
                self.fail(format!("{}: {name}", self.program));
            } else if let Some(reason) = outcome.strip_prefix("ignored") {
                let reason = reason.trim_start_matches([',', ' ']);
                let reason = if reason.is_empty() { "marked as ignored" } else { reason };
                self.ignored.push(format!("{}: {name}: {reason}", self.program));
            }
        }
    }

    /// Takes the file in which tests noted their skips, one `name: reason` a line.
    pub fn skips_in(&mut self, text: &str) {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            self.skip(line.strip_prefix("SKIPPED: ").unwrap_or(line));
        }
    }

    /// Takes one check that is no test program.
    pub fn check(&mut self, name: &str, passed: bool) {
        if passed {
            self.passed += 1;
        } else {
            self.failed += 1;
            self.fail(name.to_owned());
        }
    }

    /// Takes a suite that could not run at all: one failure.
    pub fn could_not_run(&mut self, name: &str, error: &str) {
        self.failed += 1;
        self.fail(format!("{name}: could not run: {error}"));
    }

    fn fail(&mut self, name: String) {
        self.failures.push(Failure { name, said: Vec::new() });
    }

    /// How many failed so far.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// What was skipped and why, what failed, and the last line.
    pub fn report(&self) -> String {
        let mut text = String::new();
        for skip in self.skipped.iter().chain(&self.ignored) {
            text.push_str(&format!("SKIPPED: {skip}\n"));
        }
        for failure in &self.failures {
            text.push_str(&format!("FAILED: {}\n", failure.name));
            for said in &failure.said {
                text.push_str(&format!("    {said}\n"));
            }
        }
        // A test that skipped itself has passed in libtest's eyes only.
        let passed = self.passed.saturating_sub(self.skipped.len() as u64);
        text.push_str(&format!("{passed} passed, {} failed", self.failed));
        match self.skipped.len() + self.ignored.len() {
            0 => text,
            skips => format!("{text}, {skips} skipped"),
        }
    }

    /// Keeps what a failed test said, from its panic on: libtest repeats it after `---- NAME stdout
    /// ----`.
    fn tell(&mut self, line: &str) {
        if let Some(name) =
            line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" stdout ----"))
        {
            let name = format!("{}: {name}", self.program);
            self.telling = self.failures.iter().position(|failure| failure.name == name);
        } else if line == "failures:"
            || line.starts_with("test result: ")
            || line.starts_with("stack backtrace:")
        {
            self.telling = None;
        } else if let Some(failure) = self.telling.and_then(|at| self.failures.get_mut(at)) {
            let begun = !failure.said.is_empty() || line.contains("panicked at");
            if begun && !line.trim().is_empty() && failure.said.len() < SAID_LINES_MAX {
                failure.said.push(line.to_owned());
            }
        }
    }

    /// Notes one skip; the same test may say so on its output and in the file.
    fn skip(&mut self, skip: &str) {
        let skip = skip.trim();
        if !self.skipped.iter().any(|known| known == skip) {
            self.skipped.push(skip.to_owned());
        }
    }
}

/// The number before `what` in libtest's result line.
fn count(counts: &str, what: &str) -> u64 {
    let words: Vec<&str> = counts.split([' ', ';']).filter(|word| !word.is_empty()).collect();
    let pair = words.windows(2).find(|pair| pair[1] == what);
    pair.and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
     Running unittests src/lib.rs (target/debug/deps/core-0123)

running 4 tests
test a::works ... ok
test a::breaks ... FAILED
test a::later ... ignored, needs a moon
test a::never ... ignored
SKIPPED: freeze: not root

failures:

---- a::breaks stdout ----
a long story

thread 'a::breaks' panicked at src/a.rs:7:5:
left is not right
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace


failures:
    a::breaks

test result: FAILED. 2 passed; 1 failed; 2 ignored; 0 measured; 7 filtered out; finished in 0.00s
test result: ok. 10 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s
";

    fn tally(text: &str) -> Tally {
        let mut tally = Tally::default();
        text.lines().for_each(|line| tally.line(line));
        tally
    }

    #[test]
    fn counts_and_names_are_collected() {
        let mut tally = tally(OUTPUT);
        tally.skips_in("freeze: not root\n\nvm: no QEMU\n");
        let report = tally.report();
        assert!(report.ends_with("\n10 passed, 1 failed, 4 skipped"), "{report}");
        assert!(report.contains("SKIPPED: src/lib.rs: a::later: needs a moon\n"));
        assert!(report.contains("SKIPPED: src/lib.rs: a::never: marked as ignored\n"));
        assert_eq!(report.matches("SKIPPED: freeze").count(), 1);
        let said = "    thread 'a::breaks' panicked at src/a.rs:7:5:\n    left is not right\n";
        assert!(report.contains(&format!("FAILED: src/lib.rs: a::breaks\n{said}")), "{report}");
    }

    #[test]
    fn a_suite_that_cannot_run_is_a_failure() {
        let mut tally = tally("test result: ok. 3 passed; 0 failed; 0 ignored\n");
        tally.could_not_run("tests", "cargo is gone");
        tally.check("fresh", true);
        let expected = "FAILED: tests: could not run: cargo is gone\n4 passed, 1 failed";
        assert_eq!(tally.report(), expected);
        assert_eq!(Tally::default().report(), "0 passed, 0 failed");
    }
}
