//! Every single platform call of every conversation failing once and from then on, for each reason
//! that a call of its kind has. Whatever fails: each request has its one reply, the next guest-sync
//! is answered, no file is open that no handle owns, and what the agent says of frozen filesystems
//! is true.

use crate::guest::{Cut, Small, guest, sent};
use qga_sim::{Call, Fault, Sim};
use qga_tests::connection::shown;
use qga_tests::conversations::{Before, Conversation, Step, load};

/// Starts an agent. One that cannot start, because a call of its start failed, is started again
/// without faults, as whoever watches over it would do when the cause is found.
fn start(sim: &Sim) -> Result<Small, String> {
    Small::start(sim).or_else(|first| {
        sim.with(|world| world.faults.clear());
        Small::start(sim).map_err(|errno| {
            let violations = sim.with(|world| world.violations.clone());
            format!("no start ({first}), nor without faults ({errno}): {violations:?}")
        })
    })
}

/// Holds a conversation and checks what must hold although calls fail.
fn hold(sim: &Sim, conversation: &Conversation) -> Result<(), String> {
    let mut session = start(sim)?;
    for step in &conversation.steps {
        match step.before {
            Before::Nothing => {}
            Before::Reconnect => session.disconnect(),
            Before::Kill => session = start(sim)?,
        }
        let output = session.send(&sent(step));
        if session.is_over() {
            return Ok(());
        }
        one_reply_each(step, &output)?;
    }
    if session.is_over() {
        return Ok(());
    }
    let output =
        session.send(b"\xFF{\"execute\": \"guest-sync\", \"arguments\": {\"id\": 4711}}\n");
    if output != b"{\"return\": 4711}\n" {
        return Err(format!("guest-sync was answered by {}", shown(&output)));
    }
    let handles = session.agent().state().files.len();
    let open = sim.with(|world| world.open);
    if open.files != handles || open.marks != 0 || open.tables != 0 {
        return Err(format!("{handles} handles and open {open:?}"));
    }
    true_of_the_guest(&mut session)
}

/// A failing call may make a success an error and cut a reply short, but not make more or fewer of
/// them.
fn one_reply_each(step: &Step, output: &[u8]) -> Result<(), String> {
    let lines = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == b'\n').count();
    let (expected, received) = (lines(&step.reply), lines(output));
    // A shutdown says something only when it fails, or is not allowed because a freeze went well.
    // Their success has no reply, but their failure has.
    let is_silent = ["guest-shutdown", "guest-suspend-"]
        .iter()
        .any(|name| step.send.windows(name.len()).any(|part| part == name.as_bytes()));
    let valid = output.split_inclusive(|&byte| byte == b'\n').all(|line| {
        let text = line.strip_prefix(b"\xFF").unwrap_or(line);
        serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
    });
    if (received == expected || is_silent && received <= 1) && valid {
        return Ok(());
    }
    let (sent, output) = (shown(&step.send), shown(output));
    Err(format!("{}: {received} replies instead of {expected}: {sent}: {output}", step.name))
}

/// "thawed" is never said of a guest that the agent has frozen, and a thaw without faults ends it,
/// also by a new agent. The other way round it may be careful: a mark that cannot be read may mean
/// frozen.
fn true_of_the_guest(session: &mut Small) -> Result<(), String> {
    const THAWED: &[u8] = b"{\"return\": \"thawed\"}\n";
    const STATUS: &[u8] = b"{\"execute\": \"guest-fsfreeze-status\"}\n";
    let sim = session.sim.clone();
    sim.with(|world| world.faults.clear());
    for restarted in [false, true] {
        if restarted {
            session.restart().map_err(|errno| {
                let violations = sim.with(|world| world.violations.clone());
                format!("no restart without faults ({errno}): {violations:?}")
            })?;
        }
        let status = session.send(STATUS);
        let is_frozen = sim.with(|world| world.mounts.is_frozen_by_agent());
        if status == THAWED && is_frozen {
            return Err("something is frozen, but the agent says thawed".to_owned());
        }
    }
    if session.agent().is_frozen() {
        let reply = session.send(b"{\"execute\": \"guest-fsfreeze-thaw\"}\n");
        if sim.with(|world| world.mounts.is_frozen_by_agent()) || session.send(STATUS) != THAWED {
            return Err(format!("a thaw left something frozen and said {}", shown(&reply)));
        }
    }
    let (violations, filesystems) =
        sim.with(|world| (world.violations.clone(), world.open.filesystems));
    match violations.is_empty() && filesystems == 0 {
        true => Ok(()),
        false => Err(format!("{filesystems} filesystems still open, {violations:?}")),
    }
}

