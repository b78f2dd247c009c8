//! `cargo xtask mutants`: changes the core in each way that cargo-mutants knows and looks whether a
//! test notices; a table, and every change that nobody noticed, come out.
//!
//! What no test can notice stands in `docs/mutants.md` with its reason. Anything else that is
//! missed fails the command, and so does a row of that list which is caught now or exists no more.

mod campaign;
mod judge;
mod list;
mod switch;
mod tree;

use std::collections::BTreeMap;
use std::time::Instant;

use crate::exceptions::{Document, Row, is_about};
use campaign::Verdicts;
use judge::Verdict;
use list::Mutant;
use tree::Tree;
use xtask::table::columns;
use xtask::words::Words;
use xtask::{Result, install, paths, progress};

const USAGE: &str = "usage: cargo xtask mutants [--jobs N] [--file F] [--only TEXT] [--shard K/N]
Changes the core in every way that cargo-mutants knows; a test must notice each.

  --jobs N     so many at a time (default: all processors)
  --file F     only those in files whose name contains F
  --only TEXT  only those whose description contains TEXT
  --shard K/N  only part K (from 1) of N";

/// Where what no test can notice stands.
pub const DOCUMENT: Document =
    Document { name: "docs/mutants.md", begin: "<!-- figures: written by cargo xtask mutants -->" };

pub fn run(arguments: &[String]) -> Result<()> {
    let Some(mut words) = Words::new(arguments, USAGE) else { return Ok(()) };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = words.number("--jobs", 1..)?.unwrap_or(cores);
    let (file, only) = (words.value("--file")?, words.value("--only")?);
    let shard = words.value("--shard")?;
    let part = shard.as_deref().map(|shard| {
        let (part, all) = shard.split_once('/')?;
        let (part, all): (usize, usize) = (part.parse().ok()?, all.parse().ok()?);
        (1..=all).contains(&part).then_some((part, all))
    });
    if part == Some(None) {
        return Err(words.wrong("--shard is K/N, from 1/N to N/N"));
    }
    words.end()?;
    let (part, parts) = part.flatten().unwrap_or((1, 1));
    let is_wanted = |(at, mutant): &(usize, &Mutant)| {
        file.as_ref().is_none_or(|file| mutant.file.contains(file))
            && only.as_ref().is_none_or(|only| mutant.what.contains(only))
            && at % parts == part - 1
    };
    let listed = DOCUMENT.rows()?;
    let program = install::cargo_command("cargo-mutants", "27")?;
    let tree = Tree::new(&paths::root(), &paths::target().join("mutants"))?;
    let all = list::list(&program, tree.root())?;
    let begun = Instant::now();
    let wanted: Vec<&Mutant> =
        all.iter().enumerate().filter(is_wanted).map(|(_, mutant)| mutant).collect();
    let verdicts = campaign::run(&tree, &all, &wanted, jobs)?;
    let table = table(&wanted, &verdicts);
    println!("{table}");
    let whole = wanted.len() == all.len();
    if whole {
        DOCUMENT.write_figures(&table)?;
    }
    progress::say(&format!("{} mutants in {:.0} s", wanted.len(), begun.elapsed().as_secs_f64()));
    let (missed, noticed): (Vec<&Mutant>, Vec<&Mutant>) =
        wanted.iter().partition(|mutant| verdicts.get(&mutant.number) == Some(&Verdict::Missed));
    let rows = |mutants: Vec<&Mutant>| mutants.iter().map(|m| m.row()).collect::<Vec<Row>>();
    let (missed, noticed) = (rows(missed), rows(noticed));
    // In a part of the campaign a row may be about a mutant that was not looked at.
    DOCUMENT.compare(&missed, &listed, |row| {
        whole || noticed.iter().any(|mutant| is_about(row, mutant))
    })
}

/// The figures, a row for each file.
fn table(wanted: &[&Mutant], verdicts: &Verdicts) -> String {
    const COLUMNS: [Verdict; 4] =
        [Verdict::Caught, Verdict::Timeout, Verdict::Unviable, Verdict::Missed];
    let mut files: BTreeMap<&str, [usize; 5]> = BTreeMap::new();
    let mut sum = [0; 5];
    for mutant in wanted {
        let counts = files.entry(mutant.file.as_str()).or_default();
        let verdict = verdicts.get(&mutant.number);
        let column = COLUMNS.iter().position(|column| Some(column) == verdict);
        for at in [Some(0), column.map(|at| at + 1)].into_iter().flatten() {
            counts[at] += 1;
            sum[at] += 1;
        }
    }
    let head = ["file", "mutants", "caught", "timeout", "unviable", "missed"].map(str::to_owned);
    let rows = files.into_iter().chain([("all", sum)]).map(|(file, counts)| {
        std::iter::once(file.to_owned()).chain(counts.map(|count| count.to_string())).collect()
    });
    columns(&std::iter::once(head.to_vec()).chain(rows).collect::<Vec<_>>(), &[0])
}
