//! A conversation held with an agent that is struck at one system call, and the judgement: the
//! conversation and the [`Point`] come in, whether the strike hit, or what promise was broken, goes
//! out.
//!
//! Promises: every line is one whole JSON reply; a request that needs no system call of its own
//! gets exactly its reply or, once the connection is lost, a beginning of it; a file request gets
//! its reply, an error, or a reply of the same form; nothing more comes than was asked for; the
//! next guest-sync is answered, on this connection, on the next and after a restart; no handle
//! number comes twice; the agent goes on without a word, or ends with one clear line on stderr.

use crate::connection::shown;
use crate::conversations::{Before, Conversation, Needs, Step};
use crate::fire::{Point, Strike, Target, Under, how, names};
use crate::fire_wire::{Next, Wire};
use crate::play::{make_fifo, with_folder};
use serde_json::Value;
use std::process::ExitStatus;

/// Whether a conversation may be held here: nothing in it freezes, thaws or shuts down, nor is done
/// by a copy of the agent or a program, which `accounts.rs` and `exec.rs` kill.
pub fn is_harmless(conversation: &Conversation) -> bool {
    let dangerous = [
        "guest-shutdown",
        "guest-fsfreeze-freeze",
        "guest-fsfreeze-thaw",
        "guest-exec",
        "guest-fstrim",
        "guest-suspend-",
        "guest-set-vcpus",
        "guest-set-memory-blocks",
        "guest-set-user-password",
        "guest-ssh-",
    ];
    conversation.needs == Needs::Nothing
        && !dangerous.iter().any(|name| conversation.mentions(name))
}

/// The system calls of each life of an agent that holds the conversation undisturbed.
pub fn record(conversation: &Conversation) -> Result<Vec<Vec<String>>, String> {
    let mut session = Session::start(conversation, None);
    session.hold().map_err(|error| format!("{}, undisturbed: {error}", conversation.name))?;
    Ok((0..=session.target.life()).map(|life| names(&session.target.log(life))).collect())
}

/// Holds the conversation with the agent struck at `point`; whether the strike hit.
pub fn strike(conversation: &Conversation, point: &Point) -> Result<bool, String> {
    let mut session = Session::start(conversation, Some(point));
    let result = session.hold();
    let named = |error: String| {
        format!(
            "{}, start {}, {}: {error}\n    stderr: {}",
            conversation.name,
            point.life,
            point.injection(),
            session.target.stderr().trim_end()
        )
    };
    result.map_err(named)?;
    Ok(session.hit())
}

struct Session<'a> {
    conversation: &'a Conversation,
    point: Option<&'a Point>,
    target: Target,
    /// The highest handle number that any agent of this folder has given out.
    handle: i64,
    /// How much of stderr was there before the present agent.
    stderr_seen: usize,
    killed: bool,
}

impl<'a> Session<'a> {
    fn start(conversation: &'a Conversation, point: Option<&'a Point>) -> Self {
        assert!(is_harmless(conversation), "{} must not be held here", conversation.name);
        let target = Target::start(under(point, 0));
        if conversation.fifo {
            make_fifo(&target.folder.join("fifo"));
        }
        let (handle, stderr_seen, killed) = (0, 0, false);
        Session { conversation, point, target, handle, stderr_seen, killed }
    }

    /// Whether the strike has hit.
    fn hit(&self) -> bool {
        let struck = |point: &Point| match point.strike {
            Strike::Kill => self.killed,
            Strike::Error(_) => self.target.log(point.life).contains("(INJECTED)"),
        };
        self.point.is_some_and(struck)
    }

    fn hold(&mut self) -> Result<(), String> {
        let wire = self.hold_steps()?;
        if let Some(mut wire) = wire {
            self.resynchronise(&mut wire)?;
        }
        if self.target.ended().is_none() {
            self.probe()?;
        }
        if self.target.ended().is_none() {
            self.target.signal(libc::SIGTERM);
        }
        let status = self.target.wait();
        let by_itself = self.judge_end(status)?;
        if by_itself {
            return Ok(());
        }
        // It was struck down: the next one must go on where it stopped.
        self.target.restart(under(self.point, self.target.life() + 1));
        self.stderr_seen = self.target.stderr().len();
        self.probe()?;
        self.target.signal(libc::SIGTERM);
        let status = self.target.wait();
        match self.judge_end(status)? {
            true => Ok(()),
            false => Err(format!("the agent after it {}", how(status))),
        }
    }

