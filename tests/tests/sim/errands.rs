//! Errands, which a copy of the agent does once: CPUs, memory blocks, trims, suspends. What is
//! asked for reaches the guest, in its order; what fails is named; and whoever hangs is not waited
//! for.

use crate::guest::{Large, Small};
use qga_core::limits::{ERRAND_MS_MAX, SUSPEND_MS_MAX};
use qga_core::platform::Device;
use qga_core::{Errno, Step};
use qga_sim::Sim;
use qga_sim::mounts::Hang;
use qga_sim::power::Program;
use serde_json::{Value, json};

pub const SYNC: &[u8] = b"{\"execute\": \"guest-sync\", \"arguments\": {\"id\": 7}}\n";
pub const SYNCED: &[u8] = b"{\"return\": 7}\n";

/// What a command with these arguments answers.
pub fn ask(sim: &Sim, command: &str, arguments: Value) -> Value {
    let request = json!({"execute": command, "arguments": arguments}).to_string();
    let reply = Large::start(sim).expect("a start").send(request.as_bytes());
    serde_json::from_slice(&reply).unwrap_or_else(|_| panic!("{}", reply.escape_ascii()))
}

/// Why it fails.
pub fn refusal(sim: &Sim, command: &str, arguments: Value) -> String {
    let reply = ask(sim, command, arguments);
    let text = reply["error"]["desc"].as_str().unwrap_or_else(|| panic!("{reply}"));
    text.to_owned()
}

fn cpus(list: &[(i64, bool)]) -> Value {
    let list = list.iter().map(|(id, on)| json!({"logical-id": id, "online": on}));
    json!({"vcpus": list.collect::<Vec<_>>()})
}

fn text(sim: &Sim, path: &str) -> String {
    sim.with(|world| String::from_utf8(world.system.texts[path].clone()).expect("text"))
}

const CPU1: &str = "/sys/devices/system/cpu/cpu1/online";

#[test]
fn cpus_are_set_in_order_up_to_the_first_that_fails() {
    let sim = Sim::new(1);
    // One that is as it is to be is not touched, and one that cannot go offline is online.
    let reply = ask(&sim, "guest-set-vcpus", cpus(&[(0, true), (1, true), (1, false)]));
    assert_eq!((reply, text(&sim, CPU1)), (json!({"return": 3}), "0\n".to_owned()));
    let sets = sim.with(|world| world.system.sets.clone());
    assert_eq!(sets, [CPU1]);
    let reply = ask(&sim, "guest-set-vcpus", cpus(&[(1, true), (9, true), (1, false)]));
    assert_eq!((reply, text(&sim, CPU1)), (json!({"return": 1}), "1\n".to_owned()));
    let said = refusal(&sim, "guest-set-vcpus", cpus(&[(0, false)]));
    assert_eq!(said, "logical processor 0 can't be offlined");
    let said = refusal(&sim, "guest-set-vcpus", cpus(&[(-1, true)]));
    let folder = "/sys/devices/system/cpu/cpu18446744073709551615";
    assert_eq!(said, format!("Could not open '{folder}': No such file or directory"));
    sim.with(|world| world.system.refuses.insert(CPU1.into(), Errno::BUSY));
    let said = refusal(&sim, "guest-set-vcpus", cpus(&[(1, false)]));
    assert_eq!(said, format!("failed to write {CPU1}: Device or resource busy"));
    assert_eq!(text(&sim, CPU1), "1\n");
}

#[test]
fn each_memory_block_is_answered_in_the_order_of_the_request() {
    let sim = Sim::new(1);
    sim.with(|world| {
        let block = "/sys/devices/system/memory/memory";
        world.system.text(&format!("{block}5/removable"), "0\n");
        world.system.text(&format!("{block}7/state"), "online\n");
        world.system.refuses.insert(format!("{block}7/state"), Errno::BUSY);
    });
    let block = |index: u64, online: bool| json!({"phys-index": index, "online": online});
    let list = [block(1, true), block(7, false), block(5, true), block(3, true), block(0, true)];
    let reply = ask(&sim, "guest-set-memory-blocks", json!({"mem-blks": list}));
    let expected = json!([
        {"phys-index": 1, "response": "success"},
        {"phys-index": 7, "response": "operation-failed", "error-code": 16},
        {"phys-index": 5, "response": "operation-not-supported"},
        {"phys-index": 3, "response": "not-found", "error-code": 2},
        {"phys-index": 0, "response": "success"},
    ]);
    assert_eq!(reply["return"], expected);
    assert_eq!(text(&sim, "/sys/devices/system/memory/memory1/state"), "online\n");
    let sets = sim.with(|world| world.system.sets.clone());
    assert_eq!(sets, ["/sys/devices/system/memory/memory1/state"]);
}

