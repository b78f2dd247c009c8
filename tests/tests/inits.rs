//! guest-shutdown beside other process 1s, each in a machine of its own: in each mode the machine
//! ends or an error says why it does not, within 20 s of the request, and never silence.
//!
//! The commonest are in every run; the others take minutes, and run with `QGA_INITS=full`.

use qga_tests::machine::machine;
use qga_tests::skip;
use std::process::Command;
use std::time::{Duration, Instant};
use xtask::vm::{Builder, RunAs, Vm};

/// What a shutdown may take.
const PATIENCE: Duration = Duration::from_secs(20);
const MODES: [&str; 3] = ["powerdown", "halt", "reboot"];
/// A shell script that is process 1 and does nothing.
const SHELL: &str = "sh -c 'touch /run/up; while :; do sleep 1000; done'";

/// How a shutdown ended.
#[derive(PartialEq, Debug)]
enum End {
    /// The machine ended.
    Ended,
    /// This was the reply.
    Reply(String),
}

/// Asks for a shutdown and says how it ended.
fn shut_down(vm: &mut Vm, mode: &str) -> End {
    let mut agent = vm.agent().unwrap();
    let request = format!(r#"{{"execute":"guest-shutdown","arguments":{{"mode":"{mode}"}}}}"#);
    let asked = Instant::now();
    agent.send(format!("{request}\n").as_bytes()).unwrap();
    agent.set_timeout(Duration::from_millis(50));
    loop {
        let halted = vm.console().contains("System halted");
        if halted || vm.qmp().wait_event(&["SHUTDOWN"], Duration::from_millis(50)).is_ok() {
            assert!(!vm.console().contains("Kernel panic"), "{}", vm.console());
            println!("{mode}: ended after {:.1} s", asked.elapsed().as_secs_f32());
            return End::Ended;
        }
        if let Ok(line) = agent.receive_line() {
            return End::Reply(String::from_utf8_lossy(&line).into_owned());
        }
        let error = format!("{mode}: silence");
        assert!(asked.elapsed() < PATIENCE, "{}", vm.explain(error));
    }
}

/// In each mode the machine ends; with `says` on its console, if there is something that init says
/// then. The file /run/up says that init is up.
fn each_mode_ends(test: &str, says: &str, build: impl Fn(Builder) -> Builder) {
    for mode in MODES {
        let Some(builder) = machine(&format!("inits::{test}")).map(Builder::with_shell) else {
            return;
        };
        let mut vm = build(builder).boot().unwrap();
        // An init that is asked while it comes up may not hear it, and is overridden.
        vm.shell("until [ -e /run/up ]; do sleep 0.1; done").unwrap();
        assert_eq!(shut_down(&mut vm, mode), End::Ended, "{}", vm.console());
        assert!(vm.console().contains(says), "{mode}: {}", vm.console());
    }
}

/// As [`each_mode_ends`], in the long run only.
fn each_mode_ends_long(test: &str, says: &str, build: impl Fn(Builder) -> Builder) {
    if std::env::var("QGA_INITS").is_ok_and(|which| which == "full") {
        each_mode_ends(test, says, build);
    } else {
        skip(&format!("inits::{test}"), "it takes minutes: QGA_INITS=full runs it");
    }
}

#[test]
fn a_shell_script() {
    each_mode_ends("a_shell_script", "", |builder| builder.init(SHELL));
}

/// busybox' programs say yes and signal a process 1 that does not care.
#[test]
fn a_shell_script_with_busybox_programs() {
    each_mode_ends("a_shell_script_with_busybox_programs", "", |builder| {
        let links = ["poweroff", "halt", "reboot"].map(|name| format!("/sbin/{name}"));
        links.iter().fold(builder, |builder, path| builder.link(path, "/bin/busybox")).init(SHELL)
    });
}

#[test]
fn a_shell_script_with_traps_for_something_else() {
    let script = "sh -c 'trap : USR1 USR2 TERM INT; touch /run/up; while :; do sleep 1000; done'";
    let test = "a_shell_script_with_traps_for_something_else";
    each_mode_ends(test, "", |builder| builder.init(script));
}

/// What busybox init is told to do at the end takes longer than the agent waits for a sign.
#[test]
fn busybox_init() {
    let inittab = "::once:/bin/touch /run/up\n::shutdown:/bin/sleep 6\n::shutdown:/bin/echo orderly, by init\n";
    each_mode_ends("busybox_init", "orderly, by init", |builder| {
        builder.file("/etc/inittab", inittab.as_bytes(), 0o644).init("/bin/busybox init")
    });
}

/// It passes signals on to its one child, and ends with it: the kernel would panic.
#[test]
fn tini() {
    let init = format!("/usr/bin/tini -- {SHELL}");
    each_mode_ends("tini", "", |builder| builder.package("tini").init(&init));
}

#[test]
fn dumb_init() {
    let init = format!("/usr/bin/dumb-init -- {SHELL}");
    each_mode_ends_long("dumb_init", "", |builder| builder.package("dumb-init").init(&init));
}

#[test]
fn catatonit() {
    let init = format!("/usr/bin/catatonit -- {SHELL}");
    each_mode_ends_long("catatonit", "", |builder| builder.package("catatonit").init(&init));
}

#[test]
fn s6() {
    each_mode_ends_long("s6", "", |builder| {
        let builder = builder.package("s6").script("mkdir -p /run/services/up");
        let service = "printf '#!/bin/sh\ntouch /run/up; exec sleep 1000\n' >/run/services/up/run";
        let builder = builder.script(&format!("{service}; chmod +x /run/services/up/run"));
        builder.init("/usr/bin/s6-svscan /run/services")
    });
}

#[test]
fn sysvinit() {
    let inittab = "id:2:initdefault:\nup:2:once:/bin/touch /run/up\nl0:0:wait:/etc/rc 0\nl6:6:wait:/etc/rc 6\n";
    let rc = "#!/bin/sh\nsleep 6\necho orderly, by init >/dev/console\ncase $1$INIT_HALT in\n\
        6*) busybox reboot -f;; 0HALT) busybox halt -f;; *) busybox poweroff -f;; esac\n";
    each_mode_ends_long("sysvinit", "orderly, by init", |builder| {
        let builder = builder.package("sysvinit-core").init("/sbin/init");
        builder.file("/etc/inittab", inittab.as_bytes(), 0o644).file(
            "/etc/rc",
            rc.as_bytes(),
            0o755,
        )
    });
}

#[test]
fn runit() {
    let stages = [
        ("1", "exit 0"),
        ("2", "touch /run/up; while :; do sleep 1000; done"),
        ("3", "echo orderly, by init >/dev/console"),
    ];
    each_mode_ends_long("runit", "", |builder| {
        let builder = builder.package("runit").package("runit-init").init("/sbin/init");
        stages.iter().fold(builder, |builder, (stage, does)| {
            let script = format!("#!/bin/sh\n{does}\n");
            builder.file(&format!("/etc/runit/{stage}"), script.as_bytes(), 0o755)
        })
    });
}

#[test]
fn finit() {
    each_mode_ends_long("finit", "", |builder| {
        let builder = builder.package("finit").package("finit-sysv").init("/sbin/init");
        builder.file("/etc/finit.conf", b"runlevel 2\ntask [2] /bin/touch /run/up\n", 0o644)
    });
}

#[test]
fn openrc_init() {
    each_mode_ends_long("openrc_init", "", |builder| {
        let up = b"#!/sbin/openrc-run\nstart() {\n    touch /run/up\n}\n";
        let builder = builder.package("openrc").file("/etc/init.d/up", up, 0o755);
        builder.link("/etc/runlevels/default/up", "/etc/init.d/up").init("/sbin/openrc-init")
    });
}

/// A systemd with a service that takes longer to stop than the agent waits for a sign.
fn systemd(builder: Builder) -> Builder {
    let target = "[Unit]\nRequires=slow.service\n";
    let slow = "[Unit]\nDefaultDependencies=no\nConflicts=shutdown.target\nBefore=shutdown.target\n\
        [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/touch /run/up\n\
        ExecStop=/bin/sh -c 'sleep 6; echo orderly, by init >/dev/console'\n";
    builder
        .package("systemd")
        .memory_mib(768)
        .file("/etc/systemd/system/default.target", target.as_bytes(), 0o644)
        .file("/etc/systemd/system/slow.service", slow.as_bytes(), 0o644)
        .init("/lib/systemd/systemd")
}

#[test]
fn systemd_by_signal() {
    each_mode_ends_long("systemd_by_signal", "orderly, by init", systemd);
}

#[test]
fn systemd_by_its_programs() {
    each_mode_ends_long("systemd_by_its_programs", "orderly, by init", |builder| {
        systemd(builder).package("systemd-sysv")
    });
}

/// An agent in a container of the guest: with processes of its own it touches nothing of the
/// machine's, and says why.
#[test]
fn a_container_with_processes_of_its_own() {
    let Some(builder) =
        machine("inits::a_container_with_processes_of_its_own").map(Builder::with_shell)
    else {
        return;
    };
    let script = "mount --make-rshared /\n(unshare -m -p -f /bin/qga) &";
    let mut vm = builder.run_as(RunAs::Absent).script(script).boot().unwrap();
    for mode in MODES {
        let End::Reply(text) = shut_down(&mut vm, mode) else { panic!("the machine ended") };
        assert!(text.contains("the agent is in a container"), "{text}");
    }
    vm.shell("echo x >/data/f && sync && grep -q ' /data ext4 rw' /proc/mounts").unwrap();
}

/// With the machine's processes it ends the machine, whose disks are then left as its own mounts
/// show them.
#[test]
fn a_container_with_the_machines_processes() {
    let Some(builder) =
        machine("inits::a_container_with_the_machines_processes").map(Builder::with_shell)
    else {
        return;
    };
    let script = "mount --make-rshared /\n(unshare -m /bin/qga) &";
    let mut vm = builder.run_as(RunAs::Absent).script(script).boot().unwrap();
    assert_eq!(shut_down(&mut vm, "powerdown"), End::Ended);
}

/// Processes get SIGTERM and time to end; stubborn ones do not keep the guest up; disks are left
/// clean.
#[test]
fn process_1_ends_processes_and_disks() {
    let Some(builder) =
        machine("inits::process_1_ends_processes_and_disks").map(Builder::with_shell)
    else {
        return;
    };
    let wait = "while :; do sleep 0.05; done";
    let script = format!(
        "(trap 'echo bye >/data/bye; exit' TERM; {wait}) &\n(trap '' TERM; exec 9>/data/busy; {wait}) &"
    );
    let mut vm = builder.script(&script).boot().unwrap();
    vm.shell("until [ -e /data/busy ]; do sleep 0.1; done").unwrap();
    assert_eq!(shut_down(&mut vm, "powerdown"), End::Ended);
    let disk = vm.directory().join("disk.img");
    let debugfs = |request: &str| {
        let program = xtask::install::find_command("debugfs").expect("debugfs (e2fsprogs)");
        let output = Command::new(program).args(["-R", request]).arg(&disk).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(debugfs("cat bye"), "bye\n");
    let state = debugfs("show_super_stats -h");
    let clean = state.lines().any(|line| line.replace(' ', "") == "Filesystemstate:clean");
    assert!(clean && !state.contains("needs_recovery"), "{state}");
}
