//! `cargo xtask demo`: the agent as process 1 of a real virtual machine, from its first reply
//! through freeze and thaw to guest-shutdown; a printed session and a small table come out.
//!
//! Where no virtual machine can be had, the same session runs over a unix socket on this machine,
//! without what would stop the machine itself.

mod here;
mod machine;
mod session;
mod terminal;
mod unikernel;

use xtask::{build, progress, vm};

const USAGE: &str = "usage: cargo xtask demo [--keep | --here | --unikernel]
  --keep   leaves the virtual machine up at the end and prints how to talk to it
  --here   no virtual machine: the harmless part of the session, on this machine
  --unikernel
           a guest without Linux, the agent alone: boots it and holds the same session";

/// Runs the task with its arguments.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let keep = match words[..] {
        [] => false,
        ["--keep"] => true,
        ["--here"] => return here::run(&build::release()?),
        ["--unikernel"] => return unikernel::run(),
        ["--help" | "-h"] => {
            println!("{USAGE}");
            return Ok(());
        }
        _ => return Err(format!("unknown option\n{USAGE}")),
    };
    let agent = build::release()?;
    if let Err(missing) = vm::prepare() {
        if keep {
            return Err(format!("no virtual machine can be had here: {missing}"));
        }
        progress::say(&format!("no virtual machine can be had here: {missing}"));
        progress::say("hence the same session over a unix socket on this machine");
        return here::run(&agent);
    }
    machine::run(&agent, keep)
}
