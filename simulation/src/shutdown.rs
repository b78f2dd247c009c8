//! The act that shuts down: a mode comes in, a panic goes out if something else was started or said
//! than belongs to it. Invariant: no shutdown ends in silence, unless the machine is seen going
//! down.

use crate::channel::{Rest, exchange};
use crate::client::Client;
use crate::record::Record;
use crate::reply::{self, Answer};
use crate::source::Source;
use qga_sim::init::{Init, Sign};

/// guest-shutdown.
pub fn shut_down<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let mode = client.source.one_of(&["powerdown", "halt", "reboot"]);
    let (was_frozen, was_busy) = (client.is_frozen(), client.is_busy());
    let before = client.session.sim.with(|world| world.machine.started.len());
    let since_ms = client.session.sim.with(|world| world.time.now_ms);
    client.begin();
    let id = client.append("guest-shutdown", format_args!("\"mode\": \"{mode}\""));
    let rest = exchange(client, record);
    if was_busy {
        // The one before it goes on, or has just ended.
        if rest == Rest::Idle && !client.output.is_empty() {
            let answer = reply::read(&client.output, 0..client.output.len(), id);
            assert_eq!(answer, Answer::Error { not_found: false }, "a second guest-shutdown");
        }
        record.mounts_changed(client.is_frozen());
        return;
    }
    let mut started = client.session.sim.with(|world| world.machine.started[before..].to_vec());
    // Asking systemd for its state changes nothing.
    started.retain(|line| line != "/bin/systemctl is-system-running");
    let known = |line: &String| {
        let word = line.split(' ').next().unwrap_or_default();
        [format!("/sbin/{mode}").replace("down", "off").as_str(), "/sbin/shutdown"].contains(&word)
    };
    assert!(started.len() <= 2 && started.iter().all(known), "started {started:?} for {mode}");
    assert!(!was_frozen || started.is_empty(), "started {started:?} while frozen");
    record.mounts_changed(client.is_frozen());
    if rest != Rest::Idle {
        return;
    }
    if client.output.is_empty() {
        // Never silence, but when the machine is seen going down.
        let works = client.session.sim.with(|world| {
            let seen = |init: &Init| init.down_at_ms.is_some() && init.shows.1 != Sign::Nothing;
            world.machine.init.as_ref().is_some_and(seen)
        });
        assert!(works, "no reply, and nothing that shuts down");
        return;
    }
    let answer = reply::read(&client.output, 0..client.output.len(), id);
    assert_eq!(answer, Answer::Error { not_found: was_frozen }, "guest-shutdown {mode}");
    let took_ms = client.session.sim.with(|world| world.time.now_ms) - since_ms;
    // A machine that does not run the agent for a minute is not the agent's fault.
    assert!(took_ms % 60_000 <= 20_000, "an answer after {took_ms} ms");
}
