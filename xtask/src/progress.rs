//! Progress lines on stderr, so that a task which takes long shows that it works.

use std::time::Instant;

/// Prints one progress line.
pub fn say(text: &str) {
    eprintln!("==> {text}");
}

/// Runs `work` between a line that says what is being done and one that says how long it took.
pub fn timed<T>(text: &str, work: impl FnOnce() -> crate::Result<T>) -> crate::Result<T> {
    say(&format!("{text} ..."));
    let begun = Instant::now();
    let result = work();
    let seconds = begun.elapsed().as_secs_f64();
    match &result {
        Ok(_) => say(&format!("{text}: done in {seconds:.1} s")),
        Err(_) => say(&format!("{text}: FAILED after {seconds:.1} s")),
    }
    result
}
