//! How distributions start the agent: each of their lines, word for word, in mounts of its own with
//! a virtio port where theirs is; the process in the background, its number in a file, its name.

use qga_tests::agent::{Held, connect, wait};
use qga_tests::connection::{ANSWER_DEADLINE, Connection};
use qga_tests::pty::Pty;
use qga_tests::{binary, eventually, is_root, program, skip, sys};
use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const PING: &str = "{\"execute\":\"guest-ping\"}\n";
const PONG: &str = r#"{"return": {}}"#;

/// The lines, as they reach the program when its unit's variables are as they are shipped.
const LINES: [(&str, &[&str]); 27] = [
    ("Debian, Arch, OpenWrt, Talos, Yocto: the unit", &[]),
    ("Debian: init script", &["--daemonize", "-m", "virtio-serial", "-p", PORT]),
    ("RHEL 7, 8", &[METHOD, PATH, "--blacklist=", "-F/etc/qemu-ga/fsfreeze-hook"]),
    ("RHEL 7, 8: a list", &[METHOD, PATH, "--blacklist=guest-file-open,guest-exec", "-F"]),
    ("openEuler: a list with a blank", &[METHOD, PATH, "--blacklist=guest-exec guest-file-open"]),
    ("RHEL 9", &[METHOD, PATH, "--block-rpcs=", "-F/etc/qemu-ga/fsfreeze-hook"]),
    ("RHEL 9: a list", &[METHOD, PATH, "--block-rpcs=guest-file-open,guest-exec", "-F/dev/null"]),
    ("RHEL 10", &[METHOD, PATH, ALLOWED, "-F/etc/qemu-ga/fsfreeze-hook"]),
    ("RHEL 10: nothing set", &[METHOD, PATH, "", "-F"]),
    ("Fedora", &[METHOD, PATH, "-F/etc/qemu-ga/fsfreeze-hook"]),
    ("openSUSE", &["-p", PORT, "--block-rpcs=guest-exec,guest-exec-status"]),
    ("openSUSE: nothing set", &["-p", PORT, ""]),
    ("Alpine", &["-m", "virtio-serial", "-p", PORT, "-l", "/var/log/qemu-ga.log", "-d"]),
    ("Gentoo", &["-m", "virtio-serial", "-p", PORT, "-l", LOG, "-d", "-f", PID, "-t", "/run"]),
    ("Gentoo: its example", &["-d", "-f", PID, "-t", "/run", "-F/etc/qemu/fsfreeze-hook"]),
    ("NixOS", &["--statedir", "/run/qemu-ga"]),
    ("Home Assistant OS", &["-m", "virtio-serial", "-p", PORT]),
    ("Home Assistant OS: hook", &["-p", PORT, "--fsfreeze-hook=/usr/libexec/haos-freeze-hook"]),
    ("LinuxKit", &["-p", "/dev/vport0p1"]),
    (
        "vmtest",
        &[
            "--statedir",
            "/var/run",
            "--pidfile",
            PID,
            "-m",
            "virtio-serial",
            "-p",
            "/dev/vport0p1",
            "--logfile",
            "/dev/null",
            "-d",
        ],
    ),
    ("OPNsense", &["-d", "-v", "-l", LOG, "-p", "/dev/vport0p1"]),
    ("a container without state", &["--allow-rpcs=guest-ping", "--statedir=", "--pidfile="]),
    ("OpenEmbedded: init script", &["-d", "-m", "virtio-serial", "-p", PORT]),
    ("the manual's long name", &["--daemon"]),
    ("beginnings of long names", &["--meth=virtio-serial", "--pa", PORT, "--block=x", "--retry"]),
    ("a hook of its own word", &["-F", "/etc/qemu/fsfreeze-hook"]),
    ("empty variables", &["--path=", "--logfile=", "--fsfreeze-hook=", "--block-rpcs=", ""]),
];
const PORT: &str = "/dev/virtio-ports/org.qemu.guest_agent.0";
const METHOD: &str = "--method=virtio-serial";
const PATH: &str = "--path=/dev/virtio-ports/org.qemu.guest_agent.0";
const LOG: &str = "/var/log/qemu-ga.log";
const PID: &str = "/run/qemu-ga.pid";
const ALLOWED: &str = "--allow-rpcs=guest-sync-delimited,guest-sync,guest-ping,guest-get-time,\
    guest-set-time,guest-info,guest-shutdown,guest-fsfreeze-status,guest-fsfreeze-freeze,\
    guest-fsfreeze-freeze-list,guest-fsfreeze-thaw,guest-fstrim,guest-suspend-disk,\
    guest-suspend-ram,guest-suspend-hybrid,guest-network-get-interfaces,guest-get-vcpus,\
    guest-set-vcpus,guest-get-disks,guest-get-fsinfo,guest-set-user-password,\
    guest-get-memory-blocks,guest-set-memory-blocks,guest-get-memory-block-info,\
    guest-get-host-name,guest-get-users,guest-get-timezone,guest-get-osinfo,guest-get-devices,\
    guest-ssh-get-authorized-keys,guest-ssh-add-authorized-keys,\
    guest-ssh-remove-authorized-keys,guest-get-diskstats,guest-get-cpustats,\
    guest-network-get-route,guest-get-load";

