//! What clients read out of the lists of the guest: each client's calls in, its rules as a checker
//! of its own, and the table of docs/clients.md out.

use qga_tests::agent::{Agent, Options};
use qga_tests::{program, repository};
use serde_json::Value;
use std::time::{Duration, Instant};

/// A client: what it is, of which version its rules are, how long it waits, what it calls.
struct Client {
    name: &'static str,
    version: &'static str,
    time_max: Duration,
    calls: &'static [&'static str],
}

const CLIENTS: [Client; 6] = [
    Client {
        name: "libvirt: guestinfo, domfsinfo, domifaddr, domhostname, guestvcpus",
        version: "9.0",
        time_max: Duration::from_secs(5),
        calls: &[
            "guest-get-users",
            "guest-get-osinfo",
            "guest-get-timezone",
            "guest-get-host-name",
            "guest-get-fsinfo",
            "guest-get-disks",
            "guest-network-get-interfaces",
            "guest-get-load",
            "guest-get-vcpus",
        ],
    },
    Client {
        name: "Proxmox VE: agent calls",
        version: "qemu-server 9.2.6",
        time_max: Duration::from_secs(3),
        calls: &[
            "guest-network-get-interfaces",
            "guest-get-osinfo",
            "guest-get-fsinfo",
            "guest-get-vcpus",
            "guest-get-memory-blocks",
            "guest-get-memory-block-info",
            "guest-get-host-name",
            "guest-get-users",
            "guest-get-timezone",
        ],
    },
    Client {
        name: "KubeVirt: guest agent poller",
        version: "-",
        time_max: Duration::from_secs(5),
        calls: &[
            "guest-info",
            "guest-network-get-interfaces",
            "guest-get-osinfo",
            "guest-get-host-name",
            "guest-get-timezone",
            "guest-get-users",
            "guest-get-fsinfo",
        ],
    },
    Client {
        name: "vdsm: poller, a second a call",
        version: "-",
        time_max: Duration::from_secs(1),
        calls: &[
            "guest-get-fsinfo",
            "guest-get-disks",
            "guest-get-host-name",
            "guest-get-osinfo",
            "guest-get-timezone",
            "guest-get-users",
            "guest-network-get-interfaces",
        ],
    },
    Client {
        name: "UTM: a visitor that knows every member",
        version: "-",
        time_max: Duration::from_secs(10),
        calls: &["guest-network-get-interfaces"],
    },
    Client {
        name: "Terraform, Packer: wait for an address",
        version: "-",
        time_max: Duration::from_secs(5),
        calls: &["guest-network-get-interfaces"],
    },
];

/// What every client needs to find in the reply to a command.
fn check(command: &str, value: &Value) {
    match command {
        "guest-info" => ten_names(value),
        "guest-get-users" => users(value),
        "guest-get-osinfo" => system(value),
        "guest-get-timezone" => zone(value),
        "guest-get-host-name" => host(value),
        "guest-get-fsinfo" => filesystems(value),
        "guest-get-disks" => disks(value),
        "guest-network-get-interfaces" => interfaces(value),
        "guest-get-load" => load(value),
        "guest-get-vcpus" => cpus(value),
        "guest-get-memory-blocks" => blocks(value),
        "guest-get-memory-block-info" => block_info(value),
        _ => panic!("nobody asks for {command}"),
    }
}

/// An object with these members and perhaps those, of the schema; no other one (UTM's visitor
/// refuses the reply then).
fn members(value: &Value, needed: &[&str], optional: &[&str]) {
    let members = value.as_object().unwrap_or_else(|| panic!("an object: {value}"));
    for name in needed {
        assert!(members.contains_key(*name), "no {name} in {value}");
    }
    for name in members.keys() {
        let known = needed.iter().chain(optional).any(|known| known == name);
        assert!(known, "{name} is in no schema: {value}");
    }
}

fn each(value: &Value, check: impl Fn(&Value)) {
    value.as_array().unwrap_or_else(|| panic!("a list: {value}")).iter().for_each(check);
}

