//! Work that takes long, or has an end only elsewhere, in; its results out, with progress lines on
//! stderr meanwhile.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How often it is said how far many pieces of work are.
const EVERY: Duration = Duration::from_secs(10);

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

/// Does the same with all of these, so many at a time, and says from time to time how far it is;
/// the results, in the order of what was done.
pub fn together<I: Sync, R: Send>(
    what: &str,
    all: &[I],
    jobs: usize,
    work: impl Fn(&I) -> R + Sync,
) -> Vec<R> {
    let (begun, next) = (Instant::now(), Mutex::new(all.iter().enumerate()));
    let state = Mutex::new((Vec::new(), begun));
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(all.len()) {
            scope.spawn(|| {
                while let Some((at, one)) = { next.lock().expect("no panic under it").next() } {
                    let result = work(one);
                    let (done, shown) = &mut *state.lock().expect("no panic under it");
                    done.push((at, result));
                    if shown.elapsed() >= EVERY {
                        *shown = Instant::now();
                        let each = begun.elapsed().as_secs_f64() / done.len() as f64;
                        let left = each * (all.len() - done.len()) as f64;
                        let (done, all) = (done.len(), all.len());
                        say(&format!("{done} of {all} {what}, about {left:.0} s left"));
                    }
                }
            });
        }
    });
    let (mut done, _) = state.into_inner().expect("no panic under it");
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
