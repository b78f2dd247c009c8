//! What the agent's owner may ask of it: memory that a large request took is given back when it is
//! answered, not before; it thaws on its owner's word, and says what it holds.

use crate::freeze::{ask, disks};
use crate::guest::Large;
use qga_core::limits::{FRAME_KEEP_BYTES, LIST_BYTES, WINDOW_KEEP_BYTES};
use qga_core::{Errno, Step};
use qga_sim::Sim;
use serde_json::json;

#[test]
fn memory_of_a_large_request_is_given_back_when_it_is_answered() {
    let mut session = Large::start(&Sim::new(1)).expect("a start");
    assert!(session.parts().0.reclaim().is_none());
    let request = format!("{{\"execute\": \"guest-ping\", \"id\": \"{}\"}}", "x".repeat(100_000));
    let mut rest = request.as_bytes();
    while !rest.is_empty() {
        assert_eq!(session.step(), Step::Receive);
        rest = &rest[session.put(rest)..];
    }
    // The id stands in the frame until it has been repeated.
    let mut reply = Vec::new();
    while session.step() == Step::Transmit {
        // The last window needs the frame no more.
        assert!(reply.len() > 60_000 || session.parts().0.reclaim().is_none());
        reply.extend(session.take(1000));
    }
    assert!(reply.ends_with(b"x\"}\n"));
    let (agent, sim) = session.parts();
    assert_eq!(agent.step(sim), Step::Receive);
    assert_eq!(agent.reclaim().map(|free| free.len()), Some(256 * 1024 - FRAME_KEEP_BYTES));
    assert!(agent.reclaim().is_none());
    assert_eq!(session.send(b"{\"execute\": \"guest-ping\"}\n"), b"{\"return\": {}}\n");
    assert!(session.parts().0.reclaim().is_none());
}

/// What a list was read into, and what an ordinary reply leaves alone of the window.
#[test]
fn memory_of_lists_is_given_back_when_they_are_answered() {
    let mut session = Large::start(&Sim::new(1)).expect("a start");
    let parts = |session: &mut Large| -> Vec<usize> {
        std::iter::from_fn(|| Some(session.parts().0.reclaim()?.len())).collect()
    };
    let all = |session: &mut Large| -> Vec<u8> {
        session.put(b"{\"execute\": \"guest-get-cpustats\"}\n");
        let mut reply = Vec::new();
        while session.step() != Step::Receive {
            assert_eq!(parts(session), [0; 0], "while bytes are pending");
            reply.extend(session.take(1000));
        }
        reply
    };
    let first = all(&mut session);
    assert!(first.starts_with(b"{\"return\": [{"), "{}", first.escape_ascii());
    let window = 32 * 1024 - WINDOW_KEEP_BYTES;
    assert_eq!(parts(&mut session), [window, 2 * LIST_BYTES]);
    assert_eq!(parts(&mut session), [0; 0], "given back twice");
    // What is read into the memory after that is the same.
    assert_eq!(all(&mut session), first);
    assert_eq!(session.send(b"{\"execute\": \"guest-ping\"}\n"), b"{\"return\": {}}\n");
}

#[test]
fn the_state_counts_its_open_files() {
    let mut session = Large::start(&Sim::new(1)).expect("a start");
    let open = b"{\"execute\": \"guest-file-open\", \"arguments\": {\"path\": \"/dev/null\"}}\n";
    for count in 0..3 {
        let files = &session.agent().state().files;
        assert_eq!((files.len(), files.is_empty()), (count, count == 0));
        session.send(open);
    }
}

#[test]
fn its_owner_may_thaw() {
    let sim = disks(2);
    let mut session = Large::start(&sim).expect("a start");
    assert!(!session.agent().holds_frozen());
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    assert!(session.agent().holds_frozen() && session.agent().is_frozen());
    sim.with(|world| world.mounts.at("/mnt/b").thaw_error = Some(Errno::IO));
    let (agent, guest) = session.parts();
    assert!(!agent.thaw(guest), "one is still frozen");
    assert!(agent.holds_frozen() && agent.is_frozen());
    sim.with(|world| world.mounts.at("/mnt/b").thaw_error = None);
    let (agent, guest) = session.parts();
    assert!(agent.thaw(guest));
    assert!(!agent.holds_frozen() && !agent.is_frozen());
    assert!(!sim.with(|world| world.mounts.is_frozen_by_agent()));
    // The thaw that its client still sends finds nothing to do.
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 0}));
}