fn numbers(value: &Value, names: &[&str]) {
    for name in names {
        assert!(value[name].is_number(), "{name} is no number in {value}");
    }
}

fn texts(value: &Value, names: &[&str]) {
    for name in names {
        assert!(value[name].is_string(), "{name} is no text in {value}");
    }
}

fn users(value: &Value) {
    each(value, |user| {
        members(user, &["user", "login-time"], &["domain"]);
        texts(user, &["user"]);
        numbers(user, &["login-time"]);
    });
}

fn system(value: &Value) {
    let all = [
        "id",
        "name",
        "pretty-name",
        "version",
        "version-id",
        "machine",
        "variant",
        "variant-id",
        "kernel-release",
        "kernel-version",
    ];
    members(value, &["kernel-release", "machine"], &all);
    let names: Vec<&str> = all.into_iter().filter(|name| value.get(name).is_some()).collect();
    texts(value, &names);
}

fn zone(value: &Value) {
    members(value, &["offset"], &["zone"]);
    assert!(value["offset"].is_i64(), "{value}");
}

fn host(value: &Value) {
    members(value, &["host-name"], &[]);
    texts(value, &["host-name"]);
}

fn load(value: &Value) {
    members(value, &["load1m", "load5m", "load15m"], &[]);
    numbers(value, &["load1m", "load5m", "load15m"]);
}

fn cpus(value: &Value) {
    each(value, |cpu| {
        members(cpu, &["logical-id", "online"], &["can-offline"]);
        numbers(cpu, &["logical-id"]);
    });
    assert_ne!(value.as_array().map(Vec::len), Some(0));
}

fn blocks(value: &Value) {
    each(value, |block| members(block, &["phys-index", "online"], &["can-offline"]));
}

fn block_info(value: &Value) {
    members(value, &["size"], &[]);
}

/// libvirt fails the whole call where one of these numbers is missing; -1 is one.
fn place(disk: &Value) {
    let needed = ["pci-controller", "bus-type", "bus", "target", "unit"];
    members(disk, &needed, &["serial", "dev", "ccw-address"]);
    numbers(disk, &["bus", "target", "unit"]);
    let controller = ["domain", "bus", "slot", "function"];
    members(&disk["pci-controller"], &controller, &[]);
    numbers(&disk["pci-controller"], &controller);
}

fn filesystems(value: &Value) {
    each(value, |one| {
        let sizes = ["used-bytes", "total-bytes", "total-bytes-privileged"];
        members(one, &["name", "mountpoint", "type", "disk"], &sizes);
        texts(one, &["name", "mountpoint", "type"]);
        // None of a filesystem that does not answer.
        let [used, total, all] = sizes.map(|name| one.get(name).and_then(Value::as_u64));
        assert!(used <= total && total <= all, "{one}");
        each(&one["disk"], place);
    });
}

fn disks(value: &Value) {
    each(value, |disk| {
        members(disk, &["name", "partition"], &["dependencies", "address", "alias", "smart"]);
        texts(disk, &["name"]);
        assert!(disk["partition"].is_boolean(), "{disk}");
        each(&disk["dependencies"], |name| assert!(name.is_string(), "{disk}"));
        if let Some(address) = disk.get("address") {
            place(address);
        }
    });
}

fn interfaces(value: &Value) {
    let counts = [
        "rx-bytes",
        "rx-packets",
        "rx-errs",
        "rx-dropped",
        "tx-bytes",
        "tx-packets",
        "tx-errs",
        "tx-dropped",
    ];
    each(value, |link| {
        members(link, &["name"], &["hardware-address", "ip-addresses", "statistics"]);
        // libvirt cuts a name at its colon.
        assert!(link["name"].as_str().is_some_and(|name| !name.contains(':')), "{link}");
        members(&link["statistics"], &counts, &[]);
        for address in link.get("ip-addresses").and_then(Value::as_array).into_iter().flatten() {
            members(address, &["ip-address", "ip-address-type", "prefix"], &[]);
            let kind = address["ip-address-type"].as_str();
            assert!(matches!(kind, Some("ipv4" | "ipv6")), "{address}");
            assert!(address["prefix"].is_u64(), "{address}");
        }
    });
    assert!(an_address(value), "{value}");
}

