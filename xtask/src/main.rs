//! `cargo xtask <task>`: the project's own commands. Each task is one module.

mod coverage;
mod demo;
mod exceptions;
mod functions;
mod fuzz;
mod mutants;
mod pairs;
mod programs;
mod sim;
mod soak;
mod test;

use std::process::ExitCode;

use xtask::{bench, size};

const USAGE: &str = "usage: cargo xtask <task> [options]

tasks:
  demo [--keep | --here | --unikernel]
                           boots the agent as process 1 of a virtual machine and talks to it
                           (--keep leaves the machine up, --here does without one)
  test                     runs every test of the project; last line: N passed, N failed
  sim [options]            holds seeded sessions on a simulated guest and judges every step
                           (--seeds N, --seed S to repeat one, --torture N for failing calls)
  fuzz [options] [TARGET...]
                           fuzzes what reads bytes that others wrote (--hours N, --seconds N,
                           --jobs N, --keep, --minimise, --coverage)
  soak [options]           serves a mixed load in a virtual machine and judges whether
                           descriptors, memory and CPU stay flat (--minutes N, --seed S)
  coverage [options]       which branches of the core and lines of the Linux platform tests reach
                           (--core, --linux, --seeds N)
  mutants [options]        changes the core in every way and looks whether a test notices
                           (--jobs N, --file F, --only TEXT, --shard K/N)
  pairs [--check]          chooses the pairs of letters by which the agent's texts are packed
  bench [options]          measures ours beside Debian's qemu-ga, writes the table and the chart
  size [--check]           writes memory-budget.md from the build (or checks that it is fresh)

cargo xtask <task> --help tells more where there is more to tell.";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = words.split_first().map_or(("", &[][..]), |(task, rest)| (task, rest));
    let result = match task {
        "coverage" => coverage::run(rest),
        "demo" => demo::run(rest),
        "test" => test::run(rest),
        "sim" => sim::run(rest),
        "fuzz" => fuzz::run(rest),
        "mutants" => mutants::run(rest),
        "pairs" => pairs::run(rest),
        "soak" => soak::run(rest),
        "bench" => bench::run(rest),
        "size" => size::run(rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask {task}: {error}");
            ExitCode::FAILURE
        }
    }
}
