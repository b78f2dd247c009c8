//! The acts that freeze and thaw: one of the commands is asked for, and a panic goes out if its
//! reply is not what is frozen in the guest. Invariant: the record names what the agent has frozen,
//! or is not sure.

use crate::ask::{ask, must};
use crate::client::Client;
use crate::record::{Late, Record};
use crate::reply::{self, Answer};
use crate::sight::{
    bits, first_mounts, freezable, frozen_by_agent, left_out, vanishing, warned_since,
};
use crate::source::Source;
use qga_core::platform::FreezeStatus;
use qga_sim::mounts::By;
use qga_sim::store::Place;

/// guest-fsfreeze-status.
pub fn status<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let expected = client.status_word();
    if let Some(value) = must(client, record, "guest-fsfreeze-status", format_args!("")) {
        assert_eq!(client.text(value), expected.as_bytes());
    }
}

/// What is left out was named in the log, in these warnings: what is hidden, and how many others
/// froze, when there is no thaw to wait for.
fn check_left_out(hidden: &[String], theirs: usize, warned: &[String]) {
    let named = |point: &String| warned.iter().any(|text| text.ends_with(point));
    assert!(hidden.iter().all(named), "left out {hidden:?}, and said {warned:?}");
    let silent = hidden.is_empty() && theirs == 0;
    assert!(warned.len() >= hidden.len() + theirs, "said only {warned:?}");
    assert!(!silent || warned.is_empty(), "said {warned:?} of nothing");
}

/// What is to be frozen: nothing for everything, or the arguments of guest-fsfreeze-freeze-list and
/// the superblocks that they name.
fn names<S: Source>(client: &mut Client<S>) -> Option<(String, u64)> {
    let choice = client.source.byte();
    if !choice.is_multiple_of(4) {
        return None;
    }
    let places = client.session.sim.with(|world| first_mounts(world));
    let is_named = |number: usize| choice >> (2 + number % 6) & 1 == 1;
    let named: Vec<&str> = (0..)
        .zip(&places)
        .filter(|(number, _)| is_named(*number))
        .map(|(_, (point, _))| &**point)
        .collect();
    // What covers another one has the same name.
    let wanted = places.iter().filter(|(point, _)| named.contains(&&**point));
    let wanted = wanted.fold(0, |wanted, (_, superblock)| wanted | superblock);
    let quoted: Vec<String> = named.iter().map(|point| format!("\"{point}\"")).collect();
    Some((quoted.join(", "), wanted))
}

/// Whether there is room for a mark.
fn is_free(place: &Place) -> bool {
    place.create_error.is_none() && place.bytes_max > usize::from(u8::MAX)
}

/// guest-fsfreeze-freeze, or -freeze-list.
pub fn freeze<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let (was_frozen, calls) = (client.is_frozen(), client.calls());
    // A shutdown that is under way lets nothing freeze, and unmounts things.
    let busy = client.is_busy();
    let (strict, sim) = (client.session.freeze_strict, client.session.sim.clone());
    let names = names(client);
    let wanted = names.as_ref().map_or(u64::MAX, |(_, wanted)| *wanted);
    let (freezable, before) =
        sim.with(|world| (freezable(world, strict, wanted), frozen_by_agent(world)));
    let ((hidden, theirs), lines) = sim.with(|world| (left_out(world, wanted), world.log.len()));
    let to_vanish = client.session.sim.with(|world| vanishing(world));
    record.over_early = false;
    let (command, arguments) = match &names {
        None => ("guest-fsfreeze-freeze", String::new()),
        Some((names, _)) => ("guest-fsfreeze-freeze-list", format!("\"mountpoints\": [{names}]")),
    };
    let answer = ask(client, record, command, format_args!("{arguments}"));
    let failed = client.failed_since(calls);
    // What went away while the agent looked at it could not be frozen.
    let undisturbed =
        !failed && !busy && to_vanish == client.session.sim.with(|world| vanishing(world));
    let frozen = client.session.sim.with(|world| frozen_by_agent(world));
    if !was_frozen && record.over_early {
        let expected = Answer::Error { not_found: false };
        assert_eq!(answer, expected, "told of a freeze that was over");
        assert!(frozen == 0 || !record.sure || failed || client.is_frozen());
        record.recorded = frozen;
        return;
    }
    if !was_frozen {
        record.recorded = frozen;
        record.theirs = Some(theirs).filter(|_| undisturbed);
        record.sure &= !failed && answer != Answer::None;
        // Refused beside a shutdown it has changed nothing.
        record.late = record.late.ended(answer != Answer::None && !busy);
    }
    match answer {
        Answer::Value(at) => {
            assert!(!was_frozen, "frozen twice");
            let count = reply::number(client.text(at));
            assert_eq!(count, i64::from(frozen.count_ones()), "so many are frozen");
            if undisturbed {
                assert_eq!(Some(frozen), freezable, "froze others than it should");
                let theirs = if count == 0 { theirs } else { 0 };
                let warned = sim.with(|world| warned_since(world, lines));
                check_left_out(&hidden, theirs, &warned);
            }
        }
        Answer::Error { not_found } => {
            assert_eq!(not_found, was_frozen, "the wrong class of error");
            if was_frozen {
                let over = record.over_early;
                assert!(over || frozen == before, "a refused freeze did something");
                return;
            }
            let room = client.session.sim.with(|world| world.store.places.iter().any(is_free));
            let expected = freezable.is_none() || !undisturbed || !room;
            assert!(expected, "could have frozen");
            let status = client.status();
            assert!(
                frozen == 0 || status == FreezeStatus::Error,
                "left {frozen:b} frozen: {status:?}"
            );
        }
        Answer::None => {}
    }
}

