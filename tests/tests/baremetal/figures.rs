//! What is promised in numbers: the image's size, its boot time beside an empty guest's, and
//! what it costs the hypervisor to do nothing.

use super::{PATIENCE, PING, PONG, agent, boot, can_boot, port};
use std::time::{Duration, Instant};
use xtask::bench::process::cpu_ns;
use xtask::vm::Vm;
use xtask::vm::baremetal::{Bare, Line, Machine, empty_guest, image};

const IMAGE_BYTES_MAX: u64 = 64 * 1024;
/// How much longer than an empty guest the agent may take to its first reply.
const BOOT_MS_MAX: u128 = 150;
const BOOTS: usize = 7;
const IDLE: Duration = Duration::from_secs(10);
/// 1 % of a core.
const IDLE_SHARE_MAX: u128 = 100;

#[test]
fn the_image_is_small() {
    let bytes = std::fs::metadata(image().unwrap()).unwrap().len();
    println!("the image has {bytes} bytes");
    assert!(bytes <= IMAGE_BYTES_MAX, "{bytes} bytes, at most {IMAGE_BYTES_MAX} are promised");
}

#[test]
fn an_idle_guest_costs_nothing() {
    for (machine, line) in [
        (Machine::Q35, Line::Virtio),
        (Machine::Microvm, Line::Virtio),
        (Machine::Q35, Line::Second),
        (Machine::Microvm, Line::First),
        (Machine::Virt, Line::Virtio),
    ] {
        if !can_boot("an_idle_guest_costs_nothing", machine) {
            continue;
        }
        let vm = boot(machine, line);
        let mut agent = agent(&vm);
        assert_eq!(agent.request(PING).unwrap(), PONG);
        let connected = idle_ns(&vm);
        drop(agent);
        let alone = idle_ns(&vm);
        println!(
            "{machine:?} {line:?}: {:.2} ms of CPU in 10 s, {:.2} ms without a client",
            connected as f64 / 1e6,
            alone as f64 / 1e6
        );
        for cost in [connected, alone] {
            assert!(u128::from(cost) * IDLE_SHARE_MAX < IDLE.as_nanos(), "{cost} ns in {IDLE:?}");
        }
    }
}

/// CPU time of QEMU while the guest does nothing.
fn idle_ns(vm: &Vm) -> u64 {
    std::thread::sleep(Duration::from_millis(500));
    let before = cpu_ns(vm.pid()).unwrap();
    // It has booted, so a kernel that counts has counted something.
    assert!(before > 0, "the kernel does not count the time of processes");
    std::thread::sleep(IDLE);
    cpu_ns(vm.pid()).unwrap() - before
}

#[test]
fn the_first_reply_comes_soon() {
    if !can_boot("the_first_reply_comes_soon", Machine::Microvm) {
        return;
    }
    let file = std::env::temp_dir().join(format!("qga-empty-{}", std::process::id()));
    std::fs::write(&file, empty_guest()).unwrap();
    image().unwrap();
    let mut fastest = [Duration::MAX; 3];
    // In turns, so that all have the same machine below them; the fastest of each counts.
    for _ in 0..BOOTS {
        let times = [
            until_byte(&Bare::new(Machine::Microvm, Line::Second).image(&file)),
            until_reply(Line::Virtio),
            until_reply(Line::First),
        ];
        for (best, time) in fastest.iter_mut().zip(times) {
            *best = time.min(*best);
        }
    }
    let _ = std::fs::remove_file(&file);
    let [empty, virtio, serial] = fastest.map(|time| time.as_millis());
    println!(
        "microvm: an empty guest {empty} ms, the first reply by virtio {virtio} ms, by the serial \
         line {serial} ms"
    );
    for ours in [virtio, serial] {
        assert!(ours < empty + BOOT_MS_MAX, "{ours} ms, an empty guest {empty} ms");
    }
}

/// From QEMU's start to the byte that an empty guest writes to the console.
fn until_byte(guest: &Bare) -> Duration {
    let vm = guest.boot().unwrap();
    let console = vm.directory().join("console.log");
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if std::fs::read(&console).is_ok_and(|bytes| bytes == b"!") {
            return vm.started().elapsed();
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    panic!("{}", vm.explain("the empty guest does not boot".to_owned()));
}

/// From QEMU's start to the agent's first reply.
fn until_reply(line: Line) -> Duration {
    let vm = boot(Machine::Microvm, line);
    let mut channel = port(&vm);
    // What comes before a serial line is ready is lost, so ask until there is an answer.
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        channel.send(format!("{PING}\n").as_bytes()).unwrap();
        let answer = channel.receive_some(Duration::from_millis(5));
        if !answer.is_empty() {
            return vm.started().elapsed();
        }
    }
    panic!("{}", vm.explain("no reply".to_owned()));
}
