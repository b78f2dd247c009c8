//! `cargo xtask mutants`: changes the core in each way that cargo-mutants knows and looks whether a test
//! notices; a table, and every change that nobody noticed, come out.
//!
//! What no test can notice stands in `docs/mutants.md` with its reason. Anything else that is missed fails the
//! command, and so does a row of that list which is caught now or exists no more.

mod campaign;
mod document;
mod judge;
mod list;
mod switch;
mod tree;

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use campaign::Campaign;
use document::{DOCUMENT, Row};
use judge::Verdict;
use list::Mutant;
use tree::Tree;
use xtask::{Result, install, paths, progress};

const USAGE: &str = "usage: cargo xtask mutants [--jobs N] [--file F] [--only TEXT] [--shard K/N]
Changes the core in every way that cargo-mutants knows; a test must notice each.

  --jobs N     so many at a time (default: all processors)
  --file F     only those in files whose name contains F
  --only TEXT  only those whose description contains TEXT
  --shard K/N  only part K (from 1) of N";

#[derive(Default)]
struct Options {
    jobs: Option<usize>,
    file: Option<String>,
    only: Option<String>,
    shard: Option<(usize, usize)>,
}

impl Options {
    fn parse(words: &[String]) -> Result<Options> {
        let mut options = Options::default();
        for pair in words.chunks(2) {
            let [word, value] = pair else { return Err(format!("{}: no value\n{USAGE}", pair[0])) };
            let wrong = || format!("{word} {value} is not understood\n{USAGE}");
            match word.as_str() {
                "--jobs" => options.jobs = Some(value.parse().map_err(|_| wrong())?),
                "--file" => options.file = Some(value.clone()),
                "--only" => options.only = Some(value.clone()),
                "--shard" => {
                    let (part, all) = value.split_once('/').ok_or_else(wrong)?;
                    let (part, all) = (part.parse(), all.parse());
                    let (Ok(part @ 1..), Ok(all)) = (part, all) else { return Err(wrong()) };
                    options.shard = Some((part, all));
                }
                _ => return Err(wrong()),
            }
        }
        Ok(options)
    }

    fn wants(&self, at: usize, mutant: &Mutant) -> bool {
        self.file.as_ref().is_none_or(|file| mutant.file.contains(file))
            && self.only.as_ref().is_none_or(|only| mutant.what.contains(only))
            && self.shard.is_none_or(|(part, all)| at % all.max(1) == part - 1)
    }

    fn is_whole(&self) -> bool {
        self.file.is_none() && self.only.is_none() && self.shard.is_none()
    }
}

/// Runs the task with its arguments.
pub fn run(arguments: &[String]) -> Result<()> {
    if let Some("--help" | "-h") = arguments.first().map(String::as_str) {
        println!("{USAGE}");
        return Ok(());
    }
    let options = Options::parse(arguments)?;
    install::cargo_command("cargo-mutants", "27")?;
    let listed = document::listed()?;
    let tree = Tree::new(&paths::root(), &paths::target().join("mutants"))?;
    let all = list::list(tree.root())?;
    let begun = Instant::now();
    let mut campaign = Campaign::new(&tree, &all)?;
    let wanted = all.iter().enumerate().filter(|(at, mutant)| options.wants(*at, mutant));
    let wanted: Vec<&Mutant> = wanted.map(|(_, mutant)| mutant).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    campaign.run(&wanted, options.jobs.unwrap_or(cores).max(1))?;
    let verdicts = campaign.into_verdicts();
    let table = table(&wanted, &verdicts);
    println!("{table}");
    if options.is_whole() {
        DOCUMENT.write_figures(&table)?;
    }
    progress::say(&format!("{} mutants in {:.0} s", wanted.len(), begun.elapsed().as_secs_f64()));
    compare(&wanted, &verdicts, &listed)
}

/// What is missed against what is listed.
fn compare(wanted: &[&Mutant], verdicts: &HashMap<u32, Verdict>, listed: &[Row]) -> Result<()> {
    let missed = |mutant: &Mutant| verdicts.get(&mutant.number) == Some(&Verdict::Missed);
    let mut wrong = 0;
    for mutant in wanted.iter().filter(|mutant| missed(mutant)) {
        if !listed.iter().any(|row| document::is_about(row, mutant)) {
            println!("MISSED {}\n  {}", mutant.shown(), document::row(mutant));
            wrong += 1;
        }
    }
    for mutant in wanted.iter().filter(|mutant| !missed(mutant)) {
        if listed.iter().any(|row| document::is_about(row, mutant)) {
            println!("LISTED, but {:?} {}", verdicts.get(&mutant.number), mutant.shown());
            wrong += 1;
        }
    }
    DOCUMENT.differs(wrong)
}

/// The figures, a row for each file.
fn table(wanted: &[&Mutant], verdicts: &HashMap<u32, Verdict>) -> String {
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
    let head =
        ["mutants", "caught", "timeout", "unviable", "missed"].map(|name| format!("{name:>9}"));
    let mut lines = vec![format!("{:<32}{}", "file", head.concat())];
    for (file, counts) in files.into_iter().chain([("all", sum)]) {
        let numbers = counts.map(|count| format!("{count:>9}"));
        lines.push(format!("{file:<32}{}", numbers.concat()));
    }
    lines.join("\n")
}
