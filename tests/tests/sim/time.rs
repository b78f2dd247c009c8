//! The time of day, read and set: by a time, by the hardware clock in UTC and in local time, in a
//! guest without one; every call failing; and a freeze's longest time, which no jump moves.

use crate::freeze::{ask, disks, frozen};
use crate::guest::Large;
use qga_core::formats::calendar::date;
use qga_core::{Errno, Step};
use qga_sim::{Fault, Kind, Sim};
use serde_json::{Value, json};

/// The second that is set, and others.
const SET_S: i64 = 1_700_000_000;
const BERLIN: &[u8] = b"CET-1CEST,M3.5.0,M10.5.0/3";
const LOCAL: &str = "0.0 0 0.0\n0\nLOCAL\n";

fn set(sim: &Sim, arguments: &str) -> Value {
    let request = format!("{{\"execute\": \"guest-set-time\", \"arguments\": {{{arguments}}}}}\n");
    let reply = Large::start(sim).expect("a start").send(request.as_bytes());
    serde_json::from_slice(&reply).expect("JSON")
}

fn set_to(sim: &Sim, second: i64) -> Value {
    set(sim, &format!("\"time\": {}", second * 1_000_000_000))
}

/// The time of day, and what the hardware clock shows, in seconds.
fn clocks(sim: &Sim) -> (i64, Option<i64>) {
    let time = sim.with(|world| world.time);
    let shown_s = time.rtc_ms.map(|ms| (ms.wrapping_add(time.now_ms) / 1000).cast_signed());
    (time.wall_ns().expect("a time").div_euclid(1_000_000_000), shown_s)
}

fn failed(text: &str) -> Value {
    json!({"error": {"class": "GenericError", "desc": text}})
}

fn guest_in(zone: &'static [u8], adjtime: &str) -> Sim {
    let sim = Sim::new(1);
    sim.with(|world| {
        world.system.environment.insert("TZ".into(), zone);
        world.system.text("/etc/adjtime", adjtime);
    });
    sim
}

#[test]
fn a_time_sets_the_clock_and_then_the_hardware_clock() {
    let sim = Sim::new(1);
    assert_eq!(set_to(&sim, SET_S), json!({"return": {}}));
    assert_eq!(clocks(&sim), (SET_S, Some(SET_S)));
    let calls = sim.with(|world| world.faults.trace().to_vec());
    let place = |kind| calls.iter().position(|call| call.kind == kind).expect("a call");
    assert!(place(Kind::SetWall) < place(Kind::SetRtc));
    // The first and the last moment that the reference takes.
    for second in [0, 3_155_759_999] {
        assert_eq!(set_to(&sim, second), json!({"return": {}}));
        assert_eq!(clocks(&sim), (second, Some(second)));
    }
    assert_eq!(set(&sim, "\"time\": 1700000000123000000"), json!({"return": {}}));
    assert_eq!(sim.with(|world| world.time.wall_ns()), Some(1_700_000_000_123_000_000));
    assert_eq!(clocks(&sim).1, Some(SET_S));
}

#[test]
fn no_other_time_is_taken() {
    for time in ["-1", "3155760000000000000", "9223372036854775807", "-9223372036854775808"] {
        let sim = Sim::new(1);
        let before = clocks(&sim);
        assert_eq!(set(&sim, &format!("\"time\": {time}")), failed("Invalid time"));
        assert_eq!(clocks(&sim), before);
    }
}

/// It shows whole seconds: in the middle of one it is wrong by half a second at most.
#[test]
fn without_a_time_the_hardware_clock_says_it() {
    let sim = Sim::new(1);
    sim.with(|world| world.time.rtc_ms = Some(1_700_000_000_700 - world.time.now_ms));
    assert_eq!(set(&sim, ""), json!({"return": {}}));
    assert_eq!(sim.with(|world| world.time.wall_ns()), Some(1_700_000_000_500_000_000));
    assert_eq!(clocks(&sim).1, Some(SET_S));
    assert_eq!(sim.with(|world| world.faults.count(Kind::SetRtc)), 0);
}

#[test]
fn a_hardware_clock_in_local_time_is_read_and_set_so() {
    // Winter and summer, and a second on either side of the changes.
    for (second, ahead_s) in [
        (SET_S, 3600),
        (1_688_169_600, 7200),
        (1_679_792_399, 3600),
        (1_679_792_400, 7200),
        (1_698_541_199 - 3600, 7200),
        (1_698_541_200 + 3600, 3600),
    ] {
        let sim = guest_in(BERLIN, LOCAL);
        assert_eq!(set_to(&sim, second), json!({"return": {}}));
        assert_eq!(clocks(&sim), (second, Some(second + ahead_s)));
        sim.with(|world| world.time.set_wall(0));
        assert_eq!(set(&sim, ""), json!({"return": {}}));
        assert_eq!(clocks(&sim), (second, Some(second + ahead_s)));
    }
    // In UTC it is where adjtime says so, says nothing, or nothing says what local time is.
    for (zone, adjtime) in
        [(BERLIN, "0.0 0 0.0\n0\nUTC\n"), (BERLIN, ""), (b"nowhere".as_slice(), LOCAL)]
    {
        let sim = guest_in(zone, adjtime);
        assert_eq!(set_to(&sim, SET_S), json!({"return": {}}));
        assert_eq!(clocks(&sim), (SET_S, Some(SET_S)));
    }
}

