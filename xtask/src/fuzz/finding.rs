//! What libFuzzer says when it ends badly, in; what was found and how it is repeated, out.

/// What a process that did not end well said: the panic or the sanitizer's summary, and the file.
pub fn findings(target: &str, said: &[String]) -> Vec<String> {
    let written = said.iter().filter_map(|line| line.split_once("Test unit written to "));
    let paths: Vec<&str> = written.map(|(_, path)| path.trim()).collect();
    let telling = |line: &&String| {
        ["panicked at", "SUMMARY", "ERROR", "assertion", "left:", "right:"]
            .iter()
            .any(|word| line.contains(word))
    };
    let panic = said.iter().position(|line| line.contains("panicked at"));
    let why: Vec<&str> = match panic {
        Some(at) => said[at..]
            .iter()
            .take_while(|line| !line.starts_with("stack backtrace"))
            .take(6)
            .map(String::as_str)
            .collect(),
        None => said.iter().filter(telling).take(8).map(String::as_str).collect(),
    };
    let why = why.join("\n    ");
    if paths.is_empty() {
        return vec![format!("FOUND in {target}, without an input that shows it:\n    {why}")];
    }
    let replay = |path: &&str| {
        format!(
            "FOUND in {target}:\n    {why}\n  again: cargo run --release --manifest-path \
             fuzz/Cargo.toml --bin {target} -- {path}"
        )
    };
    paths.iter().map(replay).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_how_it_is_replayed() {
        let said = [
            "thread '<unnamed>' panicked at src/framer.rs:30:5:",
            "assertion `left == right` failed",
            "artifact_prefix='/x/'; Test unit written to /x/crash-12",
        ]
        .map(str::to_owned);
        let found = findings("framer", &said);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("src/framer.rs:30:5"), "{}", found[0]);
        assert!(found[0].ends_with("--bin framer -- /x/crash-12"), "{}", found[0]);
    }

    #[test]
    fn a_process_that_was_killed_is_no_pass() {
        assert_eq!(findings("framer", &["#5 NEW".to_owned()]).len(), 1);
    }
}
