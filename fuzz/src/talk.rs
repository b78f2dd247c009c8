//! A few words with an agent on the simulated guest, for the targets that put something before its
//! start.

use qga_sim::{Session, Sim};

/// A small agent: what is asked here is short.
pub type Agent = Session<1024, 4096>;

/// Starts an agent in a guest in which no call fails for good. It must start.
pub fn start(sim: &Sim) -> Agent {
    Session::start(sim).expect("the agent starts")
}

/// Asks; the text of the value that is returned, or of the error.
pub fn value(session: &mut Agent, command: &str, arguments: &str) -> Result<String, String> {
    let request =
        format!("{{\"execute\": \"{command}\", \"arguments\": {{{arguments}}}, \"id\": 3}}\n");
    let reply = session.send(request.as_bytes());
    let reply = String::from_utf8(reply).expect("a reply in ASCII");
    let inner = |head: &str| reply.strip_prefix(head)?.strip_suffix(", \"id\": 3}\n");
    match (inner("{\"return\": "), inner("{\"error\": ")) {
        (Some(value), _) => Ok(value.to_owned()),
        (_, Some(error)) => Err(error.to_owned()),
        _ => panic!("no reply to {command}: {reply:?}"),
    }
}

/// guest-sync is answered.
pub fn sync(session: &mut Agent, number: u8) {
    let answer = value(session, "guest-sync", &format!("\"id\": {number}"));
    assert_eq!(answer.as_deref(), Ok(&*number.to_string()));
}

/// Nothing was written or logged while filesystems were frozen.
pub fn no_violations(sim: &Sim) {
    sim.with(|world| assert!(world.violations.is_empty(), "{:?}", world.violations));
}
