//! A hostile local user in a real guest, with root's agent started and ended all the while: links,
//! FIFOs, folders, forged marks and locks wherever the agent looks, with the kernel's protection of
//! sticky directories off and on. Nothing is written where they lead, no start is held up, and what
//! somebody else froze stays frozen.
//!
//! 300 tries for each setting in an ordinary run, 10,000 with QGA_FIRE=full.

use qga_tests::machine::machine;
use qga_tests::skip;
use std::time::{Duration, Instant};
use xtask::vm::{RunAs, Vm};

/// How long a try may take under emulation, for the deadline of all of them.
const TRY: Duration = Duration::from_millis(200);

/// The user's work, tries $1 to $2: something is planted at one of the names, and the one before is
/// taken away.
const HOSTILE: &str = r#"#!/bin/busybox sh
umask 0
i=$1
while [ $i -lt $2 ]; do
    case $((i % 7)) in
        0) dir=/run ;; 1) dir=/run/qga ;; 2) dir=/tmp ;; 3) dir=/dev/shm ;; 4) dir=/dev/.qga ;;
        5) dir=/tmp/st ;; 6) dir=/run/qga.d ;;
    esac
    case $((i / 7 % 11)) in
        0) name=/qga.state ;; 1) name=/qga.state.new ;; 2) name=/qga.state.isfrozen ;;
        3) name=/.qga.state.isfrozen ;; 4) name=/qga.lock ;; 5) name=/s ;; 6 | 7 | 8) name= ;;
        9) name=/qga.state.isfrozen.new ;; 10) name=/log ;;
    esac
    p=$dir$name
    case $((i / 3 % 9)) in
        0) ln -s /canary/file $p ;;
        1) ln -s /canary/new $p ;;
        2) ln -s /canary $p ;;
        3) mkfifo $p ;;
        4) mkdir $p ;;
        5) [ -p $p ] || cat /tmp/forged >$p ;; # its other end might never be opened
        6) ln /canary/file $p ;;
        7) ln /canary/mark $p ;;
        8) mkdir $p && ln -s /canary/file $p/qga.state.new && ln -s /canary/new $p/qga.lock ;;
    esac 2>/dev/null
    [ $((i % 5)) = 0 ] && rm -rf "$last" 2>/dev/null
    last=$p
    i=$((i + 1))
done
"#;

/// Root's work until it is told to stop: an agent is started, and killed or asked to end when its
/// socket is there. How long the slowest start took, in hundredths of a second, and how each ended,
/// is put down.
const AGENTS: &str = r#"#!/bin/busybox sh
most=0 starts=0 refused=0
now() { read up rest </proc/uptime; now=${up%.*}${up#*.}; }
while [ ! -e /root/stop ]; do
    case $((starts % 5)) in
        4) set -- -t /tmp/st ;; 3) set -- -t /run/qga.d/ ;; *) set -- ;;
    esac
    rm -f /root/s
    now; begun=$now
    /bin/qga -m unix-listen -p /root/s "$@" 2>>/root/said &
    p=$!
    until [ -S /root/s ] || [ ! -e /proc/$p/exe ]; do :; done
    now
    [ $((now - begun)) -gt $most ] && most=$((now - begun))
    if [ -S /root/s ]; then
        [ $((starts % 2)) = 0 ] && kill -9 $p || kill $p
    fi
    wait $p 2>/dev/null
    case $? in 1) refused=$((refused + 1)) ;; 0 | 137 | 143) ;; *) echo "ended with $?" >>/root/wrong ;; esac
    starts=$((starts + 1))
    echo "$starts $refused $most" >/root/figures.new
    mv /root/figures.new /root/figures
    usleep 50000
done
"#;

/// Everything that the user could reach through what was planted, and what is in it.
const LOOK: &str = "find /canary /etc /root/kept | sort; find /canary /etc /root/kept -type f | sort | xargs md5sum; \
     stat -c '%n %a %u %g %s' /canary /canary/* /etc /etc/*";