/// Whether there is the address of IPv4 that leads to the guest from outside, for which Terraform
/// and Packer wait.
fn an_address(value: &Value) -> bool {
    let all = value.as_array().into_iter().flatten();
    let mut addresses = all.flat_map(|link| link["ip-addresses"].as_array().into_iter().flatten());
    addresses.any(|address| address["ip-address"] == "10.1.1.5")
}

/// Without one of these it calls the agent unsupported.
fn ten_names(value: &Value) {
    for wanted in [
        "guest-ping",
        "guest-get-time",
        "guest-info",
        "guest-shutdown",
        "guest-network-get-interfaces",
        "guest-get-fsinfo",
        "guest-get-host-name",
        "guest-get-users",
        "guest-get-timezone",
        "guest-get-osinfo",
    ] {
        let commands = value["supported_commands"].as_array().expect("a list");
        let found = commands.iter().find(|command| command["name"] == wanted);
        assert_eq!(found.map(|command| &command["enabled"]), Some(&Value::Bool(true)), "{wanted}");
    }
}

/// An agent in a network of its own, where busybox can make one: an address, one interface in it.
fn agent() -> Agent {
    let script = "busybox ip link set lo up; busybox ip link add name eth0 type veth
        busybox ip addr add 10.1.1.5/24 dev eth0; busybox ip link set eth0 up; exec \"$0\" \"$@\"";
    let wrapper = ["unshare", "-n", "sh", "-c", script].map(str::to_owned).to_vec();
    Agent::start(Options { wrapper, ..Options::default() })
}

/// Holds every call; the table.
fn table() -> String {
    let agent = agent();
    let mut text = String::from(
        "# Clients and the lists of the guest\n\n\
         What each client calls, and whether its rules hold for the reply: which members it cannot \
         do without, of which type, none that no schema has, and in which time. Written by \
         `cargo test --test client_lists -- --ignored`, checked by `cargo test --test client_lists`. \
         The rules are those of the clients' sources, of the version that is named or of one not \
         noted down; the clients themselves are not run here.\n\n\
         | client | version | call | result |\n| --- | --- | --- | --- |\n",
    );
    for Client { name, version, time_max, calls } in &CLIENTS {
        for command in *calls {
            let begun = Instant::now();
            let line = agent.connect().ask(format!("{{\"execute\":\"{command}\"}}\n"));
            assert!(begun.elapsed() < *time_max, "{name}: {command} takes {:?}", begun.elapsed());
            // KubeVirt's pattern; libvirt's longest reply; a byte that is no ASCII ends Proxmox'.
            assert!(line.starts_with("{\"return\": ") && line.trim_end().ends_with('}'), "{line}");
            assert!(line.len() < 10 << 20 && line.is_ascii());
            let reply: Value = serde_json::from_str(&line).expect("JSON");
            check(command, &reply["return"]);
            text.push_str(&format!("| {name} | {version} | {command} | content |\n"));
        }
    }
    text
}

const DOCUMENT: &str = "docs/clients.md";

/// Whether there can be a network of its own here.
fn possible() -> bool {
    let possible = qga_tests::is_root() && program("busybox").is_some();
    if !possible {
        qga_tests::skip("client_lists", "needs root and busybox (package busybox-static)");
    }
    possible
}

#[test]
fn each_client_is_content_and_the_table_says_so() {
    if possible() {
        let written = std::fs::read_to_string(repository().join(DOCUMENT)).expect(DOCUMENT);
        assert_eq!(written, table(), "cargo test --test client_lists -- --ignored writes it");
    }
}

#[test]
#[ignore = "writes docs/clients.md"]
fn write_the_table() {
    std::fs::write(repository().join(DOCUMENT), table()).expect(DOCUMENT);
}