    /// Whether the agent ended because it was told to; an error unless it ended as it may.
    fn judge_end(&mut self, status: ExitStatus) -> Result<bool, String> {
        let text = self.target.stderr();
        let said = text[self.stderr_seen.min(text.len())..].to_owned();
        let strike = self.point.map(|point| point.strike);
        match (how(status).as_str(), strike) {
            ("exited 0", _) if said.is_empty() => Ok(true),
            // A client that no descriptor is left for waits, and the log says so.
            ("exited 0", Some(Strike::Error(_)))
                if self.point.is_some_and(|point| point.call == "accept4")
                    && said.contains(": warning: client turned away: Too many open files")
                    && said.lines().count() == 1 =>
            {
                Ok(true)
            }
            // What looks like a link is no file of an agent's: it goes on without, and says so.
            ("exited 0", Some(Strike::Error(_)))
                if said.starts_with("qga: state directory ")
                    && said.contains(": ignored ")
                    && said.lines().count() == 1 =>
            {
                Ok(true)
            }
            ("killed 9", Some(Strike::Kill)) if said.is_empty() => {
                self.killed = true;
                Ok(false)
            }
            ("exited 1", Some(Strike::Error(_)))
                if said.starts_with("qga: ")
                    && said.ends_with('\n')
                    && said.lines().count() == 1
                    && said.matches(": ").count() >= 2 =>
            {
                Ok(false)
            }
            (how, _) => Err(format!("the agent {how} and said {said:?}")),
        }
    }

    /// The connection after the last step, unless it was lost before.
    fn hold_steps(&mut self) -> Result<Option<Wire>, String> {
        let Some(mut wire) = self.connect() else { return Ok(None) };
        for step in &self.conversation.steps {
            if step.before != Before::Nothing {
                self.hang_up(wire)?;
                if step.before == Before::Kill && self.kill_and_restart()?.is_none() {
                    return Ok(None);
                }
                match self.connect() {
                    Some(next) => wire = next,
                    None => return Ok(None),
                }
            }
            if !self.hold_step(&mut wire, step).map_err(|e| format!("{}: {e}", step.name))? {
                return Ok(None);
            }
        }
        Ok(Some(wire))
    }

    fn connect(&mut self) -> Option<Wire> {
        self.target.connect().map(Wire::new)
    }

    /// The client goes; nothing may have come unasked.
    fn hang_up(&self, wire: Wire) -> Result<(), String> {
        // A close that strace lets fail does not happen, so no end would be seen.
        if self.point.is_some_and(|p| p.call == "close" && matches!(p.strike, Strike::Error(_))) {
            return Ok(());
        }
        match wire.finish()? {
            rest if rest.is_empty() => Ok(()),
            rest => Err(format!("more came than was asked for: {}", shown(&rest))),
        }
    }

    /// The conversation's own kill. Nothing if the agent ended before by the strike.
    fn kill_and_restart(&mut self) -> Result<Option<()>, String> {
        if self.target.ended().is_some() {
            return Ok(None);
        }
        self.target.signal(libc::SIGKILL);
        self.target.wait();
        self.target.restart(under(self.point, self.target.life() + 1));
        Ok(Some(()))
    }

    /// Whether the connection still stands after the step.
    fn hold_step(&mut self, wire: &mut Wire, step: &Step) -> Result<bool, String> {
        let folder = self.target.folder.to_str().expect("a path in UTF-8").to_owned();
        let reply = with_folder(&step.reply, &folder);
        wire.send(&with_folder(&step.send, &folder));
        if reply.is_empty() {
            wire.see_taken()?;
        }
        for expected in reply.split_inclusive(|&byte| byte == b'\n') {
            match wire.take()? {
                Next::Line(line) => self.judge_line(step, &line, expected)?,
                Next::End(part) if expected.starts_with(&part) => return Ok(false),
                Next::End(part) if is_beginning(&part) && calls(step) => return Ok(false),
                Next::End(part) => {
                    return Err(format!("half a reply of something else: {}", shown(&part)));
                }
            }
        }
        Ok(true)
    }

    fn judge_line(&mut self, step: &Step, line: &[u8], expected: &[u8]) -> Result<(), String> {
        if line != expected && !(calls(step) && self.point.is_some() && similar(line, expected)) {
            let (line, expected) = (shown(line), shown(expected));
            return Err(format!("{line} came instead of {expected}"));
        }
        match parse(line) {
            Some(reply) if has(step, "guest-file-open") && !has(step, "guest-sync") => {
                reply["return"].as_i64().map_or(Ok(()), |number| self.new_handle(number))
            }
            // What the conversation expects to the byte may be beyond a double (`1e400`).
            _ => Ok(()),
        }
    }

    fn new_handle(&mut self, number: i64) -> Result<(), String> {
        if number <= self.handle && !self.was_told_of_no_state() {
            return Err(format!("handle {number} after {}", self.handle));
        }
        self.handle = number;
        Ok(())
    }

