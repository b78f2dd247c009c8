//! The agent killed after every single platform call from its start through a freeze to the end of
//! a thaw, and the next one killed after every call of its recovery. Whatever the moment: the
//! agent after them says what is true of the guest, and a thaw makes everything run that an agent
//! froze.

use crate::freeze::{ask, disks, frozen};
use crate::guest::Large;
use qga_core::Errno;
use qga_core::platform::Device;
use qga_sim::mounts::{By, Lies};
use qga_sim::{Fault, Kind, Sim};
use serde_json::json;
use std::panic::{AssertUnwindSafe, catch_unwind};

const THEIRS: &str = "/mnt/theirs";

/// Six disks: one cannot be frozen, one is frozen by somebody else, one is mounted twice, and lies
/// on the last.
fn guest() -> Sim {
    let sim = disks(3);
    sim.with(|world| {
        world.mount("ext4", Device::new(9, 1), THEIRS);
        world.mounts.at(THEIRS).frozen = Some(By::Other);
        world.mount("vfat", Device::new(9, 2), "/mnt/cannot");
        world.mounts.at("/mnt/cannot").freeze_error = Some(Errno::OPNOTSUPP);
        world.mount("ext4", Device::new(8, 0), "/mnt/bind");
        world.mount("ext4", Device::new(9, 3), "/mnt/last");
        world.mounts.lies.push((Device::new(8, 0), Lies::File(Device::new(9, 3))));
    });
    sim
}

/// Start, freeze and thaw, as far as the agent lives.
fn live(sim: &Sim) {
    if let Ok(mut session) = Large::start(sim) {
        session.send(b"{\"execute\": \"guest-fsfreeze-freeze\"}\n");
        session.send(b"{\"execute\": \"guest-fsfreeze-thaw\"}\n");
    }
}

/// A guest whose agent was killed after that many calls, up again.
fn killed(first: usize) -> Sim {
    let sim = guest();
    sim.with(|world| world.faults.cut_after(first as u64));
    live(&sim);
    sim.with(|world| world.faults.clear());
    sim
}

/// The agent killed after that many calls, and the one after it after its first, its second and so
/// on, until it lives to the end of `recover`, which says whether it could be started; how many
/// were killed.
fn killed_twice(first: usize, theirs_known: bool, recover: impl Fn(&Sim) -> bool) -> usize {
    let mut kills = 0;
    loop {
        let sim = killed(first);
        sim.with(|world| world.faults.cut_after(kills));
        if recover(&sim) && sim.with(|world| !world.faults.is_cut()) {
            return kills as usize;
        }
        judge(&sim, theirs_known, &format!("killed after call {first}, then after {kills}"));
        kills += 1;
    }
}

/// What `live` calls.
fn calls() -> Vec<Kind> {
    let sim = guest();
    live(&sim);
    assert_eq!(frozen(&sim, THEIRS), Some(By::Other));
    sim.with(|world| world.faults.trace().iter().map(|call| call.kind).collect())
}

/// From where to where it cannot be known whether the filesystem that somebody else had frozen is
/// ours: the result of its freeze is not recorded yet.
fn ambiguous(calls: &[Kind]) -> std::ops::RangeInclusive<usize> {
    let nth = |kind: Kind, nth: usize| {
        let places = calls.iter().enumerate().filter(|(_, call)| **call == kind);
        places.map(|(at, _)| at).nth(nth).expect("that many calls")
    };
    let written_after =
        |at: usize| at + calls[at..].iter().position(|call| *call == Kind::WriteMark).expect("one");
    // What lies on /mnt/last; then in reverse mount order: /mnt/last, /mnt/cannot, then theirs.
    written_after(nth(Kind::Freeze, 2)) + 1..=written_after(nth(Kind::Freeze, 3))
}

/// The power comes back and an agent is started that lives: what it says must be true.
fn judge(sim: &Sim, theirs_known: bool, when: &str) {
    sim.with(|world| world.faults.clear());
    let mut session = Large::start(sim).unwrap_or_else(|errno| panic!("{when}: {errno}"));
    let ours = sim.with(|world| world.mounts.is_frozen_by_agent());
    let status = if ours { "frozen" } else { "thawed" };
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": status}), "{when}");
    if theirs_known {
        assert_eq!(frozen(sim, THEIRS), Some(By::Other), "{when}");
    }
    if ours {
        assert!(ask(&mut session, "fsfreeze-thaw")["return"].is_u64(), "{when}");
        if theirs_known {
            assert_eq!(frozen(sim, THEIRS), Some(By::Other), "{when}");
        }
    }
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}), "{when}");
    sim.with(|world| {
        assert!(!world.mounts.is_frozen_by_agent(), "{when}");
        assert_eq!(world.violations, Vec::<String>::new(), "{when}");
        assert_eq!(world.store.mark(), None, "{when}");
        assert_eq!((world.open.filesystems, world.open.marks), (0, 0), "{when}");
    });
}

