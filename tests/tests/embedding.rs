//! The tutorial docs/embedding.md: its Rust, compiled as it stands there (examples/embedding),
//! serves a channel in memory and holds the project's conversations; its tables and numbers are
//! those of the build.

use qga_core::Errno;
use qga_core::internals::command::{Needs, Row, Table};
use qga_core::internals::handle::Handles;
use qga_core::platform::{Absent, Mode};
use qga_embedding::{Agent, FRAME_BYTES, Guest, Port, Registers, WINDOW_BYTES, pump, run};
use qga_sim::Sim;
use qga_tests::connection::shown;
use qga_tests::conversations::{Before, load};
use qga_tests::repository;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

const MINIMAL: [&str; 5] =
    ["guest-sync-delimited", "guest-sync", "guest-ping", "guest-info", "guest-shutdown"];

fn tutorial() -> String {
    std::fs::read_to_string(repository().join("docs/embedding.md")).expect("the tutorial")
}

/// What leaves a call that never comes back.
struct Ended(Mode);
struct Silent;

fn guest() -> Guest {
    Guest { uptime_ms: || 1000, end: |mode| resume_unwind(Box::new(Ended(mode))) }
}

/// Two queues, as a UART: `busy` of so many attempts to send finds it busy.
#[derive(Clone, Default)]
struct Wire {
    came: Rc<RefCell<VecDeque<u8>>>,
    went: Rc<RefCell<Vec<u8>>>,
    tries: usize,
}

impl Registers for Wire {
    fn receive(&mut self) -> Option<u8> {
        self.came.borrow_mut().pop_front()
    }

    fn transmit(&mut self, byte: u8) -> bool {
        self.tries += 1;
        let free = self.tries.is_multiple_of(3);
        if free {
            self.went.borrow_mut().push(byte);
        }
        free
    }
}

/// Runs the tutorial's loop; each time it sleeps the next request comes. What came back, and how it
/// ended.
fn serve(requests: &[&str], guest: &mut Guest) -> (String, Box<dyn std::any::Any + Send>) {
    let wire = Wire::default();
    let mut requests = requests.iter();
    let mut agent = Box::new(Agent::new());
    let mut port = Port::new(wire.clone());
    let ended = catch_unwind(AssertUnwindSafe(|| {
        run(&mut agent, guest, &mut port, |until| {
            assert_eq!(until, None, "nothing here takes time");
            match requests.next() {
                Some(request) => wire.came.borrow_mut().extend(request.bytes()),
                None => resume_unwind(Box::new(Silent)),
            }
        })
    }));
    let went = wire.went.borrow().clone();
    (String::from_utf8(went).expect("text"), ended.expect_err("nobody told it to stop"))
}

#[test]
fn the_loop_serves_and_sleeps() {
    let requests = [
        r#"{"execute":"guest-sync","arguments":{"id":1795361773520}}"#,
        r#"{"execute":"gue"#,
        r#"st-ping"}{"execute":"guest-file-open","arguments":{"path":"/etc/passwd"}}"#,
        r#"{"execute":"guest-fsfreeze-status"}"#,
    ];
    let (reply, ended) = serve(&requests, &mut guest());
    assert!(ended.is::<Silent>());
    let not_found = |name: &str| {
        format!(
            "{{\"error\": {{\"class\": \"CommandNotFound\", \
             \"desc\": \"The command {name} has not been found\"}}}}\n"
        )
    };
    let expected = format!(
        "{{\"return\": 1795361773520}}\n{{\"return\": {{}}}}\n{}{}",
        not_found("guest-file-open"),
        not_found("guest-fsfreeze-status")
    );
    assert_eq!(reply, expected);
}