#[test]
fn a_guest_without_a_hardware_clock() {
    let sim = Sim::new(1);
    sim.with(|world| world.time.rtc_ms = None);
    let before = clocks(&sim);
    let none = "no time was given, and there is no hardware clock: No such file or directory";
    assert_eq!(set(&sim, ""), failed(none));
    assert_eq!(clocks(&sim), before);
    assert_eq!(set_to(&sim, SET_S), json!({"return": {}}));
    assert_eq!(clocks(&sim), (SET_S, None));
}

#[test]
fn what_the_hardware_clock_shows_may_be_no_time() {
    for (shown_s, said) in [(3_155_760_000, "Invalid time"), (253_402_300_799, "Invalid time")] {
        let sim = Sim::new(1);
        sim.with(|world| assert!(world.time.set_rtc(&date(shown_s))));
        let before = clocks(&sim);
        assert_eq!(set(&sim, ""), failed(said));
        assert_eq!(clocks(&sim), before);
    }
}

/// What fails is named; unless the clock was set before, it is as it was.
#[test]
fn each_call_failing() {
    let not_permitted = "Failed to set time to guest: Operation not permitted";
    let time = "\"time\": 1700000000000000000";
    for (kind, arguments, errno, said, is_set) in [
        (Kind::SetWall, time, Errno::PERM, not_permitted, false),
        (Kind::SetWall, "", Errno::PERM, not_permitted, false),
        (
            Kind::SetRtc,
            time,
            Errno::BUSY,
            "failed to set hardware clock to system time: Device or resource busy",
            true,
        ),
        (Kind::Rtc, "", Errno::IO, "failed to read the hardware clock: Input/output error", false),
        (Kind::Text, time, Errno::IO, "failed to read /etc/adjtime: Input/output error", true),
        (Kind::Text, "", Errno::IO, "failed to read /etc/adjtime: Input/output error", false),
    ] {
        let sim = Sim::new(1);
        sim.with(|world| {
            world.faults.fail(Fault { kind: Some(kind), number: 0, errno, lasting: true });
        });
        let (before, _) = clocks(&sim);
        assert_eq!(set(&sim, arguments), failed(said));
        assert_eq!(clocks(&sim).0, if is_set { SET_S } else { before });
    }
    // A zone that cannot be read is none that could be taken for UTC.
    let sim = guest_in(b"Europe/Berlin", LOCAL);
    sim.with(|world| {
        let fault = Fault { kind: Some(Kind::Text), number: 1, errno: Errno::IO, lasting: false };
        world.faults.fail(fault);
    });
    assert_eq!(set_to(&sim, SET_S), failed("failed to read the time zone: Input/output error"));
    for errno in [Errno::NODEV, Errno::NXIO, Errno::OPNOTSUPP] {
        let sim = Sim::new(1);
        sim.with(|world| {
            let kind = Some(Kind::SetRtc);
            world.faults.fail(Fault { kind, number: 0, errno, lasting: true });
        });
        assert_eq!(set_to(&sim, SET_S), json!({"return": {}}), "{errno:?}");
    }
}

/// The longest time of a freeze is measured by a clock that never jumps: a wake-up that sets the
/// time by years neither ends it nor makes it longer.
#[test]
fn a_jump_moves_no_freeze() {
    for second in [0, SET_S, 3_155_759_999] {
        let sim = disks(1);
        let mut session = Large::unstarted();
        session.sim = sim.clone();
        session.freeze_ms_max = Some(5000);
        session.restart().expect("a start");
        let ns = second * 1_000_000_000;
        let request = format!("{{'execute': 'guest-set-time', 'arguments': {{'time': {ns}}}}}\n");
        assert_eq!(session.send(request.as_bytes()), b"{\"return\": {}}\n");
        assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 1}));
        let refused = session.send(request.as_bytes());
        assert!(String::from_utf8_lossy(&refused).contains("the agent is in frozen state"));
        // Somebody else may set it meanwhile.
        let until = session.agent().deadline();
        sim.with(|world| world.time.set_wall(ns / 2));
        sim.with(|world| world.time.advance(4999));
        session.step();
        assert!(frozen(&sim, "/mnt/a").is_some());
        assert_eq!(session.agent().deadline(), until);
        sim.with(|world| world.time.advance(1));
        assert_eq!(session.step(), Step::Receive);
        assert!(frozen(&sim, "/mnt/a").is_none());
    }
}
