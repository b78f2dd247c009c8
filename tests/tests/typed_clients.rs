//! Clients that other people wrote: the strict typed crate `qapi` and Python's `qemu.qmp`, each
//! with every command that it knows.

use qapi::qga;
use qapi::{Command as _, Qga};
use qga_tests::agent::Agent;
use qga_tests::connection::Connection;
use qga_tests::disk::Disk;
use qga_tests::guest::Guest;
use qga_tests::jail::{Spec, Start};
use qga_tests::{program, repository, skip};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::BufReader;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

type Strict = Qga<qapi::Stream<BufReader<UnixStream>, UnixStream>>;

fn strict(client: Connection) -> Strict {
    let stream = client.stream;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    Qga::new(qapi::Stream::new(BufReader::new(stream.try_clone().unwrap()), stream))
}

#[test]
fn qapi_crate() {
    let agent = Agent::plain();
    let mut client = strict(agent.connect());
    client.guest_sync(i32::MAX).unwrap();
    client.guest_sync(-1).unwrap();
    assert_eq!(client.execute(&qga::guest_sync { id: i64::MIN }).unwrap(), i64::MIN);
    client.execute(&qga::guest_ping {}).unwrap();
    let info = client.execute(&qga::guest_info {}).unwrap();
    assert_eq!(info.version, qga_core::schema_version!());
    let rows = &info.supported_commands;
    assert!(rows.iter().any(|row| row.name == qga::guest_ping::NAME && row.enabled));
    let status = client.execute(&qga::guest_fsfreeze_status {}).unwrap();
    assert_eq!(status, qga::GuestFsfreezeStatus::thawed);

    let path = agent.folder.join("f").to_str().unwrap().to_owned();
    let mode = Some("w+".to_owned());
    let handle = client.execute(&qga::guest_file_open { path: path.clone(), mode }).unwrap();
    let data: Vec<u8> = (0..=255).cycle().take(70_001).collect();
    let write = qga::guest_file_write { handle, buf_b64: data.clone(), count: None };
    let written = client.execute(&write).unwrap();
    assert_eq!((written.count, written.eof), (70_001, false));
    client.execute(&qga::guest_file_flush { handle }).unwrap();
    let whence = qga::GuestFileWhence::name(qga::QGASeek::set);
    let position = client.execute(&qga::guest_file_seek { handle, offset: 1, whence }).unwrap();
    assert_eq!((position.position, position.eof), (1, false));
    let whence = qga::GuestFileWhence::value(1);
    client.execute(&qga::guest_file_seek { handle, offset: -1, whence }).unwrap();
    let read = client.execute(&qga::guest_file_read { handle, count: Some(100_000) }).unwrap();
    assert!(read.buf_b64 == data && read.count == 70_001 && read.eof);
    let read = client.execute(&qga::guest_file_read { handle, count: None }).unwrap();
    assert!(read.buf_b64.is_empty() && read.count == 0 && read.eof);
    client.execute(&qga::guest_file_close { handle }).unwrap();

    let error = client.execute(&qga::guest_file_close { handle }).unwrap_err();
    let qapi::ExecuteError::Qapi(error) = error else { panic!("{error}") };
    assert_eq!(error.class, qapi::ErrorClass::GenericError);
    assert_eq!(error.desc, format!("handle '{handle}' has not been found"));
    // What the guest says of itself, as strictly as the crate reads it.
    client.execute(&qga::guest_get_host_name {}).unwrap();
    let system = client.execute(&qga::guest_get_osinfo {}).unwrap();
    assert!(system.kernel_release.is_some() && system.machine.is_some());
    client.execute(&qga::guest_get_timezone {}).unwrap();
    client.execute(&qga::guest_get_users {}).unwrap();
    assert!(!client.execute(&qga::guest_get_vcpus {}).unwrap().is_empty());
    assert!(!client.execute(&qga::guest_get_cpustats {}).unwrap().is_empty());
    client.execute(&qga::guest_get_memory_blocks {}).unwrap();
    client.execute(&qga::guest_get_diskstats {}).unwrap();
    let links = client.execute(&qga::guest_network_get_interfaces {}).unwrap();
    assert!(links.iter().any(|link| link.name == "lo"));
    client.execute(&qga::guest_network_get_route {}).unwrap();

    client.execute(&qga::guest_get_disks {}).unwrap();
    let filesystems = client.execute(&qga::guest_get_fsinfo {}).unwrap();
    assert!(filesystems.iter().all(|one| one.mountpoint.starts_with('/')));

    let error = client.execute(&qga::guest_get_devices {}).unwrap_err();
    let qapi::ExecuteError::Qapi(error) = error else { panic!("{error}") };
    assert_eq!(error.class, qapi::ErrorClass::CommandNotFound);
    let open = qga::guest_file_open { path: "/nonexistent".to_owned(), mode: None };
    assert!(client.execute(&open).is_err());
    client.execute(&qga::guest_ping {}).unwrap();
}

