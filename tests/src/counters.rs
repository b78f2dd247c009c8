//! What the kernel counts about a process: its pid in, descriptors, CPU time, memory and switches
//! out.

use std::fs;

fn read(pid: u32, file: &str) -> String {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn field(pid: u32, file: &str, name: &str) -> u64 {
    let text = read(pid, file);
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("/proc/{pid}/{file} has no number for {name}:\n{text}"))
}

/// Open descriptors.
pub fn descriptors(pid: u32) -> usize {
    let path = format!("/proc/{pid}/fd");
    fs::read_dir(&path).unwrap_or_else(|error| panic!("{path}: {error}")).count()
}

/// Nanoseconds on a CPU since the start, read from schedstat (exact, where stat counts ticks).
pub fn cpu_ns(pid: u32) -> u64 {
    let text = read(pid, "schedstat");
    text.split_whitespace()
        .next()
        .and_then(|word| word.parse().ok())
        .expect("schedstat's first number")
}

/// Resident memory in kB, counted page by page (`VmRSS` lags behind by a batch a CPU).
pub fn rss_kb(pid: u32) -> u64 {
    field(pid, "smaps_rollup", "Rss")
}

/// Resident memory that is this process' own and written to, in kB.
pub fn private_dirty_kb(pid: u32) -> u64 {
    field(pid, "smaps_rollup", "Private_Dirty")
}

/// How often the process has been scheduled in: zero growth means that it slept all the time.
pub fn switches(pid: u32) -> u64 {
    field(pid, "status", "voluntary_ctxt_switches")
        + field(pid, "status", "nonvoluntary_ctxt_switches")
}

/// The scheduler's letter for the process: R running, S sleeping, D blocked, Z dead.
pub fn state(pid: u32) -> char {
    let text = read(pid, "stat");
    text.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).expect("stat's third field")
}

/// The processes whose parent is `pid`.
pub fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}
