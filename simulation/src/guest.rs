//! The guest of a session: its shape and a seed come in; a few files of every difficult kind, four
//! mounts or more, programs and an init go out. Invariant: the same shape and seed are the same
//! guest.

use qga_core::Errno;
use qga_core::platform::{Device, Exit};
use qga_sim::exec::{Executable, Print};
use qga_sim::files::{Content, Permit};
use qga_sim::init::{Init, Sign};
use qga_sim::mounts::Lies;
use qga_sim::power::{Place, Process, Program};
use qga_sim::{Sim, World};

/// The files that clients open.
pub const PATHS: [&str; 10] = [
    "/d/small",
    "/d/large",
    "/d/new",
    "/d/fifo",
    "/d/read-only",
    "/d/denied/x",
    "/dev/full",
    "/d",
    "/mnt/a/f",
    "/d/missing/x",
];
/// The modes that they open them with.
pub const MODES: [&str; 9] = ["r", "w", "a", "r+", "w+", "a+", "rb", "w+b", "x"];
/// Where filesystems are mounted from the beginning, in order, on devices of the same order.
pub const POINTS: [&str; 3] = ["/mnt/a", "/mnt/b", "/mnt/c"];
/// Where more can be mounted.
pub const MORE_POINTS: [&str; 5] = ["/mnt/a", "/mnt/b", "/mnt/bind", "/mnt/e", "/mnt/b/inner"];

/// Where the subvolumes of a btrfs are mounted, in guests that have one.
pub const SUBVOLUMES: [&str; 2] = ["/mnt/one", "/mnt/two"];

/// How often the program prints that never ends, and how many times it does.
pub const TICK_MS: u64 = 300;
const TICKS: u8 = 30;

const LARGE_BYTES: u32 = 9000;

/// The guest of this shape.
pub fn guest(shape: u8, seed: u64) -> Sim {
    let sim = Sim::new(seed);
    let program = Executable::printing("/usr/bin/p", b"printed");
    let program = Executable { exit: Exit::Status(7), ..program };
    sim.with(|world| world.exec.programs.push(program));
    let tick = |at: u8| Print { after_ms: u64::from(at) * TICK_MS, error: false, bytes: vec![at] };
    let ticks = Executable {
        prints: (0..TICKS).map(tick).collect(),
        runs_ms: None,
        ..Executable::printing("/usr/bin/ticks", b"")
    };
    sim.with(|world| world.exec.programs.push(ticks));
    sim.with(|world| {
        for folder in ["/d", "/d/denied", "/mnt"] {
            world.files.add(folder, Content::Directory);
        }
        world.files.add("/d/small", Content::Regular(b"hello world".to_vec()));
        let large = (0..LARGE_BYTES).map(|number| (number * 7 / 8) as u8).collect();
        world.files.add("/d/large", Content::Regular(large));
        world.files.add("/d/fifo", Content::Fifo(Default::default()));
        world.files.add("/d/read-only", Content::Regular(b"fixed".to_vec()));
        world.files.permit("/d/read-only", Permit::ReadOnly);
        world.files.permit("/d/denied", Permit::Denied);
        world.files.free_bytes = if shape & 1 == 0 { 1 << 20 } else { 50 };
        for (minor, point) in (0..).zip(POINTS) {
            world.mount("ext4", Device::new(8, minor), point);
        }
        world.mount("ext4", Device::new(8, 0), "/mnt/bind");
        if shape >> 3 & 3 == 3 {
            // One that cannot be frozen, two subvolumes of one that has numbers of its own, one of
            // the network.
            world.mount("vfat", Device::new(8, 16), "/mnt/cannot");
            world.mounts.at("/mnt/cannot").freeze_error = Some(Errno::OPNOTSUPP);
            world.files.add("/dev/pool", Content::Block(Device::new(8, 32)));
            for (minor, point) in (50..).zip(SUBVOLUMES) {
                world.mount_from("btrfs", Device::new(0, minor), "/dev/pool", point);
            }
            world.mount_from("nfs4", Device::new(0, 41), "server:/export", "/mnt/network");
        }
        power(shape, seed, world);
        if seed >> 15 & 1 == 0 {
            // The first lies on the third, and the second, on a partition, on the first.
            let [first, second, third, loop_device] = [0, 1, 2, 9].map(|n| Device::new(8, n));
            world.mounts.lies = vec![
                (first, Lies::File(third)),
                (second, Lies::Made(loop_device)),
                (loop_device, Lies::File(first)),
            ];
        }
        // Who freezes is the agent itself, or a worker.
        world.workers.offered = seed >> 14 & 1 == 0;
    });
    sim
}

fn power(shape: u8, seed: u64, world: &mut World) {
    let output = b"it \"cannot\"\n\xFF".to_vec();
    let (script, obeyed) = (seed & 1 == 0, seed & 2 == 0);
    let program = |path, status| {
        let output = output.clone();
        Program { output, script, obeyed, ..Program::ending(path, status) }
    };
    match shape >> 1 & 3 {
        0 => {}
        1 => world.machine.programs.push(program("/sbin/poweroff", 1)),
        2 => world.machine.programs.push(program("/sbin/shutdown", 0)),
        _ => {
            let slow = Program { runs_ms: Some(9000), ..program("/sbin/halt", 2) };
            world.machine.programs.push(slow);
        }
    }
    world.machine.init = match shape >> 3 & 3 {
        2 => None,
        kind => Some(init(kind, seed >> 2)),
    };
    if seed >> 9 & 1 == 0 {
        let obeyed = false;
        let state = Program { obeyed, ..program("/bin/systemctl", 0) };
        world.machine.programs.push(state);
    }
    let place = &mut world.machine.place;
    match seed >> 10 & 15 {
        0 | 1 => place.contained = true,
        2 => *place = Place { contained: true, no_proc: Some(Errno::NOENT), ..*place },
        // Process 1 is in its own by definition.
        3 | 4 if world.machine.init.is_some() => place.own_mounts = true,
        5 => place.no_proc = Some(Errno::ACCES),
        _ => {}
    }
    world.machine.reboot_error = (shape & 32 != 0).then_some(Errno::PERM);
    world.machine.kernel_error = (shape & 64 != 0).then_some(Errno::INVAL);
    if shape & 128 != 0 {
        world.machine.processes.push(Process::ending(Some(700)));
        world.machine.processes.push(Process::ending(None));
    }
}

/// A process 1 of this kind: what it hears, obeys, shows and hides is the seed's.
fn init(kind: u8, seed: u64) -> Init {
    let mut init = match kind {
        0 => Init::new("/bin/some-init", &[10, 12, 15, 20], &[]),
        1 => Init::new("/lib/systemd/systemd", &[11, 20], &[15, 37, 38, 39]),
        _ => Init::new("/bin/busybox", &[10, 12, 15, 20], &[2]),
    };
    match seed & 7 {
        0 => init.blocked = 1 << 16,
        1 => init.obeys = 0,
        2 => init.program = None,
        3 => init.error = Some(Errno::PERM),
        _ => {}
    }
    let sign = [Sign::CommandLine, Sign::Deaf, Sign::State, Sign::Nothing];
    init.shows = ((seed >> 3 & 3) * 700, sign[(seed >> 5 & 3) as usize]);
    init
}
