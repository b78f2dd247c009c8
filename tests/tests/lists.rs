//! What the machine says of itself, asked of our agent and of Debian's qemu-ga side by side; and
//! what it costs to ask for all of it.

use qga_tests::agent::{Agent, Options};
use qga_tests::{LISTS, program, skip};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

fn reference(test: &str) -> Option<PathBuf> {
    let reference = program("qemu-ga");
    if reference.is_none() {
        skip(&format!("lists::{test}"), "needs Debian's qemu-ga (package qemu-guest-agent)");
    }
    reference
}

/// An agent after these words.
fn start(binary: Option<PathBuf>, wrapper: &[&str]) -> Agent {
    let wrapper = wrapper.iter().map(|&word| word.to_owned()).collect();
    Agent::start(Options { binary, wrapper, ..Options::default() })
}

fn ask(agent: &Agent, command: &str) -> Value {
    let reply = agent.connect().ask(format!("{{\"execute\":\"{command}\"}}\n"));
    let reply: Value = serde_json::from_str(&reply).expect("JSON");
    assert!(reply.get("return").is_some(), "{command}: {reply}");
    reply["return"].clone()
}

/// A list in the order of one of its members: the reference has none.
fn sorted(mut list: Value, key: &str) -> Value {
    let elements = list.as_array_mut().expect("a list");
    elements.sort_by_key(|element| match &element[key] {
        Value::Number(number) => format!("{:>20}", number.as_u64().expect("a number")),
        other => other.to_string(),
    });
    list
}

/// Only these members of each element.
fn only(list: Value, keys: &[&str]) -> Value {
    let elements = list.as_array().expect("a list").iter();
    let elements = elements.map(|element| {
        let pairs =
            keys.iter().filter_map(|&key| Some((key.to_owned(), element.get(key)?.clone())));
        Value::Object(pairs.collect())
    });
    Value::Array(elements.collect())
}

#[test]
fn the_machine_is_the_one_that_the_reference_sees() {
    let Some(reference) = reference("the_machine_is_the_one_that_the_reference_sees") else {
        return;
    };
    let (ours, theirs) = (start(None, &[]), start(Some(reference), &[]));
    let both = |command: &str| (ask(&ours, command), ask(&theirs, command));
    for command in [
        "guest-get-host-name",
        "guest-get-osinfo",
        "guest-get-timezone",
        "guest-get-users",
        "guest-get-memory-block-info",
    ] {
        let (ours, theirs) = both(command);
        assert_eq!(ours, theirs, "{command}");
    }
    for (command, key) in
        [("guest-get-vcpus", "logical-id"), ("guest-get-memory-blocks", "phys-index")]
    {
        let (ours, theirs) = both(command);
        assert_eq!(ours, sorted(ours.clone(), key), "{command} is in order");
        assert_eq!(ours, sorted(theirs, key), "{command}");
    }
    // What moves: each element, with members of the same names, of which no number has fallen.
    let (theirs, ours) = (ask(&theirs, "guest-get-cpustats"), ask(&ours, "guest-get-cpustats"));
    no_less(&ours, &theirs, "guest-get-cpustats");
    let (ours, theirs) = (start(None, &[]), start(program("qemu-ga"), &[]));
    let (theirs, ours) = (ask(&theirs, "guest-get-diskstats"), ask(&ours, "guest-get-diskstats"));
    no_less(
        &only(ours, &["name", "major", "minor"]),
        &only(theirs, &["name", "major", "minor"]),
        "disks",
    );
}

/// Without what Debian's reference does not say: serial numbers, for which it needs udev, and
/// how much of a filesystem is there with what root alone may use.
fn as_the_reference(mut value: Value) -> Value {
    match &mut value {
        Value::Array(list) => list.iter_mut().for_each(|one| *one = as_the_reference(one.take())),
        Value::Object(members) => {
            members.retain(|key, _| !["serial", "total-bytes-privileged"].contains(&&**key));
            members.values_mut().for_each(|value| *value = as_the_reference(value.take()));
        }
        _ => {}
    }
    value
}

