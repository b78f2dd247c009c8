//! `cargo xtask test`: every test of the project, in order; progress, what failed, what was
//! skipped and why, and a last line `N passed, N failed` come out.
//!
//! A suite that cannot run counts as one failure. A test that says that it skipped itself counts
//! as skipped, not as passed.

mod tally;

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::{fuzz, sim};
use tally::Tally;
use tempfile::NamedTempFile;
use xtask::words::Words;
use xtask::{ElseSay, Result, build, install, paths, progress, vm};

const USAGE: &str = "usage: cargo xtask test
Builds the agent and runs the tests of all workspaces, as root or not (then some are skipped).
QGA_FUZZ_SECONDS=N in the environment: how long each fuzz target runs, instead of 30.";

/// The variable through which a test learns where to note that it skipped itself.
const SKIPPED_FILE: &str = "QGA_SKIPPED_FILE";

/// What the tests run beside the virtual machine's needs: command, Debian package.
const NEEDS: [(&str, &str); 13] = [
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.xfs", "xfsprogs"),
    ("mkfs.btrfs", "btrfs-progs"),
    ("losetup", "mount"),
    ("python3", "python3"),
    ("socat", "socat"),
    ("strace", "strace"),
    ("shellcheck", "shellcheck"),
    ("busybox", "busybox-static"),
    ("qemu-ga", "qemu-guest-agent"),
    ("valgrind", "valgrind"),
    ("readelf", "binutils"),
    ("i686-linux-gnu-gcc", "gcc-i686-linux-gnu"),
];

pub fn run(arguments: &[String]) -> Result<()> {
    let Some(words) = Words::new(arguments, USAGE) else { return Ok(()) };
    words.end()?;
    let begun = Instant::now();
    prepare();
    let mut tally = Tally::default();
    let noted = NamedTempFile::new().else_say("no file for the tests to note their skips in")?;
    let skipped = noted.path();
    let agent = build::release();
    if let Err(error) = &agent {
        tally.could_not_run("building the agent", error);
    }
    // Without an agent the core's and the simulated platform's tests still tell something.
    cargo_test("core and platforms", &paths::root(), &["--workspace"], skipped, &mut tally);
    cargo_test("the tasks themselves", &paths::root().join("xtask"), &[], skipped, &mut tally);
    let directory = paths::root().join("simulation");
    cargo_test("the simulation itself", &directory, &["--release"], skipped, &mut tally);
    for arguments in sim::ORDINARY {
        let arguments = [&["sim"], arguments].concat();
        task_holds(&arguments, &mut tally);
    }
    fuzzes(&mut tally);
    if agent.is_ok() {
        let directory = paths::root().join("tests");
        cargo_test("the agent's binary", &directory, &[], skipped, &mut tally);
        // memory-budget.md is what the present build yields.
        task_holds(&["size", "--check"], &mut tally);
    }
    let microvm = vm::baremetal::prepare(vm::baremetal::Machine::Microvm);
    task_in_machine(microvm, &["demo", "--unikernel"], &mut tally);
    task_in_machine(vm::prepare(), &["soak", "--minutes", "1"], &mut tally);
    tally.skips_in(&fs::read_to_string(skipped).unwrap_or_default());
    let _ = noted.close();
    progress::say(&format!("all done in {:.0} s", begun.elapsed().as_secs_f64()));
    println!("{}", tally.report());
    match tally.failed() {
        0 => Ok(()),
        // The report is the message, and its last line stays the last line.
        _ => std::process::exit(1),
    }
}

/// Installs what the tests run. What cannot be had is named here; the tests that need it skip
/// themselves, and are counted.
fn prepare() {
    let results = [
        install::commands(&NEEDS),
        install::python_venv(),
        vm::prepare(),
        vm::reference::reference().map(|_| ()),
    ];
    for error in results.into_iter().filter_map(Result::err) {
        progress::say(&format!("going on without: {error}"));
    }
}

/// Runs the tests of one workspace, shows their output as it comes and counts them.
fn cargo_test(name: &str, directory: &Path, more: &[&str], skipped: &Path, tally: &mut Tally) {
    progress::say(&format!("testing: {name} (cargo test in {})", directory.display()));
    let begun = Instant::now();
    let mut command = build::cargo();
    command.args(["test", "--no-fail-fast"]).args(more);
    command.current_dir(directory).env(SKIPPED_FILE, skipped).env("QGA_BIN", paths::agent());
    let failed_before = tally.failed();
    let result = shown_and_counted(command, tally);
    match result {
        Err(error) => tally.could_not_run(name, &error),
        // Not a failed test but a build that fails, or a test process that crashed.
        Ok(false) if tally.failed() == failed_before => {
            tally.could_not_run(name, "cargo test failed; its messages are above");
        }
        Ok(_) => {}
    }
    progress::say(&format!("{name}: {:.0} s", begun.elapsed().as_secs_f64()));
}

/// Runs a command, prints its output line by line and counts what it says; whether it succeeded.
/// Output and messages go through one pipe, so that they stay in order.
fn shown_and_counted(mut command: Command, tally: &mut Tally) -> Result<bool> {
    let program = command.get_program().to_string_lossy().into_owned();
    let pipes = std::io::pipe().and_then(|(output, end)| Ok((output, end.try_clone()?, end)));
    let (output, stdout, stderr) = pipes.else_say("no pipe")?;
    command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
    let mut child = command.spawn().else_say(format!("cannot run {program}"))?;
    // Our copies of the pipe's writing end go with it; else it never ends.
    drop(command);
    for line in BufReader::new(output).split(b'\n') {
        let line = line.else_say(format!("cannot read what {program} prints"))?;
        let line = String::from_utf8_lossy(&line);
        tally.line(&line);
        println!("{line}");
    }
    let status = child.wait().else_say(format!("cannot wait for {program}"))?;
    Ok(status.success())
}

/// One test a fuzz target, while nothing else runs.
fn fuzzes(tally: &mut Tally) {
    progress::say("testing: the fuzz targets (cargo xtask fuzz)");
    match fuzz::ordinary() {
        Ok(outcomes) => outcomes.iter().for_each(|outcome| {
            tally.check(&format!("cargo xtask fuzz {}", outcome.target), outcome.passed());
        }),
        Err(error) => tally.could_not_run("cargo xtask fuzz", &error),
    }
}

/// The same for a task that needs a virtual machine: skipped, and counted, where there can be none.
fn task_in_machine(prepared: Result<()>, arguments: &[&str], tally: &mut Tally) {
    match prepared {
        Ok(()) => task_holds(arguments, tally),
        Err(reason) => {
            tally.skips_in(&format!("{}: {}", arguments.join(" "), reason.replace('\n', "; ")));
        }
    }
}

/// One test of its own: another task with these arguments succeeds.
fn task_holds(arguments: &[&str], tally: &mut Tally) {
    let name = format!("cargo xtask {}", arguments.join(" "));
    progress::say(&format!("testing: {name}"));
    match env::current_exe().and_then(|path| Command::new(path).args(arguments).status()) {
        Ok(status) => tally.check(&name, status.success()),
        Err(error) => tally.could_not_run(&name, &error.to_string()),
    }
}