#[test]
fn qapi_crate_in_a_guest_of_its_own() {
    if Disk::impossible("typed_clients::qapi_crate_in_a_guest_of_its_own") {
        return;
    }
    let programs = BTreeMap::from([("/sbin/halt".to_owned(), 0)]);
    let mut guest = Guest::with_spec(&["/mnt/a", "/mnt/b"], Spec { programs, ..Spec::default() });
    let agent = guest.jail.agent(Start::default());
    let mut client = strict(agent.connect());
    assert_eq!(client.execute(&qga::guest_fsfreeze_freeze {}).unwrap(), 2);
    let status = client.execute(&qga::guest_fsfreeze_status {}).unwrap();
    assert_eq!(status, qga::GuestFsfreezeStatus::frozen);
    let info = client.execute(&qga::guest_info {}).unwrap();
    assert_eq!(info.supported_commands.iter().filter(|row| row.enabled).count(), 6);
    let error = client.execute(&qga::guest_fsfreeze_freeze {}).unwrap_err();
    let qapi::ExecuteError::Qapi(error) = error else { panic!("{error}") };
    assert_eq!(error.class, qapi::ErrorClass::CommandNotFound);
    assert_eq!(client.execute(&qga::guest_fsfreeze_thaw {}).unwrap(), 2);
    assert_eq!(client.execute(&qga::guest_fsfreeze_thaw {}).unwrap(), 0);
    // No reply: the crate would wait for one.
    let mode = Some(qga::GuestShutdownMode::Halt);
    client.write_command(&qga::guest_shutdown { mode }).unwrap();
    guest.spawned(&["/sbin/halt".to_owned()]).unwrap();
}

/// The crate cannot read the 0xFF before the reply; its users do what this does.
#[test]
fn qapi_crate_delimited() {
    let agent = Agent::plain();
    let mut raw = agent.connect();
    let execute: qapi::Execute<_> = qga::guest_sync_delimited { id: 99 }.into();
    let request = serde_json::to_string(&execute);
    raw.send(b"\xff");
    raw.send(request.unwrap());
    assert_eq!(raw.line(), b"\xff{\"return\": 99}\n");
    strict(raw).execute(&qga::guest_ping {}).unwrap();
}

/// Python with qemu.qmp. Tests that run at the same time install it once.
fn python() -> Result<PathBuf, String> {
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    PYTHON.get_or_init(install_python).clone()
}

/// Installs qemu.qmp under tests/target unless it is there.
fn install_python() -> Result<PathBuf, String> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/qmp-venv");
    let python = home.join("bin/python");
    let works = |python: &Path| {
        let import = Command::new(python).args(["-c", "import qemu.qmp"]).output();
        import.is_ok_and(|output| output.status.success())
    };
    if works(&python) {
        return Ok(python);
    }
    let system = program("python3").ok_or("needs python3")?;
    let steps: [(&Path, Vec<&str>); 2] = [
        (&system, vec!["-m", "venv", home.to_str().expect("a path in UTF-8")]),
        (&python, vec!["-m", "pip", "install", "--quiet", "qemu.qmp==0.0.6"]),
    ];
    for (step, arguments) in steps {
        let output = Command::new(step).args(&arguments).output();
        let output = output.map_err(|error| format!("{}: {error}", step.display()))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let last = stderr.lines().last().unwrap_or("no word").to_owned();
            return Err(format!("{} {}: {last}", step.display(), arguments.join(" ")));
        }
    }
    match works(&python) {
        true => Ok(python),
        false => Err("qemu.qmp is installed and cannot be imported".to_owned()),
    }
}