#[test]
fn disks_and_filesystems_are_those_that_the_reference_sees() {
    let test = "disks_and_filesystems_are_those_that_the_reference_sees";
    let Some(reference) = reference(test) else { return };
    let (ours, theirs) = (start(None, &[]), start(Some(reference), &[]));
    let both = |command: &str| {
        let [ours, theirs] = [&ours, &theirs].map(|agent| as_the_reference(ask(agent, command)));
        (ours, theirs)
    };
    let (ours, theirs) = both("guest-get-disks");
    assert_eq!(sorted(ours, "name"), sorted(theirs, "name"));
    let (ours, mut theirs) = both("guest-get-fsinfo");
    // Ours has each filesystem once, where it was mounted first; theirs comes in the same order.
    let names: Vec<Value> = {
        let ours = ours.as_array().expect("a list");
        ours.iter().map(|one| one["mountpoint"].clone()).collect()
    };
    theirs.as_array_mut().expect("a list").retain(|one| names.contains(&one["mountpoint"]));
    // Others write meanwhile.
    let full = |list: &mut Value| {
        list.as_array_mut().expect("a list").iter_mut().for_each(|one| {
            let used = one["used-bytes"].take().as_u64().expect("a number");
            assert!(used <= one["total-bytes"].take().as_u64().expect("a number"), "{one}");
        });
    };
    let mut ours = ours;
    full(&mut ours);
    full(&mut theirs);
    assert_eq!(ours, theirs);
}

/// Numbers of ours, which were asked for later, are at least theirs, everything else is the same.
fn no_less(ours: &Value, theirs: &Value, what: &str) {
    match (ours, theirs) {
        (Value::Number(a), Value::Number(b)) => {
            assert!(a.as_u64() >= b.as_u64(), "{what}: {a} after {b}");
        }
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{what}");
            a.iter().zip(b).for_each(|(a, b)| no_less(a, b, what));
        }
        (Value::Object(a), Value::Object(b)) => {
            assert_eq!(a.len(), b.len(), "{what}: {ours} {theirs}");
            a.iter().for_each(|(key, a)| no_less(a, &b[key], &format!("{what} {key}")));
        }
        _ => assert_eq!(ours, theirs, "{what}"),
    }
}

#[test]
fn the_time_zone_is_the_one_that_the_reference_sees() {
    let Some(reference) = reference("the_time_zone_is_the_one_that_the_reference_sees") else {
        return;
    };
    for zone in [
        "America/St_Johns",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        ":Europe/Berlin",
        "Africa/Casablanca",
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "<+1245>-12:45",
        "Nowhere/Land",
        "",
    ] {
        let words = ["env", &format!("TZ={zone}")];
        let ours = ask(&start(None, &words), "guest-get-timezone");
        let theirs = ask(&start(Some(reference.clone()), &words), "guest-get-timezone");
        // What the C library calls a zone that it does not know is its own affair.
        let unknown = ["Nowhere/Land", ""].contains(&zone);
        if unknown {
            assert_eq!(
                (&ours["offset"], &ours["zone"]),
                (&theirs["offset"], &json!("UTC")),
                "{zone}"
            );
        } else {
            assert_eq!(ours, theirs, "{zone}");
        }
    }
}