fn shell(vm: &mut Vm, command: &str) -> String {
    vm.shell(command).unwrap_or_else(|error| panic!("{command}: {error}"))
}

/// Whether a writer on /data waits.
fn is_frozen(vm: &mut Vm) -> bool {
    let probe = "rm -f /root/probed; (echo x >/data/probe; : >/root/probed) & \
        n=0; until [ -e /root/probed ] || [ $n = 10 ]; do usleep 100000; n=$((n+1)); done; \
        [ -e /root/probed ]; echo $?";
    shell(vm, probe).trim() != "0"
}

#[test]
fn nothing_is_written_nothing_waits_nothing_thaws() {
    let name = "vm_hostile::nothing_is_written_nothing_waits_nothing_thaws";
    let Some(builder) = machine(name) else { return };
    let all = std::env::var("QGA_FIRE").is_ok_and(|value| value == "full");
    let tries = if all { 10_000 } else { 300 };
    if !all {
        skip(&format!("{name}, all 10000"), "300 were made; QGA_FIRE=full makes all");
    }
    let users = b"root:x:0:0:root:/:/bin/sh\nhostile:x:1000:1000:hostile:/tmp:/bin/sh\n";
    let builder = builder.run_as(RunAs::Absent).with_shell();
    let builder = builder.file("/etc/passwd", users, 0o644);
    let builder = builder.file("/bin/hostile", HOSTILE.as_bytes(), 0o755);
    let mut vm = builder.file("/bin/agents", AGENTS.as_bytes(), 0o755).boot().unwrap();
    // A sticky /run, as this guest's init mounts it, is what a user can do most in.
    shell(
        &mut vm,
        "chmod 1777 /run /tmp; mkdir -m 1777 /dev/shm; mkdir -m 700 /root /root/kept; mkdir /canary; \
         echo kept >/canary/file; : >/canary/mark; n=$(grep ' /data ' /proc/self/mountinfo | cut -d' ' -f3); \
         printf 'qga-frozen 2 %s t\\nF %s /data\\0' $(cat /proc/sys/kernel/random/boot_id) $n >/tmp/forged; \
         chmod 644 /tmp/forged; cp /tmp/forged /canary/mark; fsfreeze --freeze /data",
    );
    assert!(is_frozen(&mut vm), "fsfreeze did nothing");
    let before = shell(&mut vm, LOOK);
    for protected in [0, 1] {
        shell(
            &mut vm,
            &format!(
                "for of in symlinks hardlinks fifos regular; do echo {protected} \
                 >/proc/sys/fs/protected_$of; done; rm -f /root/stop /root/figures; \
                 rm -rf /run/qga /dev/.qga; (/bin/agents >/dev/null 2>&1 &); \
                 (su hostile -c '/bin/hostile 0 {tries}' >/dev/null 2>&1; : >/root/done) >/dev/null 2>&1 &"
            ),
        );
        let deadline = Instant::now() + Duration::from_secs(60) + TRY * tries;
        while shell(&mut vm, "[ -e /root/done ]; echo $?").trim() != "0" {
            assert!(Instant::now() < deadline, "the user's tries do not end");
            std::thread::sleep(Duration::from_millis(500));
        }
        let end = ": >/root/stop; sleep 1; rm /root/done; cat /root/figures; cat /root/wrong 2>/dev/null; :";
        let figures = shell(&mut vm, end);
        let what = format!("protected: {protected}, {tries} tries: {figures}");
        let numbers: Vec<u64> =
            figures.split_whitespace().map(|word| word.parse().expect(&what)).collect();
        let [starts, refused, slowest] = numbers[..] else { panic!("{what}") };
        println!("{what}");
        assert!(starts > u64::from(tries) / 100 && starts > refused, "{what}");
        assert!(slowest <= 100, "a start was held up for {slowest} hundredths of a second: {what}");
        assert_eq!(shell(&mut vm, LOOK), before, "{what}");
        assert!(is_frozen(&mut vm), "what others froze was thawed: {what}");
    }
    shell(&mut vm, "fsfreeze --unfreeze /data");
}
