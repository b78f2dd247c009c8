//! Holds conversations with a running agent: steps and a way of cutting them in, the first
//! difference between expected and received bytes out.

use crate::agent::Agent;
use crate::connection::{Connection, shown};
use crate::conversations::{Before, Conversation, Needs, Step};
use crate::guest::Guest;
use crate::jail::{AGENT_FOLDER, Spec, Start};
use std::path::Path;

/// Into which pieces each request is cut. The agent has read a piece before the next one is sent.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// One piece.
    Whole,
    /// Two pieces, the first of so many bytes; shorter requests stay whole.
    At(usize),
    /// Every byte is a piece.
    EveryByte,
}

/// Holds `conversation` with a fresh `agent` and compares every byte that comes back.
pub fn play(agent: &mut Agent, conversation: &Conversation, cut: Cut) -> Result<(), String> {
    let dangerous = ["guest-shutdown", "guest-fsfreeze-freeze", "guest-fsfreeze-thaw"];
    if conversation.needs == Needs::Jail || dangerous.iter().any(|name| conversation.mentions(name))
    {
        return Err(format!("{} must not be held outside a jail", conversation.name));
    }
    if conversation.fifo {
        make_fifo(&agent.folder.join("fifo"));
    }
    let mut connection = agent.connect();
    for step in &conversation.steps {
        connection = before(step, connection, |kill| {
            if kill {
                agent.kill_and_restart();
            }
            agent.connect()
        })?;
        let folder = agent.folder.to_str().expect("a path in UTF-8");
        play_step(&mut connection, step, folder, cut)?;
    }
    quiet(connection, conversation.steps.last().expect("a conversation has a step"))
}

/// Holds a conversation that needs a guest of its own, with a fresh one that is as the conversation
/// says.
pub fn play_in_jail(conversation: &Conversation, cut: Cut) -> Result<(), String> {
    let places: Vec<&str> = conversation.mounts.iter().map(String::as_str).collect();
    let spec = Spec { programs: conversation.programs.clone(), ..Spec::default() };
    let mut guest = Guest::with_spec(&places, spec);
    let mut agent = Some(guest.jail.agent(Start::default()));
    let mut connection = agent.as_ref().expect("an agent").connect();
    for step in &conversation.steps {
        connection = before(step, connection, |kill| {
            if kill {
                agent.take().expect("an agent").kill();
            }
            agent.get_or_insert_with(|| guest.jail.agent(Start::default())).connect()
        })?;
        play_step(&mut connection, step, AGENT_FOLDER, cut)?;
        if let Some(expected) = &step.spawned {
            guest.spawned(expected).map_err(|error| format!("{}: {error}", step.name))?;
        }
    }
    let rest = connection.reply_until_quiet(std::time::Duration::from_millis(20));
    match rest.is_empty() {
        true => Ok(()),
        false => Err(format!("{}: more came than expected: {}", conversation.name, shown(&rest))),
    }
}

/// The connection for a step: the same one, or the next client's. `next` brings that, and kills the
/// agent and starts it anew before if it is told to. Errors: more came than expected by the end of
/// the one.
fn before(
    step: &Step,
    connection: Connection,
    next: impl FnOnce(bool) -> Connection,
) -> Result<Connection, String> {
    if step.before == Before::Nothing {
        return Ok(connection);
    }
    quiet(connection, step)?;
    Ok(next(step.before == Before::Kill))
}

/// Sends one step's request and compares its reply.
pub fn play_step(to: &mut Connection, step: &Step, folder: &str, cut: Cut) -> Result<(), String> {
    let send = with_folder(&step.send, folder);
    let reply = with_folder(&step.reply, folder);
    match cut {
        Cut::At(at) if at < send.len() => {
            to.send_and_see_taken(&send[..at]);
            to.send(&send[at..]);
        }
        Cut::Whole | Cut::At(_) => to.send(&send),
        Cut::EveryByte => send.iter().for_each(|byte| to.send_and_see_taken(&[*byte])),
    }
    let received = to.take_like(&reply);
    if received == reply {
        return Ok(());
    }
    let rest = to.reply_until_quiet(std::time::Duration::from_millis(50));
    let received = [received, rest].concat();
    Err(format!(
        "{} (cut: {cut:?})\n    sent:     {}\n    expected: {}\n    received: {}",
        step.name,
        shown(&send),
        shown(&reply),
        shown(&received)
    ))
}

/// Ends a connection; nothing more may come than was expected.
fn quiet(connection: Connection, step: &Step) -> Result<(), String> {
    let rest = connection.finish();
    match rest.is_empty() {
        true => Ok(()),
        false => {
            Err(format!("{}: more came than expected by its end: {}", step.name, shown(&rest)))
        }
    }
}

/// `bytes` with `@D` replaced by the agent's folder.
pub fn with_folder(bytes: &[u8], folder: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"@D") {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(folder.as_bytes());
        rest = &rest[at + 2..];
    }
    out.extend_from_slice(rest);
    out
}

/// Makes a FIFO.
pub fn make_fifo(path: &Path) {
    let path = std::ffi::CString::new(path.to_str().expect("a path in UTF-8")).expect("no NUL");
    // SAFETY: the path is a valid C string for the length of the call.
    let result = unsafe { libc::mkfifo(path.as_ptr(), 0o600) };
    assert_eq!(result, 0, "mkfifo: {}", std::io::Error::last_os_error());
}
