//! guest-set-time by the real binary, without touching this machine's clock: without the right to
//! set it, beside qemu-ga; with the one call that would set it answered by strace; and in a guest
//! without a hardware clock. What a machine of its own has is in `vm_time.rs`.

use qga_tests::agent::{Agent, Options};
use qga_tests::guest::{Guest, untraceable};
use qga_tests::jail::{self, Start};
use qga_tests::{program, skip};
use std::path::PathBuf;

const SET: &str = r#"{"execute":"guest-set-time","arguments":{"time":1700000000123456789}}"#;
const BY_RTC: &str = r#"{"execute":"guest-set-time"}"#;

/// What takes the right to set the clock from everything that it starts, if it can here.
fn without_right(test: &str) -> Option<Vec<String>> {
    let words = ["setpriv", "--bounding-set=-sys_time"].map(str::to_owned).to_vec();
    let tried = std::process::Command::new(&words[0]).args([&words[1], "true"]).status();
    if tried.is_ok_and(|status| status.success()) {
        return Some(words);
    }
    skip(test, "needs root, or setpriv (package util-linux)");
    None
}

fn error(text: &str) -> String {
    format!(r#"{{"error": {{"class": "GenericError", "desc": "{text}"}}}}"#)
}

#[test]
fn without_the_right_to_it_is_the_error_of_the_reference() {
    let name = "time::without_the_right_to_it_is_the_error_of_the_reference";
    let Some(wrapper) = without_right(name) else { return };
    let ask = |binary: Option<PathBuf>, request: &str| {
        let options = Options { binary, wrapper: wrapper.clone(), ..Options::default() };
        Agent::start(options).connect().ask(request)
    };
    let expected = error("Failed to set time to guest: Operation not permitted");
    assert_eq!(ask(None, SET), expected);
    let Some(reference) = program("qemu-ga") else {
        return skip(name, "needs Debian's qemu-ga (package qemu-guest-agent)");
    };
    assert_eq!(ask(Some(reference.clone()), SET), expected);
    for time in
        ["-2000000000", "3155760000000000000", "9223372036854775808", "1.0", "\"1\"", "true"]
    {
        let request = format!(r#"{{"execute":"guest-set-time","arguments":{{"time":{time}}}}}"#);
        assert_eq!(ask(None, &request), ask(Some(reference.clone()), &request), "{time}");
    }
}

#[test]
fn the_call_is_what_was_asked_for() {
    let name = "time::the_call_is_what_was_asked_for";
    if untraceable(name) {
        return;
    }
    let Some(mut wrapper) = without_right(name) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let log_name = log.to_str().expect("a path in UTF-8");
    let inject = "inject=clock_settime:retval=0";
    let strace = ["strace", "-f", "-qq", "-o", log_name, "-e", "trace=clock_settime", "-e", inject];
    wrapper.extend(strace.map(str::to_owned));
    let guest = Guest::with_ext4(&[]);
    let agent = guest.jail.agent(Start { wrapper, ..Start::default() });
    let reply = agent.connect().ask(SET);
    assert_eq!(reply, r#"{"return": {}}"#, "{}", guest.jail.stderr());
    let calls = std::fs::read_to_string(&log).expect("a trace");
    let call = "clock_settime(CLOCK_REALTIME, {tv_sec=1700000000, tv_nsec=123456789}";
    assert!(calls.contains(call) && calls.lines().count() == 1, "{calls}");
}

#[test]
fn without_a_hardware_clock_there_is_no_time_to_set() {
    let name = "time::without_a_hardware_clock_there_is_no_time_to_set";
    if let Some(reason) = jail::unavailable() {
        return skip(name, reason);
    }
    let Some(wrapper) = without_right(name) else { return };
    let guest = Guest::with_ext4(&[]);
    let agent = guest.jail.agent(Start { wrapper, ..Start::default() });
    let none = "no time was given, and there is no hardware clock: No such file or directory";
    assert_eq!(agent.connect().ask(BY_RTC), error(none));
}