/// Runs commands through qemu.qmp; the last result is that of its twenty syncs at once.
fn through_python(python: &Path, socket: &Path, commands: &Value) -> Vec<Value> {
    let script = repository().join("tests/data/qmp_client.py");
    let output = Command::new(python).arg(script).arg(socket).arg(commands.to_string()).output();
    let output = output.expect("python runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"))
}

#[test]
fn python_qemu_qmp() {
    let python = match python() {
        Ok(python) => python,
        Err(reason) => return skip("typed_clients::python_qemu_qmp", &reason),
    };
    let agent = Agent::plain();
    let path = agent.folder.join("f");
    let commands = json!([
        ["guest-ping", null],
        ["guest-ping", {}],
        ["guest-sync", {"id": 1795361773520_i64}],
        ["guest-info", null],
        ["guest-fsfreeze-status", null],
        ["guest-file-open", {"path": path, "mode": "w+"}],
        ["guest-file-write", {"handle": 1000, "buf-b64": "aGVsbG8K"}],
        ["guest-file-flush", {"handle": 1000}],
        ["guest-file-seek", {"handle": 1000, "offset": 0, "whence": "set"}],
        ["guest-file-read", {"handle": 1000, "count": 100}],
        ["guest-file-close", {"handle": 1000}],
        ["guest-file-close", {"handle": 1000}],
        ["guest-nope", null],
        ["guest-ping", {"é": "\u{1F600}"}]
    ]);
    let results = through_python(&python, &agent.socket(), &commands);
    let syncs: Vec<_> = (0..20).collect();
    let expected = json!([
        ["return", {}],
        ["return", {}],
        ["return", 1795361773520_i64],
        results[3],
        ["return", "thawed"],
        ["return", 1000],
        ["return", {"count": 6, "eof": false}],
        ["return", {}],
        ["return", {"position": 0, "eof": false}],
        ["return", {"buf-b64": "aGVsbG8K", "count": 6, "eof": true}],
        ["return", {}],
        ["error", "GenericError", "handle '1000' has not been found"],
        ["error", "CommandNotFound", "The command guest-nope has not been found"],
        ["error", "GenericError", "Parameter 'é' is unexpected"],
        ["return", syncs]
    ]);
    assert_eq!(Value::from(results.clone()), expected);
    assert_eq!(results[3][1]["version"], qga_core::schema_version!());
}

#[test]
fn python_qemu_qmp_in_a_guest_of_its_own() {
    let name = "typed_clients::python_qemu_qmp_in_a_guest_of_its_own";
    if Disk::impossible(name) {
        return;
    }
    let python = match python() {
        Ok(python) => python,
        Err(reason) => return skip(name, &reason),
    };
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let agent = guest.jail.agent(Start::default());
    let commands = json!([
        ["guest-fsfreeze-freeze", null],
        ["guest-fsfreeze-status", null],
        ["guest-fsfreeze-freeze", null],
        ["guest-fsfreeze-thaw", null],
        ["guest-shutdown", {"mode": "nonsense"}]
    ]);
    let results = through_python(&python, agent.socket(), &commands);
    assert_eq!(results[0], json!(["return", 1]));
    assert_eq!(results[1], json!(["return", "frozen"]));
    let text = "Command guest-fsfreeze-freeze has been disabled: the agent is in frozen state";
    assert_eq!(results[2], json!(["error", "CommandNotFound", text]));
    assert_eq!(results[3], json!(["return", 1]));
    assert_eq!(results[4][1], "GenericError");
}
