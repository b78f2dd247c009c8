//! guest-set-time in a machine of its own, with a hardware clock that goes on while the machine is
//! paused: by that clock and by a time, in UTC and in local time, and without it.

use qga_tests::machine::machine;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use xtask::vm::{RunAs, Vm};

fn ask(vm: &mut Vm, command: &str, arguments: &str) -> String {
    let mut agent = vm.agent().unwrap();
    let request = format!(r#"{{"execute":"guest-{command}-time","arguments":{{{arguments}}}}}"#);
    agent.request(&request).unwrap()
}

fn set(vm: &mut Vm, arguments: &str) -> String {
    ask(vm, "set", arguments)
}

/// The guest's time, in nanoseconds.
fn time(vm: &mut Vm) -> i64 {
    let reply = ask(vm, "get", "");
    let digits = reply.strip_prefix("{\"return\": ").and_then(|rest| rest.strip_suffix('}'));
    digits.and_then(|digits| digits.parse().ok()).expect(&reply)
}

fn host() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64
}

/// By how much the guest's time is away from the host's, in nanoseconds.
fn away(vm: &mut Vm) -> i64 {
    let before = host();
    let guest = time(vm);
    if guest < before { before - guest } else { (guest - host()).max(0) }
}

/// What the hardware clock shows, in seconds, as if that was UTC.
fn rtc(vm: &mut Vm) -> i64 {
    let text = vm.shell("cat /sys/class/rtc/rtc0/since_epoch").unwrap();
    text.trim().parse().expect(&text)
}

fn pause(vm: &mut Vm) {
    vm.qmp().execute("stop", serde_json::json!({})).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    vm.qmp().execute("cont", serde_json::json!({})).unwrap();
}

const DONE: &str = r#"{"return": {}}"#;
const SECOND_NS: i64 = 1_000_000_000;
const SET_S: i64 = 1_700_000_000;

#[test]
fn after_a_pause_the_time_is_the_hosts_again() {
    let name = "vm_time::after_a_pause_the_time_is_the_hosts_again";
    let Some(builder) = machine(name) else { return };
    let zone = "export TZ=CET-1CEST,M3.5.0,M10.5.0/3\n";
    let builder = builder.with_shell().run_as(RunAs::Child).script(zone);
    let mut vm = builder.boot().unwrap();
    // By the hardware clock, then by the host's time, whatever the guest's was.
    for by_time in [false, true] {
        pause(&mut vm);
        vm.shell("date -s @1600000000").unwrap();
        assert!(away(&mut vm) > 1000 * SECOND_NS);
        let arguments = if by_time { format!("\"time\":{}", host()) } else { String::new() };
        assert_eq!(set(&mut vm, &arguments), DONE);
        let away_ns = away(&mut vm);
        assert!(away_ns < SECOND_NS, "{away_ns} ns away, by time: {by_time}");
    }
    // The hardware clock follows.
    let arguments = format!("\"time\":{}", SET_S * SECOND_NS);
    for (adjtime, ahead_s) in [("UTC", 0), ("LOCAL", 3600)] {
        let write = format!("mkdir -p /etc; printf '0.0 0 0.0\\n0\\n{adjtime}\\n' >/etc/adjtime");
        vm.shell(&write).unwrap();
        assert_eq!(set(&mut vm, &arguments), DONE);
        let late_s = time(&mut vm) / SECOND_NS - SET_S;
        assert!((0..60).contains(&late_s), "{late_s} s");
        let (shown_s, now_s) = (rtc(&mut vm), time(&mut vm) / SECOND_NS);
        assert!((shown_s - ahead_s - now_s).abs() <= 1, "{adjtime}: {shown_s} at {now_s}");
        vm.shell("date -s @1600000000").unwrap();
        assert_eq!(set(&mut vm, ""), DONE);
        let now_s = time(&mut vm) / SECOND_NS;
        assert!((0..60).contains(&(now_s - SET_S)), "{adjtime}: by the hardware clock {now_s}");
    }
    // Without one.
    vm.shell("rm /etc/adjtime; mv /dev/rtc0 /dev/gone; rm -f /dev/rtc").unwrap();
    vm.shell("date -s @1600000000").unwrap();
    let reply = set(&mut vm, "");
    assert!(reply.contains("there is no hardware clock: No such file or directory"), "{reply}");
    assert!(time(&mut vm) / SECOND_NS - 1_600_000_000 < 60, "it is set all the same");
    assert_eq!(set(&mut vm, &arguments), DONE);
    assert!((0..60).contains(&(time(&mut vm) / SECOND_NS - SET_S)));
}