    /// ENOENT for the state file is no failure but an answer, "no agent ran here before", and so is
    /// ELOOP, "this is somebody's link"; only strace gives them where an agent did run.
    fn was_told_of_no_state(&self) -> bool {
        let log = |point: &Point| self.target.log(point.life);
        let log = self.point.map(log).unwrap_or_default();
        log.lines().any(|l| {
            l.contains(r#""qga.state", O_RDONLY"#)
                && (l.contains("ENOENT (No such file or directory) (INJECTED)")
                    || l.contains("ELOOP (Too many levels of symbolic links) (INJECTED)"))
        })
    }

    /// On the same connection: the sentinel ends a half request, then the sync is answered.
    fn resynchronise(&mut self, wire: &mut Wire) -> Result<(), String> {
        wire.send(b"\xff{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":7411}}\n");
        for before in 0..2 {
            match wire.take()? {
                Next::Line(line) if line == b"\xff{\"return\": 7411}\n" => return Ok(()),
                // The half request is answered with an error, once.
                Next::Line(line) if before == 0 && is_error(&line) => {}
                Next::Line(line) => return Err(format!("before the sync: {}", shown(&line))),
                Next::End(part) if b"\xff{\"return\": 7411}\n".starts_with(&part) => return Ok(()),
                Next::End(part) if is_beginning(&part) => return Ok(()),
                Next::End(part) => return Err(format!("before the sync: {}", shown(&part))),
            }
        }
        Err("the sync was not answered".to_owned())
    }

    /// On the next connection: the sync is answered first, and a new handle is new. The strike may
    /// hit here too: then once more, with an agent that is there.
    fn probe(&mut self) -> Result<(), String> {
        for _ in 0..3 {
            let Some(mut wire) = self.connect() else { return Ok(()) };
            wire.send(b"{\"execute\":\"guest-sync\",\"arguments\":{\"id\":7412}}\n");
            match wire.take()? {
                Next::Line(line) if line == b"{\"return\": 7412}\n" => {}
                Next::End(part) if b"{\"return\": 7412}\n".starts_with(&part) => continue,
                Next::Line(line) | Next::End(line) => {
                    return Err(format!("to a new client's guest-sync: {}", shown(&line)));
                }
            }
            wire.send(
                b"{\"execute\":\"guest-file-open\",\"arguments\":{\"path\":\"/dev/null\"}}\n",
            );
            match wire.take()? {
                Next::Line(line) if is_error(&line) && self.point.is_some() => {}
                Next::Line(line) => {
                    let number = parse(&line).and_then(|reply| reply["return"].as_i64());
                    self.new_handle(number.ok_or_else(|| shown(&line))?)?;
                }
                Next::End(part) if part.is_empty() || is_beginning(&part) => continue,
                Next::End(part) => return Err(format!("to guest-file-open: {}", shown(&part))),
            }
            return self.hang_up(wire);
        }
        Err("three connections were lost".to_owned())
    }
}

fn under(point: Option<&Point>, life: usize) -> Under<'_> {
    match point {
        None => Under::Record,
        Some(point) if point.life == life => Under::Strike(point),
        Some(_) => Under::Nothing,
    }
}

fn has(step: &Step, text: &str) -> bool {
    step.send.windows(text.len()).any(|part| part == text.as_bytes())
}

/// Whether the replies to the step's requests depend on system calls; guest-info's does because an
/// agent that cannot read its mark is in the frozen state, in which few commands are enabled.
fn calls(step: &Step) -> bool {
    const THOSE: [&str; 7] = [
        "guest-file-",
        "guest-get-",
        "guest-network-",
        "guest-set-time",
        "guest-fsfreeze-status",
        "guest-info",
        "guest-exec\"",
    ];
    THOSE.iter().any(|name| has(step, name))
}

fn parse(line: &[u8]) -> Option<Value> {
    serde_json::from_slice(line.strip_prefix(b"\xff").unwrap_or(line)).ok()
}

/// Whether a part of a reply is how replies begin.
fn is_beginning(part: &[u8]) -> bool {
    let part = part.strip_prefix(b"\xff").unwrap_or(part);
    [&b"{\"return\": "[..], b"{\"error\": {\"class\": \""]
        .iter()
        .any(|start| part.starts_with(start) || start.starts_with(part))
}

fn is_error(line: &[u8]) -> bool {
    let reply = parse(line).unwrap_or_default();
    let texts = ["class", "desc"].map(|name| reply["error"][name].as_str());
    texts.iter().all(|text| text.is_some_and(|text| !text.is_empty()))
}

/// Whether a reply is one that a struck request may get: an error, or a value of the same form,
/// with the same id.
fn similar(line: &[u8], expected: &[u8]) -> bool {
    // Whatever is no JSON fails here.
    let (Some(got), Some(wanted)) = (parse(line), parse(expected)) else { return false };
    // What a struck read has left behind can be had by the next one.
    let other = is_error(line) || is_error(expected) && got.get("return").is_some();
    got["id"] == wanted["id"] && (other || same_form(&got, &wanted))
}

fn same_form(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.keys().eq(b.keys()) && a.iter().all(|(key, value)| same_form(value, &b[key]))
        }
        _ => std::mem::discriminant(a) == std::mem::discriminant(b),
    }
}
