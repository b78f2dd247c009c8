//! What the kernel says about a process: its number goes in, memory, CPU time and wake-ups come
//! out.

use std::path::{Path, PathBuf};

use crate::{Result, paths};

/// Memory of a process in kB, by a walk over its pages (the kernel's cheap counters are off by up
/// to 32 pages a core, more than all that is measured here).
#[derive(Clone, Copy)]
pub struct Memory {
    pub resident_kb: u64,
    pub private_dirty_kb: u64,
}

pub fn memory(process: u32) -> Result<Memory> {
    let text = paths::text(&folder(process).join("smaps_rollup"))?;
    let (resident_kb, private_dirty_kb) = (field(&text, "Rss:")?, field(&text, "Private_Dirty:")?);
    Ok(Memory { resident_kb, private_dirty_kb })
}

/// The highest resident size that the kernel noticed, in kB.
pub fn peak_kb(process: u32) -> Result<u64> {
    field(&paths::text(&folder(process).join("status"))?, "VmHWM:")
}

/// CPU time of all threads so far, in nanoseconds; exact while the process sleeps.
pub fn cpu_ns(process: u32) -> Result<u64> {
    sum_of_threads(process, "schedstat", |text| word(text, 0))
}

/// How long the threads were ready to run while another process had their core, in nanoseconds.
pub fn kept_waiting_ns(process: u32) -> Result<u64> {
    sum_of_threads(process, "schedstat", |text| word(text, 1))
}

/// How often the threads went to sleep so far: each of these is a wake-up.
pub fn sleeps(process: u32) -> Result<u64> {
    sum_of_threads(process, "status", |text| field(text, "voluntary_ctxt_switches:"))
}

/// The number after a name, in a text that a kernel wrote.
pub fn field(text: &str, name: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok());
    number.ok_or_else(|| format!("the kernel tells no {name}"))
}

fn word(text: &str, place: usize) -> Result<u64> {
    let number = text.split_ascii_whitespace().nth(place).and_then(|word| word.parse().ok());
    number.ok_or_else(|| format!("the kernel's numbers are not understood: {text:?}"))
}

fn sum_of_threads(process: u32, file: &str, number: impl Fn(&str) -> Result<u64>) -> Result<u64> {
    let threads = paths::entries(&folder(process).join("task"))?;
    threads.iter().map(|thread| number(&paths::text(&thread.join(file))?)).sum()
}

fn folder(process: u32) -> PathBuf {
    Path::new("/proc").join(process.to_string())
}
