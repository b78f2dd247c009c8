//! The habits of Proxmox VE, libvirt, UTM, vfkit, KubeVirt, Ansible and others on the wire, and
//! what each needs back, as far as they concern the commands that exist.

use qga_tests::agent::{Agent, Held};
use qga_tests::connection::Connection;
use qga_tests::{program, skip};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// Proxmox VE: one write of two lines on a connection of its own for each command, and a pattern
/// that takes what follows the last 0xFF as two lines that end in `}`.
fn proxmox(agent: &Agent, id: u64, command: &Value) -> String {
    let mut client = agent.connect();
    let sync = json!({"execute": "guest-sync-delimited", "arguments": {"id": id}});
    client.send(format!("{sync}\n{command}\n"));
    let mut bytes = client.line();
    bytes.extend(client.line());
    let last = bytes.iter().rposition(|&byte| byte == 0xFF).expect("a sentinel");
    assert_eq!(last, 0, "the first byte is the sentinel and there is no other");
    let text = std::str::from_utf8(&bytes[1..]).unwrap();
    let (first, second) = text.split_once('\n').expect("two lines");
    let second = second.strip_suffix('\n').expect("a newline at the end");
    for line in [first, second] {
        assert!(line.ends_with('}') && !line.contains('\r'), "{line}");
    }
    let sync: Value = serde_json::from_str(first).unwrap();
    assert_eq!(sync, json!({"return": id}), "the id must come back as the integer that it was");
    second.to_owned()
}

