//! A campaign: mutants in, a verdict for each out, by as many judges at a time as asked for.
//!
//! The core is built once with all mutants behind switches. What the compiler refuses is taken out,
//! a build at a time: a mutant in whose own text an error stands does not compile by itself either.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::judge::{Judge, Verdict};
use super::list::Mutant;
use super::switch::{self, Switched, holds};
use super::tree::Tree;
use xtask::{ElseSay, Result, paths, progress};

/// How often the text with switches is built before giving up: each time without what did not
/// compile.
const BUILDS_MAX: usize = 12;
/// The file that gets the switch.
const ROOT_FILE: &str = "core/src/lib.rs";

/// What became of each mutant, by its number.
pub type Verdicts = HashMap<u32, Verdict>;

/// The core's files as they are without a change.
type Sources = HashMap<String, String>;

/// Builds the core with all mutants in it, and judges those that are wanted, so many at a time.
pub fn run(tree: &Tree, all: &[Mutant], wanted: &[&Mutant], jobs: usize) -> Result<Verdicts> {
    let sources = sources(tree.root(), all)?;
    let (switched, mut verdicts) = switched(tree, &sources, all)?;
    let programs = progress::timed("building what judges the mutants", || tree.programs())?;
    let judge = progress::timed("the core itself before the judges", || Judge::new(&programs))?;
    let open = wanted.iter().copied().filter(|mutant| !verdicts.contains_key(&mutant.number));
    let (switched, single): (Vec<&Mutant>, Vec<&Mutant>) =
        open.partition(|mutant| switched.contains(&mutant.number));
    let judged = progress::together("mutants", &switched, jobs, |mutant| {
        told(mutant, judge.judge(&programs, mutant.number))
    });
    sources.iter().try_for_each(|(file, text)| tree.write(file, text))?;
    let singly = progress::together("mutants that no switch can hold", &single, 1, |mutant| {
        told(mutant, alone(tree, &sources[&mutant.file], &judge, mutant))
    });
    for (mutant, verdict) in switched.iter().zip(judged).chain(single.iter().zip(singly)) {
        verdicts.insert(mutant.number, verdict?);
    }
    Ok(verdicts)
}

fn told(mutant: &Mutant, verdict: Result<Verdict>) -> Result<Verdict> {
    if verdict == Ok(Verdict::Missed) {
        progress::say(&format!("missed: {}", mutant.shown()));
    }
    verdict
}

/// Puts all mutants behind switches, but for those that do not compile; which are, and what is
/// known of others.
fn switched(tree: &Tree, sources: &Sources, all: &[Mutant]) -> Result<(HashSet<u32>, Verdicts)> {
    let nothing = all.iter().filter(|mutant| mutant.changes_nothing(&sources[&mutant.file]));
    let mut verdicts: Verdicts = nothing.map(|m| (m.number, Verdict::Unviable)).collect();
    for build in 1..=BUILDS_MAX {
        let texts = texts(sources, all, &verdicts)?;
        texts.iter().try_for_each(|(file, text)| tree.write(file, &text.text))?;
        let faults = tree.check()?;
        let count = faults.len();
        progress::say(&format!("the core with its mutants, build {build}: {count} errors"));
        if faults.is_empty() {
            let variants = texts.values().flat_map(|text| &text.variants);
            let switched: HashSet<u32> = variants.map(|(_, number)| *number).collect();
            let single = all.len() - switched.len() - verdicts.len();
            progress::say(&format!("{} behind switches, {single} one by one", switched.len()));
            return Ok((switched, verdicts));
        }
        for fault in &faults {
            let mut variants = texts.get(&fault.file).into_iter().flat_map(|text| &text.variants);
            let (_, number) =
                variants.find(|(place, _)| holds(place, &fault.place)).ok_or_else(|| {
                    format!(
                        "the core does not compile with its switches: {}: {}",
                        fault.file, fault.said
                    )
                })?;
            verdicts.insert(*number, Verdict::Unviable);
        }
    }
    Err(format!("the core does not compile with its switches after {BUILDS_MAX} builds"))
}

/// Builds and judges one mutant.
fn alone(tree: &Tree, text: &str, judge: &Judge, mutant: &Mutant) -> Result<Verdict> {
    tree.write(&mutant.file, &mutant.apply(text, 0..text.len()))?;
    let verdict = match tree.check()?.is_empty() {
        false => Ok(Verdict::Unviable),
        true => match tree.programs() {
            Ok(programs) => judge.judge(&programs, 0),
            // It compiles by itself, but not what is made of it: a constant that cannot be
            // computed.
            Err(_) => Ok(Verdict::Unviable),
        },
    };
    tree.write(&mutant.file, text)?;
    verdict
}

/// The core's files that have mutants, and the one that gets the switch.
fn sources(root: &Path, all: &[Mutant]) -> Result<Sources> {
    let files: HashSet<&str> = all.iter().map(|mutant| mutant.file.as_str()).collect();
    let read = |file: &str| Ok((file.to_owned(), paths::text(&root.join(file))?));
    files.into_iter().chain([ROOT_FILE]).map(read).collect()
}

/// The same with switches, but for mutants that have a verdict.
fn texts(sources: &Sources, all: &[Mutant], known: &Verdicts) -> Result<HashMap<String, Switched>> {
    let open = |file: &str| {
        let open = |m: &&Mutant| m.file == file && !known.contains_key(&m.number);
        all.iter().filter(open).collect::<Vec<_>>()
    };
    let switched = |(file, text): (&String, &String)| {
        let mut switched = switch::switch(text, &open(file)).else_say(file)?;
        if file == ROOT_FILE {
            switched.text = Tree::with_switch(&switched.text);
        }
        Ok((file.clone(), switched))
    };
    sources.iter().map(switched).collect()
}