/// guest-fsfreeze-thaw.
pub fn thaw<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let (was_frozen, calls) = (client.is_frozen(), client.calls());
    let (sure, busy) = (record.sure, client.is_busy());
    let (ours, any, stuck, foreign) = client.session.sim.with(|world| {
        let reachable = world.mounts.reachable().iter().fold(0u64, |bits, n| bits | 1 << n);
        let any = bits(world, |s| s.frozen.is_some() && s.thaw_error.is_none()) & reachable;
        let ours = frozen_by_agent(world);
        let stuck = bits(world, |s| s.frozen == Some(By::Agent) && s.thaw_error.is_some());
        (ours, any, stuck, bits(world, |s| s.frozen == Some(By::Other)))
    });
    let (theirs, lines) = (record.theirs, client.session.sim.with(|world| world.log.len()));
    let to_vanish = client.session.sim.with(|world| vanishing(world));
    let answer = ask(client, record, "guest-fsfreeze-thaw", format_args!(""));
    let undisturbed = !client.failed_since(calls)
        && to_vanish == client.session.sim.with(|world| vanishing(world));
    let (now_ours, now_foreign) = client
        .session
        .sim
        .with(|world| (frozen_by_agent(world), bits(world, |s| s.frozen == Some(By::Other))));
    if busy && answer == (Answer::Error { not_found: false }) {
        // Refused beside a shutdown it has changed nothing.
        assert_eq!((now_ours, now_foreign), (ours, foreign), "a thaw beside a shutdown");
        return;
    }
    let late = if was_frozen { Late::No } else { record.late };
    record.late = late.ended(answer != Answer::None);
    if late == Late::Yes {
        // It comes for a freeze that is over: what others have frozen is none of its business.
        if let Answer::Value(at) = &answer {
            assert_eq!(client.text(at.clone()), b"0", "a thaw that came too late");
        }
        assert!(matches!(answer, Answer::Value(_) | Answer::None), "a thaw that came too late");
        assert_eq!((now_ours, now_foreign), (ours, foreign), "a thaw that came too late");
        return;
    }
    if !was_frozen || !sure {
        // With nothing recorded, or no list, it is for what others froze as well.
        record.allow_thaws_of_others(&client.session.sim);
    }
    record.sure &= undisturbed && answer != Answer::None;
    match answer {
        Answer::Value(at) => {
            let count = reply::number(client.text(at));
            let left = client.session.sim.with(|world| world.mounts.is_frozen_by_agent());
            assert!(!left, "a thaw that worked left something frozen");
            if was_frozen && sure && undisturbed {
                assert_eq!(stuck, 0, "thawed what cannot be");
                assert_eq!(count, i64::from(ours.count_ones()), "another count than were ours");
                assert_eq!(foreign, now_foreign, "thawed what others froze");
                let said = client.session.sim.with(|world| warned_since(world, lines)).len();
                assert!(theirs.is_none_or(|count| count == said), "{said} of {theirs:?} named");
            }
            record.theirs = None;
            if !was_frozen && undisturbed && late == Late::No {
                assert_eq!(count, i64::from(any.count_ones()), "another count than could be");
            }
        }
        Answer::Error { not_found } => {
            assert!(!not_found, "the wrong class of error");
            let expected = stuck != 0 || !undisturbed || !sure || !was_frozen;
            assert!(expected, "could have thawed");
            assert!(now_ours & !ours == 0, "a thaw froze something");
        }
        Answer::None => {}
    }
}
