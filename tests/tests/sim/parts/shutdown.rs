//! The agent's own shutdown in a guest where processes hang and filesystems stay busy: each step at
//! its time, and no step waits for ever.

use super::stream::Stream;
use qga_core::Errno;
use qga_core::internals::shutdown::{Progress, Shutdown};
use qga_core::limits::{SHUTDOWN_KILL_MS, SHUTDOWN_TERM_MS, SHUTDOWN_TERM_POLL_MS};
use qga_core::platform::{Absent, Clock, Freeze, Mode, Power, Signal};

/// A guest whose agent is its process 1, with one filesystem inside another.
#[derive(Default)]
struct Guest {
    now_ms: u64,
    /// When the last process ends.
    processes_until_ms: u64,
    /// The mount points, outer ones first.
    mounted: Vec<&'static str>,
    /// The one that cannot be unmounted.
    busy: &'static str,
    did: Vec<(u64, String)>,
}

impl Guest {
    fn does(&mut self, what: impl Into<String>) {
        self.did.push((self.now_ms, what.into()));
    }

    fn path(&self, path: &[u8]) -> String {
        String::from_utf8(path.to_vec()).expect("text")
    }
}

impl Clock for Guest {
    fn now_ms(&mut self) -> u64 {
        self.now_ms
    }
}

impl qga_core::platform::Hooks for Guest {}

impl Freeze for Guest {
    type Table = Stream;
    type Filesystem = Absent;
    type Mark = Absent;
    type Freezer = ();

    fn mounts(&mut self) -> Result<Stream, Errno> {
        let lines = self.mounted.iter().enumerate();
        let lines = lines.map(|(n, path)| format!("1 0 8:{n} / {path} rw - ext4 /dev/x rw\n"));
        Ok(Stream::of(lines.collect::<String>().as_bytes()))
    }
}

impl Power for Guest {
    const OFFERED: bool = true;

    fn is_init(&mut self) -> bool {
        true
    }

    fn signal_all(&mut self, signal: Signal) {
        self.does(match signal {
            Signal::Terminate => "terminate",
            Signal::Kill => "kill",
        });
    }

    fn processes_remain(&mut self) -> bool {
        self.now_ms < self.processes_until_ms
    }

    fn unmount(&mut self, path: &[u8]) -> Result<(), Errno> {
        let path = self.path(path);
        let inner = |other: &&str| other.len() > path.len() && other.starts_with(&path);
        if path == self.busy || self.mounted.iter().any(inner) {
            return Err(Errno::BUSY);
        }
        self.mounted.retain(|other| *other != path);
        self.does(format!("unmount {path}"));
        Ok(())
    }

    fn remount_read_only(&mut self, path: &[u8]) -> Result<(), Errno> {
        let path = self.path(path);
        self.does(format!("read-only {path}"));
        Ok(())
    }

    fn sync(&mut self) {
        self.does("sync");
    }

    fn reboot(&mut self, mode: Mode) -> Result<(), Errno> {
        self.does(format!("reboot {mode:?}"));
        Err(Errno::PERM)
    }
}

/// Shuts down, waiting each time as long as it says; what it did and when, and how often it looked.
fn shut_down(guest: &mut Guest) -> (Vec<(u64, String)>, usize) {
    let mut shutdown = Shutdown::default();
    shutdown.begin(Mode::Halt);
    let mut looks = 0;
    loop {
        match shutdown.poll(guest, &mut [0; 200]) {
            Progress::Wait(until_ms) => {
                assert!(until_ms > guest.now_ms, "it waits for what is over");
                assert!(until_ms <= guest.now_ms + SHUTDOWN_TERM_POLL_MS, "it looks too late");
                guest.now_ms = until_ms;
                looks += 1;
                assert!(looks < 1000, "it waits for ever");
            }
            Progress::Done(result) => {
                let said = result.expect_err("the kernel refuses").to_string();
                assert_eq!(said, "failed to shutdown: reboot(2): Operation not permitted");
                return (std::mem::take(&mut guest.did), looks);
            }
        }
    }
}

fn steps(steps: &[(u64, &str)]) -> Vec<(u64, String)> {
    steps.iter().map(|(at, what)| (*at, (*what).to_owned())).collect()
}

#[test]
fn processes_that_hang_in_the_kernel_are_not_waited_for() {
    let mut guest = Guest { now_ms: 7, processes_until_ms: u64::MAX, ..Guest::default() };
    let killed = 7 + SHUTDOWN_TERM_MS;
    let gone = killed + SHUTDOWN_KILL_MS;
    let (did, looks) = shut_down(&mut guest);
    let expected =
        [(7, "terminate"), (killed, "kill"), (gone, "sync"), (gone, "sync"), (gone, "reboot Halt")];
    assert_eq!(did, steps(&expected));
    assert_eq!(looks as u64, (SHUTDOWN_TERM_MS + SHUTDOWN_KILL_MS) / SHUTDOWN_TERM_POLL_MS);
}

#[test]
fn processes_that_end_are_seen_soon() {
    for ends_ms in [0, 1, 30, 49, 50, 51, 2_990, 3_000, 3_001, 3_500, 3_999, 4_000] {
        let mut guest = Guest { processes_until_ms: ends_ms, ..Guest::default() };
        let (did, _) = shut_down(&mut guest);
        let (at, last) = did.last().expect("an end");
        assert_eq!(last, "reboot Halt");
        assert_eq!(*at, ends_ms.next_multiple_of(SHUTDOWN_TERM_POLL_MS).min(4_000), "{ends_ms}");
        let killed = did.iter().any(|(_, what)| what == "kill");
        assert_eq!(killed, ends_ms > SHUTDOWN_TERM_MS, "{ends_ms}");
    }
}

#[test]
fn inner_filesystems_first_and_what_stays_busy_read_only() {
    let mounted = vec!["/", "/a", "/a/b", "/a/b/c", "/d"];
    let mut guest = Guest { mounted, busy: "/", ..Guest::default() };
    let (did, _) = shut_down(&mut guest);
    let order: Vec<&str> = did.iter().map(|(_, what)| what.as_str()).collect();
    let expected = [
        "terminate",
        "sync",
        "unmount /a/b/c",
        "unmount /d",
        "unmount /a/b",
        "unmount /a",
        "read-only /",
        "sync",
        "reboot Halt",
    ];
    assert_eq!(order, expected);
}
