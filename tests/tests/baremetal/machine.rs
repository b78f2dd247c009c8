//! Booting, answering and ending, on every machine and line.

use super::{PATIENCE, PING, PLACES, PONG, agent, ask, boot, can_boot, command, not_offered};
use qga_tests::COMMANDS;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use xtask::vm::baremetal::{Bare, Line, Machine};

#[test]
fn answers_wherever_it_boots() {
    for (machine, line) in PLACES {
        if !can_boot("answers_wherever_it_boots", machine) {
            continue;
        }
        let vm = boot(machine, line);
        let mut agent = agent(&vm);
        assert_eq!(agent.request(PING).unwrap(), PONG, "{machine:?} {line:?}");
    }
}

#[test]
fn answers_on_every_kind_of_virtio_console() {
    if !can_boot("answers_on_every_kind_of_virtio_console", Machine::Q35) {
        return;
    }
    for options in ["disable-legacy=on", "disable-modern=on", "disable-legacy=off,vectors=0"] {
        let vm = Bare::new(Machine::Q35, Line::Virtio).console_options(options).boot().unwrap();
        assert_eq!(agent(&vm).request(PING).unwrap(), PONG, "{options}");
    }
    for options in ["acpi=off", "ioapic2=off", "pic=off,pit=off,rtc=off"] {
        let vm = Bare::new(Machine::Microvm, Line::Virtio).machine_options(options).boot().unwrap();
        assert_eq!(agent(&vm).request(PING).unwrap(), PONG, "{options}");
    }
    for version in ["true", "false"] {
        if can_boot("answers_on_every_kind_of_virtio_console", Machine::Virt) {
            let global = format!("virtio-mmio.force-legacy={version}");
            let bare = Bare::new(Machine::Virt, Line::Virtio).more(&["-global", &global]);
            assert_eq!(agent(&bare.boot().unwrap()).request(PING).unwrap(), PONG, "{global}");
        }
    }
}

#[test]
fn the_command_line_chooses_the_line() {
    if !can_boot("the_command_line_chooses_the_line", Machine::Microvm) {
        return;
    }
    for (line, words) in [
        (Line::First, "qga.port=com1"),
        (Line::Second, "console=ttyS0 qga.port=com2"),
        (Line::Virtio, "qga.port=com1 qga.port=virtio"),
    ] {
        let vm = Bare::new(Machine::Microvm, line).command_line(words).boot().unwrap();
        assert_eq!(agent(&vm).request(PING).unwrap(), PONG, "{words}");
    }
    let wrong = Bare::new(Machine::Microvm, Line::Second).command_line("qga.port=lpt1");
    let mut vm = wrong.boot().unwrap();
    vm.wait_console("qga.port is one of virtio, com1, com2", PATIENCE).unwrap();
}

#[test]
fn offers_what_it_has() {
    if !can_boot("offers_what_it_has", Machine::Microvm) {
        return;
    }
    let vm = boot(Machine::Microvm, Line::Virtio);
    let mut agent = agent(&vm);
    let info = ask(&mut agent, "info", "");
    for name in COMMANDS {
        let offered = not_offered().all(|other| other != name);
        assert_eq!(info.contains(&format!("\"name\": \"{name}\"")), offered, "{name}: {info}");
        if !offered {
            let reply = agent.request(&format!("{{'execute':'{name}','id':1}}")).unwrap();
            let expected = format!(
                "{{\"error\": {{\"class\": \"CommandNotFound\", \"desc\": \"The command {name} has \
                 not been found\"}}, \"id\": 1}}"
            );
            assert_eq!(reply, expected);
        }
    }
}

/// The clock counts whole seconds, and QEMU starts it at the host's time.
#[test]
fn tells_the_time() {
    for machine in [Machine::Q35, Machine::Microvm, Machine::Virt] {
        if !can_boot("tells_the_time", machine) {
            continue;
        }
        let vm = boot(machine, Line::Virtio);
        let mut agent = agent(&vm);
        let reply = ask(&mut agent, "get-time", "");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64;
        let text = reply.strip_prefix("{\"return\": ").and_then(|rest| rest.strip_suffix('}'));
        let time: i64 = text.and_then(|text| text.parse().ok()).expect(&reply);
        let late_s = (now - time) / 1_000_000_000;
        assert!((-1..=5).contains(&late_s), "{machine:?}: {late_s} s behind the host");
    }
    if can_boot("tells_the_time", Machine::Q35) {
        let bare = Bare::new(Machine::Q35, Line::Virtio);
        let vm = bare.more(&["-rtc", "base=2000-02-29T23:59:30"]).boot().unwrap();
        let reply = ask(&mut agent(&vm), "get-time", "");
        let second = 951_868_770..951_868_800;
        let shown = |second: i64| format!("{{\"return\": {second}000000000}}");
        assert!(second.into_iter().any(|second| shown(second) == reply), "{reply}");
    }
    if can_boot("tells_the_time", Machine::Microvm) {
        let bare = Bare::new(Machine::Microvm, Line::Virtio).machine_options("rtc=off");
        let reply = ask(&mut agent(&bare.boot().unwrap()), "get-time", "");
        assert!(reply.contains("No such device"), "{reply}");
    }
}

