//! A campaign: mutants in, a verdict for each out, by as many judges at a time as asked for.
//!
//! The core is built once with all mutants behind switches. What the compiler refuses is taken out, a build
//! at a time: a mutant in whose own text an error stands does not compile by itself either.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::judge::{Judge, Verdict};
use super::list::Mutant;
use super::switch::{self, Switched, holds};
use super::tree::Tree;
use crate::programs::Programs;
use xtask::{ElseSay, Result, paths, progress};

/// How often progress is shown.
const PROGRESS: Duration = Duration::from_secs(10);
/// How often the text with switches is built before giving up: each time without what did not compile.
const BUILDS_MAX: usize = 12;
/// The file that gets the switch.
const ROOT_FILE: &str = "core/src/lib.rs";

/// All mutants of the core on their way to a verdict.
pub struct Campaign<'t> {
    tree: &'t Tree,
    /// The core's files as they are without a change.
    sources: HashMap<String, String>,
    programs: Programs,
    judge: Judge,
    /// Those behind a switch of the programs; the others are built one by one.
    switched: HashSet<u32>,
    verdicts: HashMap<u32, Verdict>,
}

impl<'t> Campaign<'t> {
    /// Builds the core with all mutants in it, each behind its switch.
    pub fn new(tree: &'t Tree, all: &[Mutant]) -> Result<Self> {
        let sources = sources(tree.root(), all)?;
        let mut verdicts = HashMap::new();
        let mut left_out = HashSet::new();
        for mutant in all.iter().filter(|mutant| mutant.changes_nothing(&sources[&mutant.file])) {
            left_out.insert(mutant.number);
            verdicts.insert(mutant.number, Verdict::Unviable);
        }
        let mut switched = HashSet::new();
        let mut builds = 0;
        loop {
            builds += 1;
            let texts = texts(&sources, all, &left_out)?;
            for (file, text) in &texts {
                tree.write(file, &text.text)?;
            }
            let faults = tree.check()?;
            progress::say(&format!(
                "the core with its mutants, build {builds}: {} errors",
                faults.len()
            ));
            if faults.is_empty() {
                let variants = texts.values().flat_map(|text| &text.variants);
                switched.extend(variants.map(|(_, number)| number));
                break;
            }
            for fault in &faults {
                let variants = texts.get(&fault.file).map(|text| &text.variants);
                let around = |(place, _): &&_| holds(place, &fault.place);
                let variant = variants.into_iter().flatten().find(around);
                let (_, number) = variant.filter(|_| builds < BUILDS_MAX).ok_or_else(|| {
                    let (file, said) = (&fault.file, &fault.said);
                    format!("the core does not compile with its switches: {file}: {said}")
                })?;
                left_out.insert(*number);
                verdicts.insert(*number, Verdict::Unviable);
            }
        }
        let programs = progress::timed("building what judges the mutants", || tree.programs())?;
        let judge = progress::timed("the core itself before the judges", || Judge::new(&programs))?;
        Ok(Campaign { tree, sources, programs, judge, switched, verdicts })
    }

    /// Judges the mutants, so many at a time; those without a switch one after the other.
    pub fn run(&mut self, wanted: &[&Mutant], jobs: usize) -> Result<()> {
        let judged = |mutant: &&&Mutant| !self.verdicts.contains_key(&mutant.number);
        let (switched, single): (Vec<&Mutant>, Vec<&Mutant>) =
            wanted.iter().filter(judged).partition(|m| self.switched.contains(&m.number));
        let (judge, programs) = (&self.judge, &self.programs);
        let clock = Clock::new(switched.len());
        let verdicts = progress::together(&switched, jobs, |mutant| {
            let verdict = judge.judge(programs, mutant.number);
            clock.one(mutant, &verdict);
            verdict
        });
        for (mutant, verdict) in switched.iter().zip(verdicts) {
            self.verdicts.insert(mutant.number, verdict?);
        }
        self.singly(&single)
    }

    /// What became of each mutant.
    pub fn into_verdicts(self) -> HashMap<u32, Verdict> {
        self.verdicts
    }

    /// Builds and judges mutants one by one.
    fn singly(&mut self, mutants: &[&Mutant]) -> Result<()> {
        if mutants.is_empty() {
            return Ok(());
        }
        progress::say(&format!("{} mutants that no switch can hold, one by one", mutants.len()));
        for (file, text) in &self.sources {
            self.tree.write(file, text)?;
        }
        let clock = Clock::new(mutants.len());
        for mutant in mutants {
            let text = &self.sources[&mutant.file];
            self.tree.write(&mutant.file, &mutant.apply(text, 0..text.len()))?;
            let verdict = match self.tree.check()?.is_empty() {
                false => Ok(Verdict::Unviable),
                true => match self.tree.programs() {
                    Ok(programs) => self.judge.judge(&programs, 0),
                    // It compiles by itself, but not what is made of it: a constant that cannot be computed.
                    Err(_) => Ok(Verdict::Unviable),
                },
            };
            self.tree.write(&mutant.file, text)?;
            clock.one(mutant, &verdict);
            self.verdicts.insert(mutant.number, verdict?);
        }
        Ok(())
    }
}

/// The core's files that have mutants, and the one that gets the switch.
fn sources(root: &Path, all: &[Mutant]) -> Result<HashMap<String, String>> {
    let files: HashSet<&str> = all.iter().map(|mutant| mutant.file.as_str()).collect();
    let read = |file: &str| Ok((file.to_owned(), paths::text(&root.join(file))?));
    files.into_iter().chain([ROOT_FILE]).map(read).collect()
}

/// The same with switches.
fn texts(
    sources: &HashMap<String, String>,
    all: &[Mutant],
    left_out: &HashSet<u32>,
) -> Result<HashMap<String, Switched>> {
    let mut texts = HashMap::new();
    for (file, text) in sources {
        let mutants: Vec<&Mutant> = all.iter().filter(|mutant| mutant.file == *file).collect();
        let mut switched = switch::switch(text, &mutants, left_out).else_say(file)?;
        if file == ROOT_FILE {
            switched.text = Tree::with_switch(&switched.text);
        }
        texts.insert(file.clone(), switched);
    }
    Ok(texts)
}

/// Shows how a campaign is getting on.
struct Clock {
    begun: Instant,
    all: usize,
    state: Mutex<(usize, Instant)>,
}

impl Clock {
    fn new(all: usize) -> Self {
        let now = Instant::now();
        Clock { begun: now, all, state: Mutex::new((0, now)) }
    }

    /// One more has its verdict.
    fn one(&self, mutant: &Mutant, verdict: &Result<Verdict>) {
        if let Ok(Verdict::Missed) = verdict {
            progress::say(&format!("missed: {}", mutant.shown()));
        }
        let mut state = self.state.lock().expect("no panic");
        state.0 += 1;
        let (done, shown) = *state;
        if shown.elapsed() < PROGRESS && done < self.all {
            return;
        }
        state.1 = Instant::now();
        let seconds = self.begun.elapsed().as_secs_f64();
        let left = seconds / done as f64 * (self.all - done) as f64;
        progress::say(&format!("{done} of {} mutants, about {left:.0} s left", self.all));
    }
}