#[test]
fn any_number_of_blocks_leaves_through_a_small_window() {
    let sim = Sim::new(1);
    let list: Vec<_> = (100..350).map(|n| json!({"phys-index": n, "online": true})).collect();
    let request =
        json!({"execute": "guest-set-memory-blocks", "arguments": {"mem-blks": list}}).to_string();
    let reply = Small::start(&sim).expect("a start").send(request.as_bytes());
    let reply: Value = serde_json::from_slice(&reply).expect("JSON");
    let list = reply["return"].as_array().expect("a list");
    assert_eq!(list.len(), 250);
    assert!(list.iter().zip(100..).all(|(block, n)| block["phys-index"] == json!(n)));
}

/// A guest with three filesystems, one of them mounted twice, one on a disk that takes no trim.
fn disks() -> Sim {
    let sim = Sim::new(1);
    sim.with(|world| {
        world.mount("ext4", Device::new(8, 1), "/a");
        world.mount("xfs", Device::new(8, 2), "/c");
        world.mount("ext4", Device::new(8, 1), "/b");
        let mount = world.mounts.covering(b"/c").expect("a mount").superblock;
        world.system.untrimmable.insert(mount);
    });
    sim
}

#[test]
fn each_filesystem_is_trimmed_once_and_says_what_came_of_it() {
    let sim = disks();
    let trimmed = json!({"path": "/a", "trimmed": 1_638_400, "minimum": 4096});
    let untrimmed = json!({"path": "/c", "error": "trim not supported"});
    let reply = ask(&sim, "guest-fstrim", json!({"minimum": 4096}));
    assert_eq!(reply, json!({"return": {"paths": [untrimmed, trimmed]}}));
    let reply = ask(&sim, "guest-fstrim", json!({"minimum": -1}));
    assert_eq!(reply["return"]["paths"][1]["error"], "failed to trim: Invalid argument");
}

/// Has somebody ask for something, and the copy hang in it.
fn under_way(sim: &Sim, request: &[u8]) -> Large {
    let mut session = Large::start(sim).expect("a start");
    assert_eq!(session.put(request), request.len());
    while session.step() != Step::Wait {}
    session
}

#[test]
fn a_trim_that_nobody_waits_for_goes_on_and_another_one_is_told() {
    let sim = disks();
    let hang = |hang: Option<Hang>| {
        sim.with(|world| {
            let mount = world.mounts.covering(b"/c").expect("a mount").superblock;
            world.mounts.superblocks[mount].hangs = hang;
        });
    };
    hang(Some(Hang::Look));
    const TRIM: &[u8] = b"{\"execute\": \"guest-fstrim\"}\n";
    let mut session = under_way(&sim, TRIM);
    assert_eq!(session.send(SYNC), SYNCED);
    let said = session.send(TRIM);
    let busy = json!({"error": {"class": "GenericError", "desc": "guest-fstrim is under way"}});
    assert_eq!(serde_json::from_slice::<Value>(&said).expect("JSON"), busy);
    // Nothing else has to wait for it.
    let list = session.send(b"{\"execute\": \"guest-get-disks\"}\n");
    assert!(list.starts_with(b"{\"return\": ["), "{}", list.escape_ascii());
    hang(None);
    sim.with(|world| world.tasks.release());
    assert!(session.send(TRIM).starts_with(b"{\"return\": {\"paths\": ["));
}

#[test]
fn what_takes_too_long_is_ended_and_said() {
    let sim = Sim::new(1);
    sim.with(|world| world.system.hanging.insert(CPU1.into()));
    let before_ms = sim.with(|world| world.time.now_ms);
    let said = refusal(&sim, "guest-set-vcpus", cpus(&[(1, false)]));
    assert_eq!(said, "failed to have a copy of the agent do this: Connection timed out");
    let now_ms = sim.with(|world| world.time.now_ms);
    assert_eq!(now_ms - before_ms, ERRAND_MS_MAX);
}