#[test]
fn proxmox_ve() {
    let agent = Agent::plain();
    let path = agent.folder.join("f");
    let ping = json!({"execute": "guest-ping", "arguments": {}});
    for sequence in 1..=20 {
        assert_eq!(proxmox(&agent, 12_345_000 + sequence, &ping), r#"{"return": {}}"#);
    }
    // A write as encode_base64 breaks it: a newline after each 76 letters, and at the end.
    let text = format!("{}\n{}\n", "QUJD".repeat(19), "QQ==");
    let open = json!({"execute": "guest-file-open", "arguments": {"path": path, "mode": "wb"}});
    assert_eq!(proxmox(&agent, 2, &open), r#"{"return": 1000}"#);
    let arguments = json!({"handle": 1000, "buf-b64": text});
    let write = json!({"execute": "guest-file-write", "arguments": arguments});
    assert_eq!(proxmox(&agent, 3, &write), r#"{"return": {"count": 58, "eof": false}}"#);
    let close = json!({"execute": "guest-file-close", "arguments": {"handle": 1000}});
    assert_eq!(proxmox(&agent, 4, &close), r#"{"return": {}}"#);
    // file-read as it loops: chunks of 1 MiB until eof.
    std::fs::write(&path, vec![b'z'; (2 << 20) + 5]).unwrap();
    let open = json!({"execute": "guest-file-open", "arguments": {"path": path, "mode": "rb"}});
    assert_eq!(proxmox(&agent, 5, &open), r#"{"return": 1001}"#);
    let (mut total, mut rounds) = (0, 0);
    loop {
        let arguments = json!({"handle": 1001, "count": 1 << 20});
        let read = json!({"execute": "guest-file-read", "arguments": arguments});
        let reply: Value = serde_json::from_str(&proxmox(&agent, 6 + rounds, &read)).unwrap();
        total += reply["return"]["count"].as_u64().unwrap();
        rounds += 1;
        if reply["return"]["eof"].as_bool().unwrap() {
            break;
        }
    }
    assert_eq!((total, rounds), ((2 << 20) + 5, 3));
    let unknown = json!({"execute": "guest-get-devices", "arguments": {}});
    let reply = proxmox(&agent, 100, &unknown);
    assert!(reply.starts_with(r#"{"error": {"class": "CommandNotFound""#), "{reply}");
}

/// libvirt: one line a command; guest-sync with the clock's milliseconds before the first of a
/// connection; any other line than the replies that it waits for puts the agent into an error
/// state.
struct Libvirt {
    client: Connection,
    synced: bool,
    clock_ms: u64,
}

impl Libvirt {
    fn command(&mut self, command: &str) -> Value {
        if !self.synced {
            self.clock_ms += 1;
            let id = self.clock_ms;
            self.client
                .send(format!("{{\"execute\":\"guest-sync\", \"arguments\":{{\"id\":{id}}}}}\n"));
            loop {
                // Late replies to whoever was connected before are passed over.
                let reply: Value =
                    serde_json::from_str(&self.client.text()).expect("a line of JSON");
                if reply["return"] == id {
                    break;
                }
            }
            self.synced = true;
        }
        self.client.send(format!("{command}\n"));
        let line = self.client.line();
        assert!(line.len() < 10 << 20, "libvirt takes 10 MiB at most");
        let reply: Value = serde_json::from_slice(&line).expect("a line of JSON");
        assert!(reply.get("return").is_some() ^ reply.get("error").is_some(), "{reply}");
        reply
    }
}

#[test]
fn libvirt() {
    let agent = Agent::plain();
    for round in 0..3 {
        let clock_ms = 1_795_361_773_520 + round;
        let mut virsh = Libvirt { client: agent.connect(), synced: false, clock_ms };
        assert_eq!(virsh.command(r#"{"execute":"guest-ping"}"#), json!({"return": {}}));
        let status = virsh.command(r#"{"execute":"guest-fsfreeze-status"}"#);
        assert_eq!(status, json!({"return": "thawed"}));
        // These classes and no others mean "this guest cannot": libvirt skips them.
        for missing in ["guest-get-devices", "guest-none"] {
            let reply = virsh.command(&format!("{{\"execute\":\"{missing}\"}}"));
            assert_eq!(reply["error"]["class"], "CommandNotFound");
        }
        // A timeout: it syncs again on the same connection, and old replies come first.
        virsh.client.send("{\"execute\":\"guest-info\"}\n");
        virsh.synced = false;
        assert_eq!(virsh.command(r#"{"execute":"guest-ping"}"#), json!({"return": {}}));
        let seek =
            r#"{"execute":"guest-file-seek","arguments":{"handle":1,"offset":0,"whence":0}}"#;
        assert_eq!(virsh.command(seek)["error"]["desc"], "handle '1' has not been found");
        assert_eq!(virsh.client.finish(), b"");
    }
}

/// UTM: 0xFF before each request, no newline after it, and replies without unknown members.
#[test]
fn utm() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    client.send(b"\xff{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":4294967295}}");
    assert_eq!(client.line(), b"\xff{\"return\": 4294967295}\n");
    let path = agent.folder.join("f");
    let requests = [
        (json!({"execute": "guest-file-open", "arguments": {"path": path, "mode": "w+"}}), vec![]),
        (
            json!({"execute": "guest-file-write", "arguments": {"handle": 1000, "buf-b64": "QQ=="}}),
            vec!["count", "eof"],
        ),
        (
            json!({"execute": "guest-file-seek",
                "arguments": {"handle": 1000, "offset": 0, "whence": "set"}}),
            vec!["eof", "position"],
        ),
        (
            json!({"execute": "guest-file-read", "arguments": {"handle": 1000}}),
            vec!["buf-b64", "count", "eof"],
        ),
        (json!({"execute": "guest-info"}), vec!["supported_commands", "version"]),
        (json!({"execute": "guest-file-close", "arguments": {"handle": 1000}}), vec![]),
    ];
    for (request, members) in requests {
        client.send(request.to_string());
        let reply: Value = serde_json::from_str(&client.text()).unwrap();
        assert_eq!(reply.as_object().unwrap().len(), 1, "{reply}");
        let returned = reply["return"].as_object();
        let mut names: Vec<_> =
            returned.map(|it| it.keys().map(String::as_str).collect()).unwrap_or_default();
        names.sort_unstable();
        assert_eq!(names, members, "{reply}");
    }
}

/// vfkit compares the line; KubeVirt strips by a pattern; Ansible looks for whole rows; vmtest
/// reads the version as three small numbers.
#[test]
fn clients_that_compare_text() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    client.send("{\"execute\": \"guest-ping\"}\n");
    assert_eq!(client.line(), b"{\"return\": {}}\n");
    let info = client.ask("{\"execute\": \"guest-info\", \"arguments\": { } }");
    assert!(info.starts_with(r#"{"return": {"#), "{info}");
    let info: Value = serde_json::from_str(&info).unwrap();
    let rows = info["return"]["supported_commands"].as_array().unwrap();
    for name in ["guest-file-open", "guest-file-close", "guest-file-read", "guest-file-write"] {
        let row = json!({"enabled": true, "name": name, "success-response": true});
        assert!(rows.contains(&row), "no row {row}");
    }
    let version = info["return"]["version"].as_str().unwrap();
    let numbers: Vec<u8> = version.split('.').map(|part| part.parse().unwrap()).collect();
    assert_eq!(numbers.len(), 3);
    assert!(numbers[0] >= 8, "vmtest reads features from {version}");
}

/// Fragments: the crate qapi and others may write `{` and the rest apart, at any distance in time.
#[test]
fn requests_in_fragments() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    for _ in 0..50 {
        client.send_and_see_taken(b"{");
        client.send_and_see_taken(br#""execute":"guest-ping","arguments":{}}"#);
        client.send("\n");
        assert_eq!(client.text(), r#"{"return": {}}"#);
    }
    assert_eq!(client.finish(), b"");
}

/// socat, as a person types it.
#[test]
fn socat() {
    let Some(socat) = program("socat") else {
        return skip("clients::socat", "needs socat");
    };
    let agent = Agent::plain();
    let address = format!("UNIX-CONNECT:{}", agent.socket().display());
    let mut child = Command::new(socat)
        .args(["-t5", "-", &address])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"{'execute':'guest-ping'}\n").unwrap();
    let mut output = String::new();
    child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    let _held = Held(child);
    assert_eq!(output, "{\"return\": {}}\n");
}