/// Directories of its own, and a terminal in the place of the port, by the two names it may have.
const APART: &str = r#"
set -e
port=$1 agent=$2; shift 2
mkdir -p /run/old
mount -t tmpfs -o mode=755 none /run
mkdir /run/dev /run/qemu-ga
mount --rbind /dev /run/dev
mount -t tmpfs -o mode=755 none /dev
mkdir /dev/virtio-ports
for name in virtio-ports/org.qemu.guest_agent.0 vport0p1; do
    : >/dev/$name
    mount --bind /run/dev/${port#/dev/} /dev/$name
done
mknod /dev/null c 1 3
mount -t tmpfs -o mode=755 none /var/log
ln -s "$agent" /run/qemu-ga/qemu-ga
case " $* " in
*" -d "* | *" --daemon"*)
    /run/qemu-ga/qemu-ga "$@"
    cat /var/run/qemu-ga.pid
    ;;
*) exec /run/qemu-ga/qemu-ga "$@" ;;
esac
"#;

/// A process that is not this one's child, and ends with the test.
struct Daemon(u32);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = sys::kill(self.0, libc::SIGKILL);
    }
}

fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

fn is_gone(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_none_or(|rest| rest.is_empty() || rest.starts_with(" Z"))
}

/// A terminal that changes no byte, as a port does not.
fn port() -> Pty {
    let pty = Pty::open().unwrap();
    let mut modes = pty.modes();
    // SAFETY: both take the modes that were just read.
    let set = unsafe {
        libc::cfmakeraw(&mut modes);
        libc::tcsetattr(pty.master.as_raw_fd(), libc::TCSANOW, &modes)
    };
    assert_eq!(set, 0);
    pty
}

fn ask(port: &mut Pty, request: &str) -> String {
    port.master.write_all(request.as_bytes()).unwrap();
    let mut reply = Vec::new();
    while !reply.ends_with(b"\n") {
        assert!(port.readable_within_ms(ANSWER_DEADLINE.as_millis() as i32), "no reply");
        let mut byte = [0];
        port.master.read_exact(&mut byte).unwrap();
        reply.push(byte[0]);
    }
    String::from_utf8(reply).unwrap().trim_end().to_owned()
}

#[test]
fn every_distributions_line_starts_it() {
    let test = "start_lines::every_distributions_line_starts_it";
    let Some(unshare) = program("unshare").filter(|_| is_root()) else {
        return skip(test, "needs root and unshare, for a /run and a /dev of its own");
    };
    for (who, words) in LINES {
        let mut port = port();
        let mut started = Command::new(&unshare);
        started.args(["-m", "sh", "-c", APART, "sh"]).arg(&port.path).arg(binary()).args(words);
        started.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut started = Held(started.spawn().unwrap());
        let in_background = words.iter().any(|word| *word == "-d" || word.starts_with("--daemon"));
        let pid = match in_background {
            false => started.0.id(),
            true => {
                let status = wait(&mut started.0);
                let said = std::io::read_to_string(started.0.stderr.take().unwrap()).unwrap();
                assert!(status.success(), "{who}: {words:?}: {status}: {said}");
                let pid = std::io::read_to_string(started.0.stdout.take().unwrap()).unwrap();
                pid.trim_end().parse().unwrap_or_else(|_| panic!("{who}: {pid:?}"))
            }
        };
        let daemon = Daemon(pid);
        assert_eq!(ask(&mut port, PING), PONG, "{who}: {words:?}");
        assert_eq!(name(pid), "qemu-ga", "{who}: {words:?}");
        sys::kill(pid, libc::SIGTERM).unwrap();
        if in_background {
            eventually("the agent ends when it is told to", || is_gone(daemon.0));
        } else {
            assert_eq!(wait(&mut started.0).code(), Some(0), "{who}: {words:?}");
        }
        std::mem::forget(daemon);
    }
}

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("qga-").tempdir().unwrap()
}

/// An agent in the background: its words but the socket's and the state's.
fn in_background(folder: &Path, state: &str, more: &[&str]) -> Output {
    let state = folder.join(state);
    fs::create_dir_all(&state).unwrap();
    fs::set_permissions(&state, PermissionsExt::from_mode(0o700)).unwrap();
    let mut command = Command::new(binary());
    command.args(["-d", "-m", "unix-listen", "-p"]).arg(state.join("s")).arg("-t").arg(&state);
    command.args(more).stdin(Stdio::null()).output().unwrap()
}

fn pid_in(file: &Path) -> u32 {
    fs::read_to_string(file).unwrap().strip_suffix('\n').expect("a line").parse().unwrap()
}

