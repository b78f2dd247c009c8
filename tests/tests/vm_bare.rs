//! Process 1 in a machine that lacks what every machine has: it never ends, which would be a kernel
//! panic, says once on the console what it waits for, and goes on as soon as that is there.

use qga_tests::machine::machine;
use std::time::{Duration, Instant};
use xtask::vm::{Channel, RunAs, Vm};

const PING: &str = r#"{"execute":"guest-ping"}"#;
const PONG: &str = r#"{"return": {}}"#;
const PATIENCE: Duration = Duration::from_secs(120);
/// So long a machine is watched: the agent looks again each second.
const WATCHED: Duration = Duration::from_secs(4);
const NO_CHANNEL: &str = "qga: cannot open the channel ";

/// Sees that process 1 has said something once, and that the machine lives.
fn waits(vm: &mut Vm, said: &str) {
    vm.wait_console(said, PATIENCE).unwrap();
    std::thread::sleep(WATCHED);
    let console = vm.console();
    assert_eq!(console.matches(said).count(), 1, "{console}");
    assert!(!console.contains("Kernel panic"), "{console}");
    assert!(vm.qmp().wait_event(&["SHUTDOWN", "RESET"], Duration::from_millis(100)).is_err());
}

/// The kernel's arguments, with some for process 1.
fn arguments(words: &str) -> [String; 2] {
    let kernel = "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable no_timer_check";
    ["-append".to_owned(), format!("{kernel} -- {words}")]
}

fn alone(name: &str, words: &str) -> Option<Vm> {
    let append = arguments(words);
    let append = append.each_ref().map(String::as_str);
    Some(machine(name)?.run_as(RunAs::Alone).qemu_arguments(&append).boot().unwrap())
}

#[test]
fn nothing_but_the_agent() {
    let Some(mut vm) = alone("vm_bare::nothing_but_the_agent", "") else { return };
    waits(&mut vm, NO_CHANNEL);
    let console = vm.console();
    assert!(console.contains("are /dev and /sys mounted?"), "{console}");
}

#[test]
fn nothing_but_the_agent_and_wrong_options() {
    let name = "vm_bare::nothing_but_the_agent_and_wrong_options";
    for (words, said) in [
        ("--nonsense", "see qga --help"),
        ("-l /var/log/qga", "qga: cannot open the log file /var/log/qga: No such file"),
        ("-t /var/lib/qga", "qga: state directory /var/lib/qga: No such file"),
        ("-m isa-serial -p /dev/ttyS1", NO_CHANNEL),
        ("-m unix-listen -p /nowhere/s", NO_CHANNEL),
    ] {
        let Some(mut vm) = alone(name, words) else { return };
        waits(&mut vm, said);
    }
}

/// What is not there, a command that takes it away from process 1 before that begins and one that
/// brings it back, and whether the channel is not to be had without.
const MISSING: [(&str, &str, &str, bool); 4] = [
    ("/proc", "umount -l /proc", "mount -t proc proc /proc", false),
    ("/sys", "umount -l /sys", "mount -t sysfs sysfs /sys", true),
    ("/dev", "umount -l /dev", "mount -t devtmpfs devtmpfs /dev", true),
    (
        "all, and a root to write to",
        "umount -l /proc; umount -l /sys; umount -l /dev; umount -l /run; mount -o remount,ro /",
        "mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs devtmpfs /dev; \
         mount -t tmpfs tmpfs /run",
        true,
    ),
];

/// Asks until the guest has what is needed.
fn ask(agent: &mut Channel, command: &str, wanted: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reply = agent.request(command).unwrap();
        if reply == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{command}: {reply}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn what_is_missing_comes_later() {
    for (what, take_away, bring_back, is_needed) in MISSING {
        let Some(builder) = machine("vm_bare::what_is_missing_comes_later") else { return };
        let script = format!("(sleep 10; {bring_back}) &\n{take_away}");
        let mut vm = builder.script(&script).boot().unwrap();
        if is_needed {
            waits(&mut vm, NO_CHANNEL);
        }
        let mut agent = vm.agent().unwrap();
        assert_eq!(agent.request(PING).unwrap(), PONG, "{what}");
        let open = r#"{"execute":"guest-file-open","arguments":{"path":"/proc/version"}}"#;
        ask(&mut agent, open, r#"{"return": 1000}"#);
        ask(&mut agent, r#"{"execute":"guest-fsfreeze-freeze"}"#, r#"{"return": 1}"#);
        ask(&mut agent, r#"{"execute":"guest-fsfreeze-thaw"}"#, r#"{"return": 1}"#);
        let console = vm.console();
        assert!(console.matches("qga: ").count() <= 2, "{what}: {console}");
        assert!(!console.contains("Kernel panic"), "{what}: {console}");
    }
}