fn trace(conversation: &Conversation) -> Vec<Call> {
    let sim = guest(conversation);
    let mut session = start(&sim).expect("a start");
    crate::guest::hold(&mut session, conversation, Cut::Whole);
    sim.with(|world| world.faults.trace().to_vec())
}

/// Fails each call of a conversation in turn, once or from then on; how many runs that were, and
/// which went wrong.
fn fail_each(conversation: &Conversation, lasting: bool, failures: &mut Vec<String>) -> usize {
    let mut runs = 0;
    let trace = trace(conversation);
    for (number, call) in trace.iter().enumerate().filter(|(_, call)| call.kind.can_fail()) {
        let kind = call.kind;
        let before = trace[..number].iter().filter(|before| before.kind == kind).count();
        let (name, number) = (&conversation.name, before as u64);
        for &errno in kind.errnos() {
            let sim = guest(conversation);
            let fault = Fault { kind: Some(kind), number, errno, lasting };
            sim.with(|world| world.faults.fail(fault));
            runs += 1;
            if let Err(error) = hold(&sim, conversation) {
                let how = if lasting { "from then on" } else { "once" };
                failures.push(format!("{name}: {kind:?} {number} {how} ({errno}): {error}"));
            }
        }
    }
    runs
}

fn report(failures: Vec<String>, runs: usize) {
    println!("{runs} runs, none skipped");
    let (failed, some) = (failures.len(), failures.len().min(60));
    assert!(failed == 0, "{failed} of {runs} runs failed:\n{}", failures[..some].join("\n"));
}

#[test]
fn every_call_failing_once() {
    let (mut failures, mut runs) = (Vec::new(), 0);
    for conversation in load() {
        runs += fail_each(&conversation, false, &mut failures);
    }
    report(failures, runs);
    assert!(runs > 8_000, "only {runs} fault points");
}

#[test]
fn every_kind_of_call_failing_from_some_point_on() {
    let (mut failures, mut runs) = (Vec::new(), 0);
    for conversation in load() {
        runs += fail_each(&conversation, true, &mut failures);
    }
    report(failures, runs);
    assert!(runs > 8_000, "only {runs} fault points");
}

/// Holds a conversation until the agent is killed after call number `at`, and lets the next one
/// take over.
fn kill_behind(conversation: &Conversation, at: u64) -> Result<(), String> {
    let sim = guest(conversation);
    sim.with(|world| world.faults.cut_after(at));
    if let Ok(mut session) = Small::start(&sim) {
        for step in &conversation.steps {
            match step.before {
                Before::Nothing => {}
                Before::Reconnect => session.disconnect(),
                Before::Kill => session = start(&sim)?,
            }
            session.send(&sent(step));
            if session.is_over() || sim.with(|world| world.faults.is_cut()) {
                break;
            }
        }
    }
    if sim.with(|world| world.machine.ending.is_some()) {
        return Ok(());
    }
    sim.with(|world| world.faults.clear());
    let mut session = start(&sim)?;
    let output = session.send(b"{\"execute\": \"guest-sync\", \"arguments\": {\"id\": 4711}}\n");
    if output != b"{\"return\": 4711}\n" {
        return Err(format!("guest-sync was answered by {}", shown(&output)));
    }
    let open = sim.with(|world| world.open);
    if open.files != 0 || open.marks != 0 || open.tables != 0 {
        return Err(format!("open {open:?}"));
    }
    true_of_the_guest(&mut session)
}

#[test]
fn killed_behind_every_call() {
    let (mut failures, mut runs) = (Vec::new(), 0);
    for conversation in load() {
        for at in 0..=trace(&conversation).len() {
            runs += 1;
            if let Err(error) = kill_behind(&conversation, at as u64) {
                failures.push(format!("{}: killed after call {at}: {error}", conversation.name));
            }
        }
    }
    report(failures, runs);
    assert!(runs > 1400, "only {runs} kills");
}