/// A network of its own: interfaces up and down, with addresses of both kinds and without any, many
/// of them.
const NETWORK: &str = "
    ip() { busybox ip \"$@\" || exit 9; }
    ip link set lo up
    n=0
    while [ $n -lt 60 ]; do
        ip link add name a$n type veth
        n=$((n + 1))
    done
    ip link set a0 address 02:00:00:00:00:01
    ip addr add 10.1.1.5/24 dev a0
    ip addr add 10.1.1.6/24 dev a0
    ip addr add 10.1.2.7/32 dev a0
    ip addr add fd00::1:0:0:5/64 dev a0
    ip addr add 192.168.255.1/30 dev veth59
    exec \"$0\" \"$@\"";

#[test]
fn interfaces_are_those_that_the_reference_sees() {
    let test = "interfaces_are_those_that_the_reference_sees";
    let Some(reference) = reference(test) else { return };
    if program("busybox").is_none() {
        return skip(&format!("lists::{test}"), "needs busybox (package busybox-static)");
    }
    let words = ["unshare", "-n", "sh", "-c", NETWORK];
    let ours = ask(&start(None, &words), "guest-network-get-interfaces");
    let theirs = ask(&start(Some(reference), &words), "guest-network-get-interfaces");
    // Both namespaces have hardware addresses of their own, but for the one that was given; the
    // reference has statistics only of interfaces with addresses.
    assert_eq!(
        only(ours.clone(), &["name", "ip-addresses"]),
        only(theirs.clone(), &["name", "ip-addresses"])
    );
    let find = |list: &Value, name: &str| -> Value {
        let list = list.as_array().expect("a list");
        list.iter().find(|link| link["name"] == name).expect(name).clone()
    };
    assert_eq!(find(&ours, "a0"), find(&theirs, "a0"));
    assert_eq!(find(&ours, "a0")["hardware-address"], "02:00:00:00:00:01");
    for link in ours.as_array().expect("a list") {
        assert!(link["statistics"]["rx-bytes"].is_u64(), "{link}");
        assert_eq!(link["hardware-address"].as_str().expect("an address").len(), 17, "{link}");
    }
    assert!(ours.as_array().expect("a list").len() >= 121);
}

/// A filter hides what matches it, and nothing else.
#[test]
fn excluded_interfaces_are_hidden() {
    let test = "excluded_interfaces_are_hidden";
    if program("busybox").is_none() {
        return skip(&format!("lists::{test}"), "needs busybox (package busybox-static)");
    }
    let words = ["unshare", "-n", "sh", "-c", NETWORK];
    let names = |arguments: &[&str]| -> Vec<String> {
        let wrapper = words.iter().map(|&word| word.to_owned()).collect();
        let arguments = arguments.iter().map(|&word| word.to_owned()).collect();
        let agent = Agent::start(Options { wrapper, arguments, ..Options::default() });
        let list = ask(&agent, "guest-network-get-interfaces");
        let list = list.as_array().expect("a list").iter();
        list.map(|link| link["name"].as_str().expect("a name").to_owned()).collect()
    };
    let all = names(&[]);
    let shown = names(&["--exclude-interfaces", "veth*;a?"]);
    let hidden =
        |name: &String| name.starts_with("veth") || name.len() == 2 && name.starts_with('a');
    assert!(shown.contains(&"lo".to_owned()) && shown.len() < 60, "{shown:?}");
    assert_eq!(shown, all.iter().filter(|name| !hidden(name)).cloned().collect::<Vec<_>>());
    assert_eq!(names(&["--exclude-interfaces="]), all);
}

/// Memory stays where it is, whatever is listed, and nothing stays open.
#[test]
fn to_ask_for_every_list_costs_little() {
    let agent = start(None, &[]);
    // The client that asked last may not have been let go yet.
    let open = || {
        let count = || {
            std::thread::sleep(Duration::from_millis(10));
            let folder = format!("/proc/{}/fd", agent.pid());
            std::fs::read_dir(folder).expect("descriptors").count()
        };
        (0..20).map(|_| count()).min()
    };
    ask(&agent, "guest-ping");
    let before = open();
    for command in LISTS {
        ask(&agent, command);
    }
    let first_kb = resident_kb(&agent);
    for _ in 0..20 {
        for command in LISTS {
            ask(&agent, command);
        }
    }
    let last_kb = resident_kb(&agent);
    assert_eq!(open(), before, "descriptors");
    assert!(last_kb <= first_kb + 4, "{first_kb} kB after all lists, {last_kb} after 20 times");
    assert!(last_kb <= RESIDENT_KB_MAX, "{last_kb} kB");
}

/// After every list was asked for once; of these the file's pages are two thirds.
const RESIDENT_KB_MAX: u64 = 144;

fn resident_kb(agent: &Agent) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid())).expect("status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
