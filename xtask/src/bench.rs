//! `cargo xtask bench`: ours and Debian's qemu-ga go in, measured side by side in the same run; a
//! table, a chart and a JSON file come out, and an error when a promise is missed.

pub mod agent;
mod chart;
pub mod client;
mod cores;
mod exec;
mod floor;
mod footprint;
mod lists;
pub mod process;
mod slow;
mod speed;
mod table;
mod trace;
mod vm;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use xtask::marked::Marked;
use xtask::words::Words;
use xtask::{ElseSay, Result, build, command, install, paths, progress};

use agent::{CLIENT_CORE, Program};
use table::Row;

const USAGE: &str = "usage: cargo xtask bench [--quick] [--rounds N] [--ours FILE]
  --quick     fewer rounds, no virtual machine; leaves README.md and docs/ alone
  --rounds N  interleaved rounds a row (15)
  --ours FILE measures this file in place of target/release/qga; leaves README.md and docs/ alone";

const ROUNDS: usize = 15;
const ROUNDS_QUICK: usize = 3;
/// The file that guest-file-read reads, on tmpfs; two requests of the longest count.
const DATA_BYTES: u64 = 96 << 20;
/// Commands and the Debian packages that bring them; the reference is measured as Debian ships it.
const TOOLS: [(&str, &str); 5] = [
    ("qemu-ga", "qemu-guest-agent"),
    ("strace", "strace"),
    ("valgrind", "valgrind"),
    ("gzip", "gzip"),
    ("ldd", "libc-bin"),
];
const REFERENCE: &str = "/usr/sbin/qemu-ga";
/// Not for people: makes the task the server that marks the floor of CPU time a ping.
const FLOOR: &str = "--floor";
/// Where the table goes.
const README: Marked =
    Marked { name: "README.md", begin: "<!-- bench:begin -->", end: "<!-- bench:end -->" };

struct Options {
    quick: bool,
    rounds: usize,
    ours: Option<PathBuf>,
}

/// What the measurements share.
struct Bench {
    /// Ours, then the reference: each round goes through them in this order.
    programs: [Program; 2],
    rounds: usize,
    data: PathBuf,
    scratch: TempDir,
    /// Where this task may run but for the pinning: a virtual machine wants all cores.
    all_cores: cores::Cores,
}

impl Bench {
    fn folder(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn progress(&self, what: &str) {
        progress::say(&format!("bench: {what}"));
    }
}

pub fn run(args: &[String]) -> Result<()> {
    if let [word, line @ ..] = args
        && word == FLOOR
    {
        return floor::serve(line);
    }
    let Some(words) = Words::new(args, USAGE) else { return Ok(()) };
    let options = options(words)?;
    let root = paths::root();
    let bench = prepare(&options)?;
    let mut rows = measure(&bench)?;
    if options.quick {
        progress::say("bench: left out by --quick: virtio-serial in a virtual machine");
    } else {
        cores::allow(bench.all_cores).else_say("sched_setaffinity")?;
        rows.extend(vm::rows(&bench)?);
    }
    print!("{}", table::text(&rows));
    if options.quick || options.ours.is_some() {
        eprintln!("bench: README.md and docs/ are left as they are (--quick or --ours)");
    } else {
        publish(&root, &rows, options.rounds)?;
    }
    let missed = table::missed(&rows);
    if missed.is_empty() {
        return Ok(());
    }
    Err(format!("{} of the promised numbers are missed:\n  {}", missed.len(), missed.join("\n  ")))
}

fn options(mut words: Words) -> Result<Options> {
    let quick = words.has("--quick");
    let usual = if quick { ROUNDS_QUICK } else { ROUNDS };
    let rounds = words.number("--rounds", 1..=1000)?.unwrap_or(usual);
    let ours = words.value("--ours")?.map(PathBuf::from);
    words.end()?;
    Ok(Options { quick, rounds, ours })
}

fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = footprint::files(bench)?;
    rows.extend(footprint::memory(bench)?);
    rows.push(speed::start(bench)?);
    rows.extend(trace::system_calls(bench)?);
    rows.push(trace::instructions(bench));
    rows.extend(speed::cpu(bench)?);
    rows.extend(speed::throughput(bench)?);
    rows.extend(lists::rows(&bench.programs, bench.rounds, bench.scratch.path())?);
    rows.extend(exec::rows(&bench.programs, bench.rounds, bench.scratch.path())?);
    rows.push(slow::row(bench)?);
    rows.push(footprint::wake_ups(bench)?);
    Ok(rows)
}

/// Builds, installs what is missing, and lays out the data file on tmpfs.
fn prepare(options: &Options) -> Result<Bench> {
    install::commands(&TOOLS)?;
    let ours = match &options.ours {
        Some(path) => path.clone(),
        None => build::release()?,
    };
    let all_cores = cores::allowed().else_say("sched_getaffinity")?;
    for program in [ours.as_path(), Path::new(REFERENCE)] {
        // Pages of a file that was just built count as dirty memory until they are on the disk.
        let synced = fs::File::open(program).and_then(|file| file.sync_all());
        synced.else_say_of("cannot sync", program)?;
    }
    cores::pin(CLIENT_CORE)
        .else_say(format!("two cores are needed, but to pin the client to core {CLIENT_CORE}"))?;
    let scratch = tempfile::Builder::new().prefix("qga-bench-").tempdir_in("/dev/shm");
    let scratch = scratch.else_say("cannot make a folder in /dev/shm")?;
    let bench = Bench {
        programs: [
            Program { name: "ours", path: ours },
            Program { name: "qemu-ga", path: REFERENCE.into() },
        ],
        rounds: options.rounds,
        data: scratch.path().join("data"),
        scratch,
        all_cores,
    };
    lay_out(&bench).else_say_of("cannot write", &bench.data)?;
    Ok(bench)
}

/// A file of bytes that no shortcut could guess, the same each time, and one to write to.
fn lay_out(bench: &Bench) -> std::io::Result<()> {
    let mut bytes = vec![0; DATA_BYTES as usize];
    fastrand::Rng::with_seed(1).fill(&mut bytes);
    fs::write(&bench.data, bytes)?;
    fs::write(bench.folder("written"), b"")
}

/// Writes README.md's table, the chart and the JSON.
fn publish(root: &Path, rows: &[Row], rounds: usize) -> Result<()> {
    let write = |path: &Path, text: &str| {
        eprintln!("bench: writes {}", path.display());
        paths::write(path, text)
    };
    let docs = root.join("docs");
    paths::make(&docs)?;
    write(&docs.join("bench.svg"), &chart::svg(rows))?;
    let value = serde_json::json!({
        "reference": command::text(Command::new(REFERENCE).arg("-V")).unwrap_or_default().trim(),
        "kernel": fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        "rounds": rounds,
        "rows": table::value(rows),
    });
    write(&docs.join("bench.json"), &format!("{value:#}\n"))?;
    eprintln!("bench: writes {}", README.path().display());
    README.write(&table::markdown(rows))
}
