//! What the kernel says about a process: its number goes in, memory, CPU time and wake-ups come
//! out.

use std::fs;

/// Memory of a process in kB, by a walk over its pages (the kernel's cheap counters are off by up
/// to 32 pages a core, more than all that is measured here).
#[derive(Clone, Copy)]
pub struct Memory {
    pub resident_kb: u64,
    pub private_dirty_kb: u64,
}

pub fn memory(process: u32) -> Result<Memory, String> {
    let (path, text) = read(process, "smaps_rollup")?;
    Ok(Memory {
        resident_kb: field(&path, &text, "Rss:")?,
        private_dirty_kb: field(&path, &text, "Private_Dirty:")?,
    })
}

/// The highest resident size that the kernel noticed, in kB.
pub fn peak_kb(process: u32) -> Result<u64, String> {
    let (path, text) = read(process, "status")?;
    field(&path, &text, "VmHWM:")
}

/// CPU time of all threads so far, in nanoseconds; exact while the process sleeps.
pub fn cpu_ns(process: u32) -> Result<u64, String> {
    sum_of_threads(process, |thread| schedstat(process, thread, 0))
}

/// How long the threads were ready to run while another process had their core, in nanoseconds.
pub fn kept_waiting_ns(process: u32) -> Result<u64, String> {
    sum_of_threads(process, |thread| schedstat(process, thread, 1))
}

fn schedstat(process: u32, thread: &str, place: usize) -> Result<u64, String> {
    let (path, text) = read_thread(process, thread, "schedstat")?;
    let number = text.split_ascii_whitespace().nth(place).and_then(|word| word.parse().ok());
    number.ok_or_else(|| format!("{path}: not understood: {text:?}"))
}

/// How often the threads went to sleep so far: each of these is a wake-up.
pub fn sleeps(process: u32) -> Result<u64, String> {
    sum_of_threads(process, |thread| {
        let (path, text) = read_thread(process, thread, "status")?;
        field(&path, &text, "voluntary_ctxt_switches:")
    })
}

fn sum_of_threads(process: u32, each: impl Fn(&str) -> Result<u64, String>) -> Result<u64, String> {
    let path = format!("/proc/{process}/task");
    let threads = fs::read_dir(&path).map_err(|error| format!("cannot list {path}: {error}"))?;
    let mut sum = 0;
    for thread in threads {
        let thread = thread.map_err(|error| format!("cannot list {path}: {error}"))?;
        sum += each(&thread.file_name().to_string_lossy())?;
    }
    Ok(sum)
}

fn read(process: u32, file: &str) -> Result<(String, String), String> {
    let path = format!("/proc/{process}/{file}");
    let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
    Ok((path, text))
}

fn read_thread(process: u32, thread: &str, file: &str) -> Result<(String, String), String> {
    read(process, &format!("task/{thread}/{file}"))
}

fn field(path: &str, text: &str, name: &str) -> Result<u64, String> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.split_ascii_whitespace().next()?.parse().ok())
        .ok_or_else(|| format!("{path} has no number after {name}"))
}
