//! The state directory in a guest with hostile users, root's own mistakes, a second agent, and
//! memory that is full or covered.

mod absent;
mod memory;
mod planted;
mod second;

use qga_tests::guest::Guest;
use qga_tests::jail::{AGENT_FOLDER, JailedAgent, Start};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a start may take, whatever is in its way; the machine does other work.
pub const START_MAX: Duration = Duration::from_secs(1);

/// Everything that has the name of a mark.
pub const MARKS: [&str; 3] = [AGENT_FOLDER, "/run/qga", "/dev/.qga"];

/// A shell that becomes an agent without `-t` on the usual socket; the arguments after it are not
/// the agent's.
pub const WITHOUT_T: [&str; 4] =
    ["/bin/busybox", "sh", "-c", "umask 0; exec /bin/qga -m unix-listen -p /run/a/s"];

/// What marks lie in a place.
pub fn marks(guest: &Guest, place: &str) -> Vec<PathBuf> {
    let Ok(folder) = fs::read_dir(guest.jail.path(place)) else { return Vec::new() };
    let paths = folder.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.to_string_lossy().contains("isfrozen")).collect()
}

pub fn starts(guest: &Guest, start: Start, what: &str) -> JailedAgent {
    let begun = Instant::now();
    let agent = guest.jail.agent(start);
    assert!(begun.elapsed() < START_MAX, "{what}: a start of {:?}", begun.elapsed());
    agent
}

/// The number that processes of the jail know it by.
pub fn inner_pid(pid: u32) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = text.lines().find(|line| line.starts_with("NSpid:")).expect("numbers");
    line.split_whitespace().last().expect("a number").to_owned()
}

/// Asserts that the agent refuses to start, soon, and says this.
pub fn refuses(guest: &Guest, start: Start, words: &[&str]) {
    let (begun, before) = (Instant::now(), guest.jail.stderr().len());
    assert_eq!(guest.jail.spawn(start).wait(), "exited 1", "{words:?}");
    assert!(begun.elapsed() < START_MAX, "{words:?}: {:?}", begun.elapsed());
    let said = &guest.jail.stderr()[before..];
    assert!(words.iter().all(|word| said.contains(word)), "{said} does not say {words:?}");
}
