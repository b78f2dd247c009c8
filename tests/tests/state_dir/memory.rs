//! Memory that is full, or covered by another mount: a freeze finds a place for its mark, and the
//! next agent finds the mark.

use crate::{MARKS, WITHOUT_T, inner_pid, marks, refuses};
use qga_tests::disk::Disk;
use qga_tests::guest::{FROZEN, Guest, THAWED, freeze, returns, status, thaw};
use qga_tests::jail::{AGENT_FOLDER, Start};
use std::fs;

/// Fills a place to its last byte, or to its last file.
fn fill(guest: &Guest, place: &str, by_files: bool) {
    let script = match by_files {
        true => "n=0; while : >full$n; do n=$((n+1)); done",
        false => "dd if=/dev/zero of=full bs=1k",
    };
    let script = format!("cd {place}; {script}; :");
    guest.run(&["sh", "-c", &script]);
}

/// The state directory's tmpfs has no byte, or no file, left: the mark goes where there is room.
/// Without any room the freeze is refused and nothing is frozen.
#[test]
fn full_memory() {
    if Disk::impossible("state_dir::full_memory") {
        return;
    }
    for by_files in [false, true] {
        let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
        guest.run(&["mkdir", "-m", "700", "-p", "/run/qga", "/dev/.qga"]);
        for place in MARKS {
            let size = if by_files { "nr_inodes=6" } else { "size=16k" };
            guest.run(&["mount", "-t", "tmpfs", "-o", &format!("{size},mode=700"), "none", place]);
        }
        let agent = guest.jail.agent(Start::default());
        let mut client = agent.connect();
        for (full, place) in MARKS.iter().enumerate() {
            fill(&guest, place, by_files);
            if full == 2 {
                break;
            }
            let begun = std::fs::read_dir(guest.jail.path(place)).expect("a place").count();
            assert_eq!(freeze(&mut client), returns(2), "{place} is full, by files: {by_files}");
            let now = MARKS.map(|place| marks(&guest, place).len());
            assert_eq!(now, if full == 0 { [0, 1, 1] } else { [0, 0, 1] });
            assert_eq!(thaw(&mut client), returns(2));
            let left = std::fs::read_dir(guest.jail.path(place)).expect("a place").count();
            assert_eq!(left, begun, "something was left in {place}");
        }
        let reply = freeze(&mut client);
        assert!(reply.contains("frozen mark") && reply.contains("No space left"), "{reply}");
        assert_eq!(guest.frozen(), [false, false]);
        assert_eq!(status(&mut client), THAWED);
        guest.run(&["sh", "-c", "rm /dev/.qga/full*"]);
        assert_eq!(freeze(&mut client), returns(2));
        // The agent that comes after it finds the one mark that there is.
        drop(client);
        agent.kill();
        let agent = guest.jail.agent(Start::default());
        assert_eq!(status(&mut agent.connect()), FROZEN);
        assert_eq!(thaw(&mut agent.connect()), returns(2));
        assert_eq!(guest.frozen(), [false, false]);
    }
}

/// A tmpfs is mounted over a place while something is frozen: the agent that froze thaws, and the
/// one after it finds the mark in another place.
#[test]
fn covered_places() {
    if Disk::impossible("state_dir::covered_places") {
        return;
    }
    for (covered, without_t) in
        [("/run/a", false), ("/run/a", true), ("/run/qga", true), ("/run", true), ("/dev", true)]
    {
        for killed in [false, true] {
            let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
            let before: &[&str] = if without_t { &WITHOUT_T } else { &[] };
            let start = || Start { before, ..Start::default() };
            let agent = guest.jail.agent(start());
            let mut client = agent.connect();
            assert_eq!(freeze(&mut client), returns(2));
            guest.run(&["mount", "-t", "tmpfs", "-o", "mode=755", "none", covered]);
            let _ = fs::create_dir(guest.jail.path(AGENT_FOLDER));
            if killed {
                drop(client);
                agent.kill();
                let agent = guest.jail.agent(start());
                let mut client = agent.connect();
                assert_eq!(status(&mut client), FROZEN, "{covered} is covered");
                assert_eq!(guest.frozen(), [true, true], "{covered} is covered");
                assert_eq!(thaw(&mut client), returns(2), "{covered} is covered");
            } else {
                // Its lock in the other place keeps a second one away.
                let said = ["in use by the agent with pid ", &inner_pid(agent.pid)];
                refuses(&guest, start(), &said);
                assert_eq!(thaw(&mut client), returns(2), "{covered} is covered");
                guest.run(&["umount", "-l", covered]);
                assert_eq!(MARKS.map(|place| marks(&guest, place).len()), [0, 0, 0], "{covered}");
            }
            assert_eq!(guest.frozen(), [false, false], "{covered} is covered");
        }
    }
}
