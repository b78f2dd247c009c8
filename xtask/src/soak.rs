//! `cargo xtask soak`: minutes and a seed come in; the agent serves a mixed load in a virtual
//! machine for so long, is looked at from inside the guest at quiet points, and a table and a
//! verdict come out: flat, or an error that names what grew and the line that repeats it.
//!
//! Invariant: a quiet point is always the same state (one client in sync, no file open, nothing
//! frozen), so that whatever differs between two of them is a leak.

mod acts;
mod client;
mod load;
mod sample;
mod verdict;

use std::time::{Duration, Instant};

use load::Load;
use sample::{Eye, Sample};
use xtask::vm::{RunAs, Vm};
use xtask::words::Words;
use xtask::{Result, build, progress};

const USAGE: &str = "usage: cargo xtask soak [--minutes N] [--seed S] [--interval SECONDS]
Serves a mixed load in a virtual machine and watches descriptors, memory, CPU and wake-ups.
  --minutes N   how long the load lasts, such as 0.5 or 600 (10)
  --seed S      chooses the acts of the load; the same seed gives the same acts (1)
  --interval S  seconds from one quiet point to the next (10, less in a short run)";

const MINUTES: f64 = 10.0;
const INTERVAL_S: f64 = 10.0;
/// A verdict compares thirds of what follows the first fifth; that wants so many quiet points at
/// least.
const SAMPLES_MIN: f64 = 12.0;
/// What large reads read, on tmpfs.
pub const DATA: &str = "/run/data";
pub const DATA_BYTES: u64 = 8 << 20;
/// With this the guest's clock counts instructions (8 ns each) in place of the host's time: CPU
/// time in the guest is then a count of instructions, which other load on this machine does not
/// change.
const COUNTED_INSTRUCTIONS: [&str; 2] = ["-icount", "shift=3,sleep=on"];

struct Options {
    minutes: f64,
    seed: u64,
    interval_s: f64,
}

pub fn run(arguments: &[String]) -> Result<()> {
    let Some(words) = Words::new(arguments, USAGE) else { return Ok(()) };
    let options = parse(words)?;
    let samples = soak(&options).map_err(|error| {
        let Options { minutes, seed, .. } = options;
        format!("{error}\n  to repeat it: cargo xtask soak --seed {seed} --minutes {minutes}")
    })?;
    verdict::print(&samples);
    match verdict::judge(&samples)?.iter().filter(|line| !line.flat).count() {
        0 => Ok(()),
        count => Err(format!("not flat: {count} of the lines above (seed {})", options.seed)),
    }
}

fn parse(mut words: Words) -> Result<Options> {
    let minutes = words.number("--minutes", 0.01..1e6)?.unwrap_or(MINUTES);
    let seed = words.number("--seed", ..)?.unwrap_or(1);
    let interval_s = words.number("--interval", 0.01..1e6)?;
    words.end()?;
    // A short run looks more often, so that its thirds have quiet points.
    let interval_s = interval_s.unwrap_or(INTERVAL_S.min(minutes * 60.0 / SAMPLES_MIN));
    Ok(Options { minutes, seed, interval_s })
}

/// Boots the machine, keeps the load up for the time and yields what was seen at each quiet point.
fn soak(options: &Options) -> Result<Vec<Sample>> {
    let binary = build::release()?;
    progress::say("booting a virtual machine with the agent ...");
    let mut vm = Vm::builder()
        .binary(&binary)
        .run_as(RunAs::Child)
        .arguments(&["-r"])
        .without_agent_port()
        .with_shell()
        .memory_mib(384)
        .qemu_arguments(&COUNTED_INSTRUCTIONS)
        .script(&format!(
            "dd if=/dev/urandom of={DATA} bs=1M count={} 2>/dev/null",
            DATA_BYTES >> 20
        ))
        .boot()?;
    vm.shell("true")?;
    vm.plug_port()?;
    drop(vm.agent()?);
    let mut load = Load::new(vm, options.seed);
    let result = serve(&mut load, options);
    result.map_err(|error| load.vm.explain(format!("{error}\n  {}", load.history())))
}

fn serve(load: &mut Load, options: &Options) -> Result<Vec<Sample>> {
    let eye = Eye::new(&mut load.vm)?;
    load.warm_up()?;
    let begun = Instant::now();
    let time = Duration::from_secs_f64(options.minutes * 60.0);
    let mut samples = Vec::new();
    loop {
        let next = Duration::from_secs_f64(options.interval_s * (samples.len() + 1) as f64);
        while begun.elapsed() < next.min(time) {
            load.act()?;
        }
        load.quiet()?;
        // With the hypervisor's side attached and detached, in turn.
        let sample = eye.sample(load, begun.elapsed(), samples.len() % 2 == 1)?;
        progress::say(&format!("{} of {:.1} min: {sample}", sample.clock(), options.minutes));
        samples.push(sample);
        if begun.elapsed() >= time {
            break;
        }
    }
    eye.end(&mut load.vm)?;
    progress::say(&load.history());
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options> {
        let words: Vec<String> = line.split_whitespace().map(String::from).collect();
        parse(Words::new(&words, USAGE).expect("no help"))
    }

    #[test]
    fn options() {
        let options = parsed("--minutes 600 --seed 7").unwrap();
        assert_eq!((options.minutes, options.seed, options.interval_s), (600.0, 7, 10.0));
        assert_eq!(parsed("--minutes 0.5").unwrap().interval_s, 2.5);
        assert_eq!(parsed("--interval 30").unwrap().interval_s, 30.0);
        for wrong in ["--minutes 0", "--minutes -1", "--minutes x", "--seed -1", "--x 1"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