#[test]
fn shutdown_reaches_the_kernel() {
    for (word, mode) in
        [("powerdown", Mode::Powerdown), ("halt", Mode::Halt), ("reboot", Mode::Reboot)]
    {
        let request = format!(r#"{{"execute":"guest-shutdown","arguments":{{"mode":"{word}"}}}}"#);
        let (reply, ended) = serve(&[&request], &mut guest());
        assert_eq!(ended.downcast_ref().map(|Ended(mode)| *mode), Some(mode));
        assert_eq!(reply, "", "success has no reply");
    }
    let mut stuck = Guest { end: |_| Errno::IO, ..guest() };
    let (reply, _) = serve(&[r#"{"execute":"guest-shutdown"}"#], &mut stuck);
    assert!(reply.contains("failed to shutdown") && reply.contains("Input/output"), "{reply}");
}

/// An agent that is pumped by hand.
struct Pumped {
    agent: Box<Agent>,
    guest: Guest,
}

impl Pumped {
    fn new() -> Self {
        let mut pumped = Pumped { agent: Box::new(Agent::new()), guest: guest() };
        pumped.agent.start(&mut pumped.guest).expect("a start");
        pumped
    }

    fn send(&mut self, bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut reply = Vec::new();
        for piece in bytes.chunks(piece) {
            let until = pump(&mut self.agent, &mut self.guest, piece, |bytes| {
                let len = bytes.len().min(100);
                reply.extend_from_slice(&bytes[..len]);
                len
            });
            assert_eq!(until, None, "nothing here takes time");
        }
        reply
    }
}

/// What this guest answers: guest-info names only what it has.
fn expected(reply: &[u8]) -> Vec<u8> {
    let mut reply = reply.to_vec();
    let rows = Table::<Sim>::rows().filter(|row| !MINIMAL.contains(&row.command.name));
    for (name, replies) in rows.map(|row| (row.command.name, row.command.replies)) {
        let entry = format!(
            ", {{\"enabled\": true, \"name\": \"{name}\", \"success-response\": {replies}}}"
        );
        while let Some(at) = reply.windows(entry.len()).position(|part| part == entry.as_bytes()) {
            reply.drain(at..at + entry.len());
        }
    }
    reply
}

#[test]
fn conversations_of_what_it_offers() {
    let mut held = 0;
    for conversation in load() {
        let rows = Table::<Sim>::rows().map(|row| row.command.name);
        let mut absent = rows.filter(|name| !MINIMAL.contains(name) || *name == "guest-shutdown");
        if absent.any(|name| conversation.mentions(name)) {
            continue;
        }
        held += 1;
        for piece in [1, 5, 1 << 20] {
            let mut pumped = Pumped::new();
            for step in &conversation.steps {
                match step.before {
                    Before::Nothing => {}
                    Before::Reconnect => pumped.agent.disconnected(),
                    Before::Kill => pumped = Pumped::new(),
                }
                let reply = pumped.send(&step.send, piece);
                let expected = expected(&step.reply);
                assert_eq!(shown(&reply), shown(&expected), "{} by {piece}", step.name);
            }
        }
    }
    assert!(held > 40, "only {held} conversations");
}

#[test]
fn a_client_that_goes_leaves_nothing_to_the_next() {
    let mut pumped = Pumped::new();
    let (sync, reply) = (
        br#"{"execute":"guest-sync","arguments":{"id":7}}"#.as_slice(),
        b"{\"return\": 7}\n".as_slice(),
    );
    for half in [&b"{\"execute\":\"guest-pi"[..], b"{\"execute\":[[[", b"garbage", b"{'a"] {
        pumped.send(half, 3);
        pumped.agent.disconnected();
        assert_eq!(shown(&pumped.send(sync, 4)), shown(reply));
    }
    // Half of an answer: the channel takes nothing, then the client is gone.
    let info = br#"{"execute":"guest-info"}"#;
    assert_eq!(pump(&mut pumped.agent, &mut pumped.guest, info, |_| 0), None);
    assert!(!pumped.agent.pending().is_empty());
    pumped.agent.disconnected();
    assert_eq!(shown(&pumped.send(sync, 100)), shown(reply));
}

#[test]
fn the_numbers_are_those_of_the_build() {
    let agent = size_of::<Agent>();
    assert!(agent <= 24 * 1024, "{agent} bytes");
    let text = tutorial();
    let of = |what: &str| -> usize {
        let row = text.lines().find_map(|line| line.strip_prefix(&format!("| {what}")));
        let number = row.and_then(|row| row.trim_end_matches(" |").rsplit(' ').next());
        let number = number.unwrap_or_else(|| panic!("no row for {what}")).replace(',', "");
        number.parse().unwrap_or_else(|_| panic!("no number for {what}: {number}"))
    };
    // Another compiler may lay out a structure otherwise: within 2 % it is the same number.
    for (what, bytes) in [
        ("this agent", agent),
        ("of which frame and window", FRAME_BYTES + WINDOW_BYTES),
        ("of which the table of open files", size_of::<Handles<Absent>>()),
    ] {
        let said = of(what);
        assert!(said.abs_diff(bytes) * 50 <= bytes, "{what}: {bytes} bytes, not {said}");
    }
}

#[test]
fn the_table_of_traits_is_that_of_the_core() {
    let text = tutorial();
    let mut all = 0;
    for (of, needs) in [
        ("Clock", &[Needs::Nothing][..]),
        ("Power", &[Needs::Power]),
        ("WallClock", &[Needs::WallClock, Needs::SetTime]),
        ("Files", &[Needs::Files]),
        ("Freeze", &[Needs::Freeze]),
        ("Texts", &[Needs::Info, Needs::Load, Needs::Users, Needs::Cpus, Needs::Memory]),
        ("Disks", &[Needs::Disks]),
        ("Network", &[Needs::Network]),
        ("Settings", &[Needs::Suspend, Needs::Hotplug]),
        ("Trim", &[Needs::Trim]),
        ("Replace", &[Needs::Passwords, Needs::Keys]),
        ("Exec", &[Needs::Exec]),
    ] {
        let start = format!("| `{of}` | ");
        let row = text.lines().find_map(|line| line.strip_prefix(&start)).expect("a row");
        let mut named: Vec<&str> = row.trim_end_matches(" |").split(", ").collect();
        let rows =
            Table::<Sim>::rows().filter(|row: &&Row<Sim>| needs.contains(&row.command.needs));
        let mut commands: Vec<&str> = rows.map(|row| row.command.name).collect();
        named.sort_unstable();
        commands.sort_unstable();
        assert_eq!(named, commands, "{of}");
        all += named.len();
    }
    assert_eq!(
        all,
        Table::<Sim>::rows().count(),
        "a command of a trait that the tutorial does not name"
    );
}

#[test]
fn the_c_program_is_the_one_that_is_compiled() {
    let program = std::fs::read_to_string(repository().join("examples/c/smallest.c")).expect("C");
    assert!(tutorial().contains(&format!("```c\n{program}```\n")), "docs/embedding.md is stale");
}
