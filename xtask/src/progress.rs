//! Work that takes long, or has an end only elsewhere, in; its results out, with progress lines on
//! stderr meanwhile.

use std::sync::Mutex;
use std::time::{Duration, Instant};

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

/// Does the same with all of these, so many at a time; the results, in the order of what was done.
pub fn together<I: Sync, R: Send>(all: &[I], jobs: usize, work: impl Fn(&I) -> R + Sync) -> Vec<R> {
    let (next, done) = (Mutex::new(all.iter().enumerate()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(all.len()) {
            scope.spawn(|| {
                while let Some((at, one)) = { next.lock().expect("no panic under it").next() } {
                    let result = work(one);
                    done.lock().expect("no panic under it").push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no panic under it");
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Asks again and again, with a pause in between, until there is an answer; for so long at most.
pub fn until<T>(
    patience: Duration,
    pause: Duration,
    mut ask: impl FnMut() -> Option<T>,
) -> Option<T> {
    let end = Instant::now() + patience;
    loop {
        let late = Instant::now() > end;
        match ask() {
            None if late => return None,
            None => std::thread::sleep(pause),
            answer => return answer,
        }
    }
}
