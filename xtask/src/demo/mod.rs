//! `cargo xtask demo`: the agent as process 1 of a real virtual machine, from its first reply
//! through freeze and thaw to guest-shutdown; a printed session and a small table come out.
//!
//! Where no virtual machine can be had, the same session runs over a unix socket on this machine,
//! without what would stop the machine itself.

mod here;
mod machine;
mod session;
mod unikernel;

use xtask::words::Words;
use xtask::{Result, build, progress, vm};

const USAGE: &str = "usage: cargo xtask demo [--keep | --here | --unikernel]
  --keep   leaves the virtual machine up at the end and prints how to talk to it
  --here   no virtual machine: the harmless part of the session, on this machine
  --unikernel
           a guest without Linux, the agent alone: boots it and holds the same session";

pub fn run(arguments: &[String]) -> Result<()> {
    let Some(mut words) = Words::new(arguments, USAGE) else { return Ok(()) };
    let (keep, here, unikernel) =
        (words.has("--keep"), words.has("--here"), words.has("--unikernel"));
    words.end()?;
    if unikernel {
        return unikernel::run();
    }
    let agent = build::release()?;
    if here {
        return here::run(&agent);
    }
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