#[test]
fn an_errand_is_followed_to_its_end_when_nobody_waits() {
    let sim = Sim::new(1);
    sim.with(|world| world.system.hanging.insert(CPU1.into()));
    let request = json!({"execute": "guest-set-vcpus", "arguments": cpus(&[(1, false)])});
    let mut session = under_way(&sim, request.to_string().as_bytes());
    assert_eq!(session.send(SYNC), SYNCED);
    let said = session.send(b"{\"execute\": \"guest-get-disks\"}\n");
    assert!(String::from_utf8_lossy(&said).contains("guest-set-vcpus is under way"));
    // A list on its way is not disturbed by what nobody hears.
    let blocks = b"{\"execute\": \"guest-get-memory-blocks\"}\n";
    let undisturbed = Large::start(&Sim::new(1)).expect("a start").send(blocks);
    assert_eq!(session.put(blocks), blocks.len());
    sim.with(|world| world.time.advance(ERRAND_MS_MAX));
    assert_eq!(session.send(b""), undisturbed);
    assert!(session.send(b"{\"execute\": \"guest-get-disks\"}\n").starts_with(b"{\"return\": ["));
}

#[test]
fn a_copy_that_is_killed_is_an_error() {
    for call in 0..3 {
        let sim = Sim::new(1);
        sim.with(|world| world.tasks.dies_at = Some(call));
        let said = refusal(&sim, "guest-set-vcpus", cpus(&[(1, false)]));
        assert!(said.ends_with("Interrupted system call"), "{call}: {said}");
    }
}

const STATE: &str = "/sys/power/state";

/// What a suspend says: nothing when it works.
fn suspend(sim: &Sim, how: &str) -> String {
    let request = format!("{{\"execute\": \"guest-suspend-{how}\"}}\n");
    let reply = Large::start(sim).expect("a start").send(request.as_bytes());
    String::from_utf8(reply).expect("text")
}

#[test]
fn the_kernel_suspends_where_no_program_does() {
    for (how, word) in [("ram", "mem\n"), ("disk", "disk\n")] {
        let sim = Sim::new(1);
        assert_eq!((suspend(&sim, how), text(&sim, STATE)), (String::new(), word.to_owned()));
    }
    let unsupported = "the requested suspend mode is not supported by the guest";
    let sim = Sim::new(1);
    assert!(suspend(&sim, "hybrid").contains(unsupported));
    sim.with(|world| world.system.text(STATE, "freeze disk\n"));
    assert!(suspend(&sim, "ram").contains(unsupported), "a word of another mode");
    sim.with(|world| world.system.refuses.insert(STATE.into(), Errno::BUSY));
    let said = suspend(&sim, "disk");
    assert!(
        said.contains("failed to write to /sys/power/state: Device or resource busy"),
        "{said}"
    );
}

#[test]
fn who_says_to_suspend_and_fails_is_named_with_what_it_said() {
    let sim = Sim::new(1);
    sim.with(|world| {
        world.system.texts.remove(STATE);
        let output = b"Sleep verb not supported\n".to_vec();
        let program = Program { output, ..Program::ending("/bin/systemctl", 1) };
        world.machine.programs.push(program);
    });
    let said = suspend(&sim, "ram");
    let expected = "child process has failed to suspend the guest: Sleep verb not supported\\n";
    assert!(said.contains(expected), "{said}");
    // What one that was asked after it says is not its.
    sim.with(|world| {
        let output = b"not by me, who have much more to say about this\n".to_vec();
        let program = Program { output, ..Program::ending("/bin/pm-is-supported", 1) };
        world.machine.programs.push(program);
    });
    let said = suspend(&sim, "ram");
    assert!(said.contains(expected), "{said}");
}

#[test]
fn a_suspend_that_hangs_is_answered() {
    let sim = Sim::new(1);
    sim.with(|world| {
        let program = Program { runs_ms: None, ..Program::ending("/bin/systemctl", 0) };
        world.machine.programs.push(program);
    });
    let before_ms = sim.with(|world| world.time.now_ms);
    assert!(suspend(&sim, "ram").contains("Connection timed out"));
    assert_eq!(sim.with(|world| world.time.now_ms) - before_ms, SUSPEND_MS_MAX);
}
