//! The agent as a process: its memory is for nobody else, what was secret in it is gone after the
//! reply, and it is not the one that the kernel kills when memory is short.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use qga_tests::agent::{Agent, Options, connect};
use qga_tests::connection::Connection;
use qga_tests::disk::Disk;
use qga_tests::guest::{FROZEN, Guest, freeze, returns, status, thaw};
use qga_tests::jail::{self, Jail, Spec, Start};
use qga_tests::{binary, is_root, program, skip};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PING: &str = "{\"execute\":\"guest-ping\"}\n";
const PONG: &str = r#"{"return": {}}"#;

/// How often `what` stands in memory that the process can write to, its stack among it.
fn found(pid: u32, what: &[u8]) -> usize {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut count = 0;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let mut bytes = vec![0; (number(end) - number(start)) as usize];
        memory.seek(SeekFrom::Start(number(start))).unwrap();
        memory.read_exact(&mut bytes).unwrap();
        count += bytes.windows(what.len()).filter(|window| *window == what).count();
    }
    count
}

/// Waits until it stands nowhere: the last byte of a reply is there before the agent goes on.
fn is_gone(pid: u32, what: &[u8], when: &str) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while found(pid, what) > 0 {
        let left = found(pid, what);
        assert!(
            Instant::now() < deadline,
            "{} is in memory {left} times {when}",
            what.escape_ascii()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn command(name: &str, arguments: &str) -> String {
    format!("{{\"execute\":\"guest-{name}\",\"arguments\":{{{arguments}}}}}\n")
}

#[test]
fn secrets_do_not_stay_in_memory() {
    if !is_root() {
        return skip(
            "process::secrets_do_not_stay_in_memory",
            "needs root, to look into the agent",
        );
    }
    let agent = Agent::plain();
    let mut client = agent.connect();
    // What is no secret may stay: so this way of looking finds what is there.
    client.ask("{\"execute\":\"guest-ping\",\"id\":\"not-so-secret-47\"}\n");
    assert!(found(agent.pid(), b"not-so-secret-47") > 0);

    for len in [48, 3000, 30_000, 1_200_000] {
        let path = agent.folder.join(format!("f{len}"));
        let open =
            |mode| command("file-open", &format!(r#""path":"{}","mode":"{mode}""#, path.display()));
        let handle = |reply: String| reply.chars().filter(char::is_ascii_digit).collect::<String>();
        let secret = "a secret of 48 bytes, many times over: 0123456789".repeat(len / 48);
        let text = STANDARD.encode(&secret);
        // A piece of it from the middle, at each of base64's alignments.
        let bits = [
            &secret.as_bytes()[..20],
            &text.as_bytes()[8..28],
            &text.as_bytes()[text.len() - 28..][..16],
        ];
        let h = handle(client.ask(open("w")));
        let write = command("file-write", &format!(r#""handle":{h},"buf-b64":"{text}""#));
        assert!(client.ask(&write).contains("count"));
        for bit in bits {
            is_gone(agent.pid(), bit, "after guest-file-write");
        }
        let h = handle(client.ask(open("r")));
        let read = command("file-read", &format!(r#""handle":{h},"count":{}"#, secret.len()));
        assert!(client.ask(&read).contains(&text));
        for bit in bits {
            is_gone(agent.pid(), bit, "after guest-file-read");
        }
        // An error is a reply too. What cannot be understood goes with the next request that can.
        let wrong = write.replace("\"handle\":", "\"handle\":9");
        assert!(client.ask(wrong).contains("error"));
        is_gone(agent.pid(), bits[1], "after an error");
        assert!(client.ask(write.replace("}}\n", ",}}\n")).contains("error"));
        assert_eq!(client.ask(PING), PONG);
        is_gone(agent.pid(), bits[1], "after a malformed request");
        // Pipelined, they go when nothing of them waits any more.
        let answers = [write.as_str(), PING, &write, PING].concat();
        client.send(&answers);
        let replies: Vec<String> = (0..4).map(|_| client.text()).collect();
        assert_eq!((replies[1].as_str(), replies[3].as_str()), (PONG, PONG), "{replies:?}");
        is_gone(agent.pid(), bits[1], "after a pipeline");
        // A client that hangs up in the middle.
        client.send(&write[..write.len() - 10]);
        drop(client);
        client = agent.connect();
        assert_eq!(client.ask(PING), PONG);
        is_gone(agent.pid(), bits[1], "after a client that hung up");
    }
}

/// What a copy of the agent was given, or a program, is gone from the agent with the reply.
#[test]
fn passwords_and_what_programs_read_do_not_stay_in_memory() {
    let name = "process::passwords_and_what_programs_read_do_not_stay_in_memory";
    if !is_root() {
        return skip(name, "needs root, to look into the agent");
    }
    let agent = Agent::plain();
    let mut client = agent.connect();
    let secret = "a password of this test, and of nobody";
    let text = STANDARD.encode(secret);
    let bits = [&secret.as_bytes()[..24], &text.as_bytes()[4..28]];
    // Of nobody: whoever sets it finds no such user.
    let arguments = format!("\"username\":\"no-user-47\",\"password\":\"{text}\",\"crypted\":true");
    let said = client.ask(command("set-user-password", &arguments));
    assert!(said.contains("error"), "{said}");
    for bit in bits {
        is_gone(agent.pid(), bit, "after guest-set-user-password");
    }
    let arguments = format!("\"path\":\"cat\",\"input-data\":\"{text}\",\"capture-output\":true");
    let started = client.ask(command("exec", &arguments));
    let pid: String = started.chars().filter(char::is_ascii_digit).collect();
    for bit in bits {
        is_gone(agent.pid(), bit, "after guest-exec");
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let said = client.ask(command("exec-status", &format!("\"pid\":{pid}")));
        if said.contains("\"exited\": true") {
            assert!(said.contains(&text), "{said}");
            break;
        }
        assert!(Instant::now() < deadline, "cat does not end: {said}");
    }
    assert_eq!(client.ask(PING), PONG);
    for bit in bits {
        is_gone(agent.pid(), bit, "after guest-exec-status");
    }
}

/// Programs that end as `shell` says before the agent takes their place.
fn behind_a_shell(shell: &str) -> Vec<String> {
    ["sh", "-c", &format!("{shell}; exec \"$0\" \"$@\"")].map(String::from).to_vec()
}

#[test]
fn no_memory_goes_to_a_file_or_a_debugger() {
    let wrapper = behind_a_shell("ulimit -S -c \"$(ulimit -H -c)\"");
    let agent = Agent::start(Options { wrapper, ..Options::default() });
    let limits = fs::read_to_string(format!("/proc/{}/limits", agent.pid())).unwrap();
    let limit = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(limit.split_whitespace().nth(4), Some("0"), "{limit}");
    drop(agent);
    let name = "process::no_memory_goes_to_a_file_or_a_debugger";
    let Some(setpriv) = program("setpriv").filter(|_| is_root()) else {
        return skip(name, "needs root and setpriv, to start the agent as nobody");
    };
    // The files of a process that may not be looked into are root's, whoever it is.
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(65534), Some(65534)).unwrap();
    let socket = folder.path().join("s");
    let mut nobody = std::process::Command::new("sh");
    nobody.args(["-c", "exec 9<\"$0\"; exec \"$@\""]).arg(binary()).arg(setpriv);
    nobody.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "/proc/self/fd/9"]);
    nobody
        .args(qga_tests::agent::usual_arguments(folder.path()))
        .stderr(std::process::Stdio::piped());
    let mut held = qga_tests::agent::Held(nobody.spawn().unwrap());
    let mut client = Connection::new(connect(&socket));
    assert_eq!(client.ask(PING), PONG);
    let process = PathBuf::from(format!("/proc/{}", held.0.id()));
    let uid = fs::read_to_string(process.join("status")).unwrap();
    assert!(uid.contains("\nUid:\t65534\t65534"), "{uid}");
    assert_eq!(fs::metadata(process.join("maps")).unwrap().uid(), 0, "others may look into it");
    // Without the right to be spared it is like any other process, and says nothing about it.
    assert_eq!(fs::read_to_string(process.join("oom_score_adj")).unwrap(), own_badness());
    held.0.kill().unwrap();
    let said = std::io::read_to_string(held.0.stderr.take().unwrap()).unwrap();
    assert_eq!(said, "");
}

fn own_badness() -> String {
    fs::read_to_string("/proc/self/oom_score_adj").unwrap()
}

/// Whether the tests, and what they start, may lower that number (capabilities(7):
/// CAP_SYS_RESOURCE).
fn may_be_spared() -> bool {
    const CAP_SYS_RESOURCE: u32 = 24;
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap();
    u64::from_str_radix(set, 16).unwrap() & 1 << CAP_SYS_RESOURCE != 0
}

#[test]
fn the_kernel_spares_the_agent_and_not_its_programs() {
    let name = "process::the_kernel_spares_the_agent_and_not_its_programs";
    if let Some(reason) = jail::unavailable() {
        return skip(name, reason);
    }
    if !may_be_spared() {
        return skip(name, "needs CAP_SYS_RESOURCE, which root lacks here; vm.rs does it too");
    }
    let script = |body: &str| body.to_owned();
    let scripts = BTreeMap::from([
        (script("/sbin/poweroff"), script("cat /proc/self/oom_score_adj; exit 7")),
        (script("/sbin/shutdown"), script("exit 1")),
    ]);
    let jail = Jail::start(Spec { scripts, ..Spec::default() });
    for former in ["123", "0", "-5", "1000"] {
        let shell = format!("echo {former} >/proc/self/oom_score_adj; exec \"$0\" \"$@\"");
        let before = ["/bin/busybox", "sh", "-c", &shell];
        let agent = jail.agent(Start { before: &before, without_reboot: true, ..Start::default() });
        let badness = || fs::read_to_string(format!("/proc/{}/oom_score_adj", agent.pid)).unwrap();
        let mut client = agent.connect();
        assert_eq!(client.ask(PING), PONG);
        assert_eq!(badness(), "-1000\n");
        let reply = client.ask(command("shutdown", ""));
        assert!(reply.contains(&format!("exit status 7, it said: {former};")), "{reply}");
        assert_eq!(badness(), "-1000\n");
        drop(client);
        agent.kill();
    }
}

/// A control group with so much memory; nothing where there can be none.
struct Group(PathBuf);

impl Group {
    fn with_memory(bytes: u64) -> Option<Self> {
        let places =
            [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        places.into_iter().find_map(|(place, limit)| {
            let group = Path::new(place).join(format!("qga-test-{}", std::process::id()));
            fs::create_dir(&group).ok()?;
            let group = Group(group);
            let file = group.0.join(limit);
            let set = file.exists() && fs::write(file, bytes.to_string()).is_ok();
            set.then_some(group)
        })
    }

    fn add(&self, pid: u32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).unwrap();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while fs::remove_dir(&self.0).is_err() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A request of 4 MiB while the guest's disks stand still, where there is 1 MiB of memory: the
/// agent must live to thaw them.
#[test]
fn frozen_and_short_of_memory_it_lives() {
    let name = "process::frozen_and_short_of_memory_it_lives";
    if Disk::impossible(name) {
        return;
    }
    let Some(group) = Group::with_memory(1 << 20) else {
        return skip(name, "needs a control group for memory");
    };
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    assert_eq!(freeze(&mut client), returns(1));
    let text = "A".repeat((4 << 20) - 256);
    let large = command("file-write", &format!(r#""handle":1,"buf-b64":"{text}""#));
    group.add(agent.pid);
    let reply = client.ask(large);
    assert!(reply.starts_with(r#"{"error""#), "{reply}");
    assert_eq!(status(&mut client), FROZEN);
    assert_eq!(guest.frozen(), [true]);
    assert_eq!(thaw(&mut client), returns(1));
    assert_eq!(guest.frozen(), [false]);
}

/// Process 1 of a guest without a console has no standard descriptors, and may log for years.
#[test]
fn a_log_that_nobody_reads_takes_no_memory() {
    let shell = ["sh", "-c", "exec \"$@\" <&- >&- 2>&-", "sh"].map(String::from).to_vec();
    let arguments = vec!["-v".to_owned()];
    let agent = Agent::start(Options { wrapper: shell, arguments, ..Options::default() });
    let mut client = agent.connect();
    for _ in 0..100 {
        assert_eq!(client.ask(PING), PONG);
    }
    for number in 0..3 {
        let standard = format!("/proc/{}/fd/{number}", agent.pid());
        let what = fs::read_link(&standard).expect("it is open");
        assert_eq!(what, Path::new("/"), "descriptor {number}");
    }
}
