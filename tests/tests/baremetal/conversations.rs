//! Every conversation of the commands that the guest offers, byte for byte the replies that Linux
//! and the simulated guest give. What cannot be held is named here, with the reason.

use super::{Bare, Line, Machine, agent, can_boot, not_offered};
use qga_tests::connection::Connection;
use qga_tests::conversations::{Before, Conversation, load};
use qga_tests::play::{Cut, play_step};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use xtask::vm::initramfs::Initramfs;
use xtask::vm::{AGENT_PORT, Vm};

/// What stands for `@D`.
const FOLDER: &str = "/tmp";

/// Time for the guest to notice that the last client has gone. Without it the first bytes of the
/// next one, when they come one by one, cannot be told from the last of that one.
const NOTICE: Duration = Duration::from_millis(50);

/// Fewest conversations that are held, so that a reason below does not swallow them unnoticed.
const HELD_MIN: usize = 138;

/// Why a conversation cannot be held on bare metal.
fn why_not(conversation: &Conversation, line: Line) -> Option<&'static str> {
    let steps = &conversation.steps;
    if conversation.mentions("guest-fsfreeze") {
        return Some("the guest has no filesystems to freeze and does not offer it");
    }
    if not_offered().any(|name| conversation.mentions(name)) {
        return Some("the guest has nothing of what is asked for and does not offer it");
    }
    if steps.iter().any(|step| step.before == Before::Kill) {
        return Some("the agent is the guest: it cannot be killed and started anew in it");
    }
    if steps.iter().any(|step| step.reply.is_empty() && step.spawned.is_some()) {
        return Some("ends the machine; machine.rs looks at how it ends");
    }
    if steps.iter().any(|step| step.cannot_end()) {
        return Some("the programs and the init that refuse to end it are Linux's: this one ends");
    }
    if line != Line::Virtio && steps.iter().any(|step| step.before == Before::Reconnect) {
        return Some("a serial line does not tell that a client has gone");
    }
    None
}

/// The replies, without what this guest does not offer.
fn adapted(mut conversation: Conversation) -> Conversation {
    for step in &mut conversation.steps {
        // Bytes as characters of the same numbers: a sentinel is no UTF-8.
        let mut text: String = step.reply.iter().map(|&byte| char::from(byte)).collect();
        for name in not_offered() {
            for replies in [true, false] {
                let row = format!(
                    ", {{\"enabled\": true, \"name\": \"{name}\", \"success-response\": {replies}}}"
                );
                text = text.replace(&row, "");
            }
        }
        step.reply = text.chars().map(|letter| letter as u8).collect();
    }
    conversation
}

/// What the recorded guest had, too.
fn files() -> Vec<u8> {
    let mut archive = Initramfs::default();
    archive.file("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n", 0o644);
    archive.file("/proc/version", b"Linux version: none, this is a file\n", 0o444);
    archive.fifo("/tmp/fifo", 0o666);
    archive.finish()
}

fn machine(machine: Machine, line: Line) -> Vm {
    let vm = Bare::new(machine, line).initrd(files()).boot().unwrap();
    drop(agent(&vm));
    vm
}

fn connect(vm: &Vm) -> Connection {
    std::thread::sleep(NOTICE);
    let stream = UnixStream::connect(vm.port_path(AGENT_PORT)).expect("the port's socket");
    Connection::new(stream)
}

fn hold(vm: &Vm, conversation: &Conversation, line: Line, cut: Cut) -> Result<(), String> {
    let mut connection = connect(vm);
    if line != Line::Virtio {
        // Nobody tells the agent that this is another client.
        connection.send([0xFF]);
    }
    for step in &conversation.steps {
        if step.before == Before::Reconnect {
            drop(connection);
            connection = connect(vm);
        }
        play_step(&mut connection, step, FOLDER, cut)?;
    }
    match connection.reply_until_quiet(Duration::from_millis(5)).as_slice() {
        [] => Ok(()),
        rest => Err(format!("{}: more came: {}", conversation.name, rest.escape_ascii())),
    }
}

fn hold_all(place: (Machine, Line), cut: Cut) {
    let mut shared = machine(place.0, place.1);
    let (mut held, mut failures) = (0, Vec::new());
    let mut not_held = 0;
    for conversation in load() {
        if let Some(reason) = why_not(&conversation, place.1) {
            println!("not held on {place:?}: {}: {reason}", conversation.name);
            not_held += 1;
            continue;
        }
        let conversation = adapted(conversation);
        let leaves_traces = conversation.mentions("guest-file-open");
        if leaves_traces {
            shared = machine(place.0, place.1);
        }
        held += 1;
        failures.extend(hold(&shared, &conversation, place.1, cut).err());
        if leaves_traces {
            shared = machine(place.0, place.1);
        }
    }
    println!("{held} conversations held on {place:?}, {not_held} not");
    let count = failures.len();
    assert!(failures.is_empty(), "{count} of {held} failed:\n{}", failures.join("\n"));
    assert!(held >= HELD_MIN, "only {held} held");
}

#[test]
fn whole() {
    if can_boot("conversations::whole", Machine::Microvm) {
        hold_all((Machine::Microvm, Line::Virtio), Cut::Whole);
    }
}

#[test]
fn byte_by_byte() {
    if can_boot("conversations::byte_by_byte", Machine::Microvm) {
        hold_all((Machine::Microvm, Line::Virtio), Cut::EveryByte);
    }
}

#[test]
fn on_pci() {
    if can_boot("conversations::on_pci", Machine::Q35) {
        hold_all((Machine::Q35, Line::Virtio), Cut::Whole);
    }
}

#[test]
fn on_a_serial_line() {
    if can_boot("conversations::on_a_serial_line", Machine::Q35) {
        hold_all((Machine::Q35, Line::Second), Cut::Whole);
    }
}

#[test]
fn on_arm() {
    if can_boot("conversations::on_arm", Machine::Virt) {
        hold_all((Machine::Virt, Line::Virtio), Cut::Whole);
    }
}
