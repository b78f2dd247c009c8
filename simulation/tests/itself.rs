//! The simulation itself: a seed gives the same session each time, a fault's name leads back to it,
//! and a fuzzer's input of any kind is a session.

use qga_sim::Canary;
use qga_simulation::source::Script;
use qga_simulation::torture::{Point, Session};
use qga_simulation::{Options, run_bytes, run_seed};

#[test]
fn the_same_seed_is_the_same_session() {
    for seed in 0..300 {
        let first = Session::Seed(seed).run(&[], None, false);
        assert_eq!(first, Session::Seed(seed).run(&[], None, false), "seed {seed}");
    }
}

#[test]
fn a_fault_is_named_so_that_it_can_be_repeated() {
    let mut points = 0;
    for script in 0..Script::ALL.len() {
        for point in Session::Script(script).points(&[]) {
            assert_eq!(Point::parse(&point.to_string()), Some(point));
            points += 1;
        }
    }
    assert!(points > 2000, "only {points} faults in the scripts");
    for wrong in ["", "Read", "Read:1", "Read:x:5", "Nope:1:5", "Read:1:5:for-ever"] {
        assert_eq!(Point::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn a_fault_that_is_planned_happens() {
    for (number, (name, _)) in Script::ALL.iter().enumerate() {
        for point in Session::Script(number).points(&[]) {
            let calls = Session::Script(number).run(&[point], None, false);
            let hit = |call: &&qga_sim::Call| call.failed == Some(point.errno);
            let call = calls.iter().find(hit).unwrap_or_else(|| panic!("{name}: {point}"));
            assert_eq!(call.kind, point.kind, "{name}: {point}");
        }
    }
}

#[test]
fn any_bytes_are_a_session() {
    run_bytes(&[]);
    for first in 0..=255 {
        run_bytes(&[first]);
        run_bytes(&[7, first, first]);
    }
}

/// The search for each canary is in `cargo xtask sim`; here is one whose seed is known to be small.
#[test]
fn a_bug_is_found() {
    std::panic::set_hook(Box::new(|_| {}));
    let options = Options { canary: Some(Canary::SwallowedThaw), show: false };
    let found =
        (0..1000).find(|&seed| std::panic::catch_unwind(|| run_seed(seed, options)).is_err());
    let _ = std::panic::take_hook();
    assert!(found.is_some());
}