#[test]
fn the_starter_waits_until_it_serves() {
    let folder = folder();
    let file = folder.path().join("pid");
    let started = in_background(folder.path(), "a", &["-f", file.to_str().unwrap()]);
    // Its output has ended: nothing of it is the agent's any more.
    assert_eq!(
        (started.status.code(), &*started.stdout, &*started.stderr),
        (Some(0), &b""[..], &b""[..])
    );
    let daemon = Daemon(pid_in(&file));
    let socket = folder.path().join("a/s");
    assert!(socket.exists(), "it serves when its starter ends");
    assert_eq!(Connection::new(connect(&socket)).ask(PING), PONG);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let process = PathBuf::from(format!("/proc/{}", daemon.0));
    assert_eq!(fs::read_link(process.join("cwd")).unwrap(), Path::new("/"));
    for number in ["0", "1", "2"] {
        let open = fs::read_link(process.join("fd").join(number)).unwrap();
        assert_eq!(open, Path::new("/dev/null"));
    }
    let status = fs::read_to_string(process.join("status")).unwrap();
    assert!(status.contains("\nUmask:\t0077\n"), "{status}");
    let stat = fs::read_to_string(process.join("stat")).unwrap();
    let session = stat.rsplit(')').next().unwrap().split_whitespace().nth(3).unwrap();
    assert_eq!(session, daemon.0.to_string(), "it leads a session of its own");
    // Whoever has the same file is told, and the file stays the winner's.
    let second = in_background(folder.path(), "b", &["--pidfile", file.to_str().unwrap()]);
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains(file.to_str().unwrap()) && said.contains("another agent"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(pid_in(&file), daemon.0);
    assert_eq!(Connection::new(connect(&socket)).ask(PING), PONG);
    sys::kill(daemon.0, libc::SIGTERM).unwrap();
    eventually("the agent ends", || is_gone(daemon.0));
    assert!(!file.exists(), "the file goes with the agent");
}

#[test]
fn the_starter_says_why_it_does_not_serve() {
    let folder = folder();
    let file = folder.path().join("pid");
    fs::write(&file, "1234567\n").unwrap();
    let none = folder.path().join("none");
    for (more, says) in [
        (vec!["-p", none.join("s").to_str().unwrap()], "cannot open the channel"),
        (vec!["-t", none.to_str().unwrap()], "state directory"),
        (vec!["-l", none.join("log").to_str().unwrap()], "cannot open the log file"),
        (vec!["-f", none.join("pid").to_str().unwrap()], "cannot lock the pid file"),
    ] {
        let more = [&["-f", file.to_str().unwrap()], &more[..]].concat();
        let started = in_background(folder.path(), "a", &more);
        let said = String::from_utf8(started.stderr).unwrap();
        assert_eq!(started.status.code(), Some(1), "{more:?}: {said}");
        assert!(said.contains(says) && said.lines().count() == 1, "{more:?}: {said}");
    }
    assert!(!file.exists(), "an old file is this agent's now");
}

/// Without `-d` nobody asks for the file, as with the reference.
#[test]
fn no_file_in_the_foreground() {
    let folder = folder();
    let file = folder.path().join("pid");
    let mut command = Command::new(binary());
    let words = qga_tests::agent::usual_arguments(folder.path());
    command.args(words).arg("-f").arg(&file).stdin(Stdio::null());
    let _held = Held(command.spawn().unwrap());
    assert_eq!(Connection::new(connect(&folder.path().join("s"))).ask(PING), PONG);
    assert!(!file.exists());
}

/// It waits for a device in the background too: a machine that boots does not wait with it.
#[test]
fn the_starter_does_not_wait_for_a_device() {
    let folder = folder();
    let (file, device) = (folder.path().join("pid"), folder.path().join("port"));
    let more = ["-m", "virtio-serial", "-p", device.to_str().unwrap(), "-r", "-f"];
    let started =
        in_background(folder.path(), "a", &[&more[..], &[file.to_str().unwrap()]].concat());
    assert_eq!(started.status.code(), Some(0), "{}", String::from_utf8_lossy(&started.stderr));
    let daemon = Daemon(pid_in(&file));
    let mut port = port();
    symlink(&port.path, &device).unwrap();
    assert_eq!(ask(&mut port, PING), PONG);
    drop(daemon);
}

#[test]
fn it_answers_to_the_references_name() {
    let folder = folder();
    let link = folder.path().join("qemu-ga");
    symlink(binary(), &link).unwrap();
    let said = |path: &Path, option: &str| {
        let output = Command::new(path).arg(option).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let version = said(&link, "-V");
    let words: Vec<&str> = version.split_whitespace().collect();
    assert_eq!(words[..3], ["QEMU", "Guest", "Agent"], "{version}");
    assert_eq!(words[3].split('.').filter(|part| part.parse::<u8>().is_ok()).count(), 3);
    assert!(said(&link, "-h").starts_with("usage: qemu-ga [options]\n"));
    assert!(said(&binary(), "-h").starts_with("usage: qga [options]\n"));
    assert!(said(&binary(), "-V").starts_with("qga "));
    if let Some(reference) = program("qemu-ga") {
        assert!(said(&reference, "-V").starts_with("QEMU Guest Agent "));
    }
}
