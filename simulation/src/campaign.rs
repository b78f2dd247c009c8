//! Many sessions on several processors: seeds in; progress, and a line for each finding that
//! repeats it, out.

use qga_sim::Canary;
use qga_simulation::source::Script;
use qga_simulation::torture::{Point, Session};
use qga_simulation::{Options, run_seed};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, Once};
use std::time::{Duration, Instant};

/// How often progress is shown.
const PROGRESS: Duration = Duration::from_secs(5);

thread_local! {
    /// What the last panic of this thread said, and where.
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What went wrong, and how to see it again.
struct Finding {
    seed: u64,
    said: String,
    replay: String,
}

/// One campaign.
pub struct Campaign {
    name: &'static str,
    threads: usize,
    findings_max: usize,
    begun: Instant,
    next: AtomicU64,
    sessions: AtomicU64,
    points: AtomicU64,
    ended: AtomicBool,
    findings: Mutex<Vec<Finding>>,
}

impl Campaign {
    /// One that has not begun.
    pub fn new(name: &'static str, threads: usize, findings_max: usize) -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            std::panic::set_hook(Box::new(|panic| {
                let text = panic.to_string().replace('\n', " ");
                SAID.with(|said| *said.borrow_mut() = text);
            }));
        });
        Campaign {
            name,
            threads,
            findings_max,
            begun: Instant::now(),
            next: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
            points: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            findings: Mutex::new(Vec::new()),
        }
    }

    /// Sessions from one seed on; whether everything held.
    pub fn seeds(&self, first: u64, count: u64) -> bool {
        self.each(first, count, |seed| {
            self.sessions.fetch_add(1, Relaxed);
            self.judge(seed, format!("--seed {seed}"), || run_seed(seed, Options::default()));
        });
        let seconds = self.begun.elapsed().as_secs_f64();
        let sessions = self.sessions.load(Relaxed);
        let rate = sessions as f64 / seconds;
        let violations = self.report();
        println!(
            "sim: {sessions} sessions from seed {first} in {seconds:.0} s ({rate:.0} a second on {} \
             processors), {violations} violations",
            self.threads
        );
        violations == 0
    }

    /// Looks for a bug that is there; whether it was found.
    pub fn find(&self, canary: Canary, first: u64, most: u64) -> bool {
        let options = Options { canary: Some(canary), show: false };
        self.each(first, most, |seed| {
            self.sessions.fetch_add(1, Relaxed);
            if !self.judge(seed, String::new(), || run_seed(seed, options)) {
                self.ended.store(true, Relaxed);
            }
        });
        let (name, sessions) = (canary.name(), self.sessions.load(Relaxed));
        let findings = self.findings.lock().expect("no thread panics with it");
        let found = findings.iter().min_by_key(|finding| finding.seed);
        match found {
            Some(Finding { seed, said, .. }) => {
                println!(
                    "sim: canary {name} found at seed {seed}, after {sessions} sessions: {said}"
                );
            }
            None => println!("sim: canary {name} NOT FOUND in {sessions} sessions"),
        }
        found.is_some()
    }

    /// Every call of every session failing; whether everything held.
    pub fn torture(&self, first: u64, count: u64) -> bool {
        self.each(first, count, |seed| {
            self.sessions.fetch_add(1, Relaxed);
            let replay = format!("--seed {seed}");
            for point in self.points(Session::Seed(seed), &[], &replay) {
                self.points.fetch_add(1, Relaxed);
                let replay = format!("{replay} --fault {point}");
                self.judge(seed, replay, || drop(Session::Seed(seed).run(&[point], None, false)));
                if self.ended.load(Relaxed) {
                    return;
                }
            }
        });
        self.summary("single fault points")
    }

    /// Every pair of calls of every script failing; whether everything held.
    pub fn pairs(&self) -> bool {
        let scripts = (0..Script::ALL.len()).map(Session::Script);
        let firsts: Vec<(Session, Point)> = scripts
            .flat_map(|script| {
                let points = self.points(script, &[], "");
                points.into_iter().map(move |point| (script, point))
            })
            .collect();
        self.each(0, firsts.len() as u64, |number| {
            self.sessions.fetch_add(1, Relaxed);
            let (session, first) = firsts[number as usize];
            let Session::Script(script) = session else { return };
            let replay = format!("--script {script} --fault {first}");
            for second in self.points(session, &[first], &replay) {
                self.points.fetch_add(1, Relaxed);
                let replay = format!("{replay} --fault {second}");
                self.judge(number, replay, || drop(session.run(&[first, second], None, false)));
                if self.ended.load(Relaxed) {
                    return;
                }
            }
        });
        self.summary("pairs of faults")
    }

    /// The faults that a session can have besides; nothing when it goes wrong already.
    fn points(&self, session: Session, given: &[Point], replay: &str) -> Vec<Point> {
        let mut points = Vec::new();
        self.judge(0, replay.to_owned(), || points = session.points(given));
        points
    }

    /// The last line of a torture; whether everything held.
    fn summary(&self, what: &str) -> bool {
        let (sessions, points) = (self.sessions.load(Relaxed), self.points.load(Relaxed));
        let seconds = self.begun.elapsed().as_secs_f64();
        let rate = points as f64 / seconds;
        let violations = self.report();
        println!(
            "torture: {points} {what} in {sessions} sessions, none skipped, in {seconds:.0} s ({rate:.0} a \
             second), {violations} violations"
        );
        violations == 0
    }

    /// Runs `act` for each seed, on all threads, and shows how it is getting on.
    fn each(&self, first: u64, count: u64, act: impl Fn(u64) + Sync) {
        let working = AtomicU64::new(self.threads as u64);
        std::thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| {
                    loop {
                        let number = self.next.fetch_add(1, Relaxed);
                        if number >= count || self.ended.load(Relaxed) {
                            break;
                        }
                        act(first.wrapping_add(number));
                    }
                    working.fetch_sub(1, Relaxed);
                });
            }
            let mut shown = Instant::now();
            while working.load(Relaxed) > 0 {
                std::thread::sleep(Duration::from_millis(20));
                if shown.elapsed() >= PROGRESS {
                    shown = Instant::now();
                    self.progress(count);
                }
            }
        });
    }

    fn progress(&self, count: u64) {
        let sessions = self.sessions.load(Relaxed);
        let seconds = self.begun.elapsed().as_secs_f64();
        let rate = sessions as f64 / seconds;
        let points = match self.points.load(Relaxed) {
            0 => String::new(),
            points => format!(", {points} fault points"),
        };
        let name = self.name;
        eprintln!("{name}: {sessions} of {count} sessions{points}, {rate:.0} sessions a second");
    }

    /// Runs one session; whether it held.
    fn judge(&self, seed: u64, replay: String, session: impl FnOnce()) -> bool {
        if catch_unwind(AssertUnwindSafe(session)).is_ok() {
            return true;
        }
        let said = SAID.with(|said| said.take());
        let mut findings = self.findings.lock().expect("no thread panics with it");
        findings.push(Finding { seed, said, replay });
        if findings.len() >= self.findings_max {
            self.ended.store(true, Relaxed);
        }
        false
    }

    /// Shows the findings, each with the line that repeats it; how many.
    fn report(&self) -> usize {
        let findings = self.findings.lock().expect("no thread panics with it");
        for Finding { said, replay, .. } in findings.iter() {
            println!("FOUND: {said}\n  again: cargo xtask sim {replay}");
        }
        findings.len()
    }
}