#[test]
fn says_who_it_is() {
    if !can_boot("says_who_it_is", Machine::Q35) {
        return;
    }
    let vm = boot(Machine::Q35, Line::Virtio);
    let mut agent = agent(&vm);
    assert_eq!(ask(&mut agent, "file-open", r#""path":"/etc/hostname""#), r#"{"return": 1000}"#);
    let read = ask(&mut agent, "file-read", r#""handle":1000"#);
    let expected = r#"{"return": {"buf-b64": "cWdhLWJhcmVtZXRhbAo=", "count": 14, "eof": true}}"#;
    assert_eq!(read, expected);
    let name = ask(&mut agent, "get-host-name", "");
    assert_eq!(name, r#"{"return": {"host-name": "qga-baremetal"}}"#);
    let system = ask(&mut agent, "get-osinfo", "");
    let system: serde_json::Value = serde_json::from_str(&system).expect("JSON");
    assert_eq!(system["return"]["id"], "qga-baremetal");
    assert_eq!(system["return"]["machine"], "x86_64");
    let zone = ask(&mut agent, "get-timezone", "");
    assert_eq!(zone, r#"{"return": {"zone": "UTC", "offset": 0}}"#);
    let cpus = ask(&mut agent, "get-vcpus", "");
    let one = r#"{"return": [{"logical-id": 0, "online": true, "can-offline": false}]}"#;
    assert_eq!(cpus, one);
}

#[test]
fn shutdown_ends_the_machine() {
    for (machine, line) in PLACES {
        if !can_boot("shutdown_ends_the_machine", machine) {
            continue;
        }
        for (mode, reason) in
            [("powerdown", "guest-shutdown"), ("halt", "guest-shutdown"), ("reboot", "guest-reset")]
        {
            let mut vm = boot(machine, line);
            let mut agent = agent(&vm);
            agent.send(command("shutdown", &format!("\"mode\":\"{mode}\"")).as_bytes()).unwrap();
            let ended = vm.wait_shutdown(PATIENCE).unwrap();
            assert_eq!(ended, reason, "{machine:?} {line:?} {mode}");
            let reply = agent.receive_some(Duration::from_secs(1));
            let shown = String::from_utf8_lossy(&reply);
            assert!(reply.is_empty(), "{machine:?} {line:?} {mode}: a reply came: {shown:?}");
        }
    }
}

#[test]
fn a_reset_starts_it_again() {
    for machine in [Machine::Q35, Machine::Microvm, Machine::Virt] {
        if !can_boot("a_reset_starts_it_again", machine) {
            continue;
        }
        let mut vm = Bare::new(machine, Line::Virtio).reboots().boot().unwrap();
        let mut client = agent(&vm);
        let open = ask(&mut client, "file-open", r#""path":"/tmp/f","mode":"w""#);
        assert_eq!(open, r#"{"return": 1000}"#);
        client.send(command("shutdown", "\"mode\":\"reboot\"").as_bytes()).unwrap();
        vm.qmp().wait_event(&["RESET"], PATIENCE).unwrap();
        drop(client);
        let mut client = agent(&vm);
        let gone = ask(&mut client, "file-open", r#""path":"/tmp/f""#);
        assert!(gone.contains("No such file or directory"), "{machine:?}: {gone}");
    }
}

/// Without ACPI there is no power to switch off: the agent says so and goes on.
#[test]
fn a_machine_without_power_says_so() {
    if !can_boot("a_machine_without_power_says_so", Machine::Microvm) {
        return;
    }
    let bare = Bare::new(Machine::Microvm, Line::Virtio).machine_options("acpi=off");
    let mut vm = bare.boot().unwrap();
    let mut agent = agent(&vm);
    let reply = ask(&mut agent, "shutdown", "");
    let expected = concat!(
        r#"{"error": {"class": "GenericError", "desc": "failed to shutdown: reboot(2): "#,
        r#"Operation not supported"}}"#
    );
    assert_eq!(reply, expected);
    assert_eq!(agent.request(PING).unwrap(), PONG);
    agent.send(command("shutdown", "\"mode\":\"reboot\"").as_bytes()).unwrap();
    assert_eq!(vm.wait_shutdown(PATIENCE).unwrap(), "guest-reset");
    assert!(vm.qmp().wait_event(&["SHUTDOWN"], Duration::from_millis(1)).is_err());
}