#[test]
fn killed_behind_every_call() {
    let calls = calls();
    let ambiguous = ambiguous(&calls);
    assert!(calls.len() > 60, "only {} calls", calls.len());
    for at in 0..=calls.len() {
        let sim = killed(at);
        let last = at.checked_sub(1).map(|last| calls[last]);
        judge(&sim, !ambiguous.contains(&at), &format!("killed after call {at} ({last:?})"));
    }
}

#[test]
fn killed_again_during_the_recovery() {
    let mut kills = 0;
    for first in 0..=calls().len() {
        // The second agent recovers, and, where the first had come to an end, is told to thaw. A
        // thaw with nothing recorded is for what others froze, and is sent here on purpose.
        kills += killed_twice(first, false, |sim| {
            let Ok(mut session) = Large::start(sim) else { return false };
            session.send(b"{\"execute\": \"guest-fsfreeze-thaw\"}\n");
            true
        });
    }
    assert!(kills > 1000, "only {kills} kills");
}

/// A recovery that is cut short must not leave a mark by which the next agent takes theirs for
/// ours.
#[test]
fn killed_in_the_recovery_theirs_stay_theirs() {
    let calls = calls();
    let ambiguous = ambiguous(&calls);
    let mut kills = 0;
    for first in (0..=calls.len()).filter(|first| !ambiguous.contains(first)) {
        kills += killed_twice(first, true, |sim| Large::start(sim).is_ok());
    }
    assert!(kills > 500, "only {kills} kills");
}

#[test]
fn killed_while_rolling_back() {
    let failing = || {
        let sim = guest();
        sim.with(|world| world.mounts.at("/mnt/a").freeze_error = Some(Errno::IO));
        sim
    };
    let whole = failing();
    live(&whole);
    let calls = whole.with(|world| world.faults.calls());
    for at in 0..=calls {
        let sim = failing();
        sim.with(|world| world.faults.cut_after(at));
        live(&sim);
        judge(&sim, false, &format!("killed after call {at} of a freeze that fails"));
    }
}

/// Start, and a thaw where something is frozen, with one call failing; `None` when there are fewer
/// calls.
fn recover_with_fault(sim: &Sim, number: u64) -> Option<Kind> {
    let fault = Fault { kind: None, number, errno: Errno::IO, lasting: false };
    sim.with(|world| world.faults.fail(fault));
    if let Ok(mut session) = Large::start(sim)
        && session.agent().is_frozen()
    {
        session.send(b"{\"execute\": \"guest-fsfreeze-thaw\"}\n");
    }
    let call = sim.with(|world| world.faults.trace().get(number as usize).copied());
    call.map(|call| call.kind)
}

/// Whatever failed: nobody says "thawed" of what the agent has frozen, and a thaw without faults
/// ends it.
fn judge_carefully(sim: &Sim, when: &str) {
    sim.with(|world| world.faults.clear());
    let mut session = Large::start(sim).unwrap_or_else(|errno| panic!("{when}: {errno}"));
    let ours = sim.with(|world| world.mounts.is_frozen_by_agent());
    assert!(!ours || session.agent().is_frozen(), "{when}: frozen, and nobody knows");
    if session.agent().is_frozen() {
        let reply = ask(&mut session, "fsfreeze-thaw");
        assert!(reply["return"].is_u64(), "{when}: {reply}");
    }
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}), "{when}");
    sim.with(|world| {
        assert!(!world.mounts.is_frozen_by_agent(), "{when}");
        assert_eq!(world.violations, Vec::<String>::new(), "{when}");
        assert_eq!((world.store.mark(), world.open.filesystems), (None, 0), "{when}");
    });
}

#[test]
fn killed_and_a_call_of_the_recovery_fails() {
    let mut failures = Vec::new();
    let mut runs = 0;
    for first in 0..=calls().len() {
        for second in 0.. {
            let sim = killed(first);
            let Some(kind) = recover_with_fault(&sim, second) else { break };
            runs += 1;
            let when = format!("killed after call {first}, then call {second} ({kind:?}) fails");
            let judged = catch_unwind(AssertUnwindSafe(|| judge_carefully(&sim, &when)));
            failures.extend(judged.is_err().then_some(when));
        }
    }
    let failed = failures.len();
    assert!(failed == 0, "{failed} of {runs} failed:\n{}", failures.join("\n"));
    assert!(runs > 1000, "only {runs} runs");
}

#[test]
fn two_calls_of_a_freeze_and_thaw_fail() {
    let most = calls().len() as u64;
    for first in 0..most {
        for second in first + 1..most + 10 {
            let sim = guest();
            for number in [first, second] {
                let fault = Fault { kind: None, number, errno: Errno::IO, lasting: false };
                sim.with(|world| world.faults.fail(fault));
            }
            live(&sim);
            judge_carefully(&sim, &format!("calls {first} and {second} fail"));
        }
    }
}
