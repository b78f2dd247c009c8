//! A conversation in, the simulated guest that it is to be held in out, and what it says there.

use qga_core::Errno;
use qga_core::platform::Device;
use qga_sim::exec::Executable;
use qga_sim::files::Content;
use qga_sim::power::Program;
use qga_sim::{Session, Sim};
use qga_tests::connection::shown;
use qga_tests::conversations::{Before, Conversation, Needs, Step};
use qga_tests::jail::AGENT_FOLDER as FOLDER;
use qga_tests::play::with_folder;

/// An agent with a frame and a window as large as most have.
pub type Large = Session<{ 256 * 1024 }, { 32 * 1024 }>;
/// One with the smallest window there can be, and a unikernel's frame.
pub type Small = Session<{ 16 * 1024 }, 4096>;

/// The guest that a conversation is to be held in.
pub fn guest(conversation: &Conversation) -> Sim {
    let sim = Sim::new(1);
    sim.with(|world| {
        world.files.add(FOLDER, Content::Directory);
        world.files.working = FOLDER.into();
        let passwd = b"root:x:0:0:root:/root:/bin/sh\n".to_vec();
        world.files.add("/etc/passwd", Content::Regular(passwd));
        let version = b"Linux version 6.1.0\n".to_vec();
        world.files.add("/proc/version", Content::Regular(version));
        let text = Executable::printing("/etc/passwd", b"");
        world.exec.programs.push(Executable { error: Some(Errno::ACCES), ..text });
        if conversation.fifo {
            world.files.add(&format!("{FOLDER}/fifo"), Content::Fifo(Default::default()));
        }
        for (path, &status) in &conversation.programs {
            // As in the jail, which is a container, and where they are scripts.
            let program = Program::ending(path, status as u8);
            world.machine.programs.push(Program { script: true, ..program });
        }
        world.machine.place.contained = conversation.needs == Needs::Jail;
        if conversation.needs == Needs::Jail {
            world.system.texts.remove("/sys/power/state");
        }
        world.files.add("/mnt", Content::Directory);
        for (minor, point) in (0..).zip(&conversation.mounts) {
            world.mount("ext4", Device::new(7, minor), point);
        }
    });
    sim
}

/// How a conversation is held.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// Each request in one piece.
    Whole,
    /// In two pieces at this byte, counted over all requests.
    At(usize),
    /// In pieces of this many bytes.
    Pieces(usize),
    /// Everything up to the next reconnection in one piece.
    Stream,
}

/// What is sent, with the folder's name in it.
pub fn sent(step: &Step) -> Vec<u8> {
    with_folder(&step.send, FOLDER)
}

/// What must come back.
pub fn expected(step: &Step) -> Vec<u8> {
    with_folder(&step.reply, FOLDER)
}

/// Holds a conversation in `session` and returns what came back for each step.
pub fn hold<const FRAME: usize, const WINDOW: usize>(
    session: &mut Session<FRAME, WINDOW>,
    conversation: &Conversation,
    cut: Cut,
) -> Vec<Vec<u8>> {
    let mut before = 0;
    let mut outputs = Vec::new();
    for step in &conversation.steps {
        match step.before {
            Before::Nothing => {}
            Before::Reconnect => session.disconnect(),
            Before::Kill => session.restart().expect("a restart"),
        }
        let bytes = sent(step);
        outputs.push(match cut {
            Cut::At(at) if (before + 1..before + bytes.len()).contains(&at) => {
                let (head, tail) = bytes.split_at(at - before);
                [session.send(head), session.send(tail)].concat()
            }
            Cut::Pieces(len) => session.send_pieces(&bytes, len),
            Cut::Whole | Cut::At(_) | Cut::Stream => session.send(&bytes),
        });
        before += bytes.len();
    }
    outputs
}

/// Holds a conversation with a new agent in a new guest and compares all that comes back.
pub fn check<const FRAME: usize, const WINDOW: usize>(
    conversation: &Conversation,
    cut: Cut,
    prepare: impl FnOnce(&mut Session<FRAME, WINDOW>),
) -> Result<(), String> {
    let sim = guest(conversation);
    let mut session = Session::start(&sim).map_err(|errno| format!("start: {errno}"))?;
    prepare(&mut session);
    let outputs = match cut {
        Cut::Stream => return check_stream(&mut session, conversation),
        _ => hold(&mut session, conversation, cut),
    };
    for (step, received) in conversation.steps.iter().zip(&outputs) {
        let expected = expected(step);
        if *received != expected {
            return Err(format!(
                "{} ({cut:?})\n    sent:     {}\n    expected: {}\n    received: {}",
                step.name,
                shown(&sent(step)),
                shown(&expected),
                shown(received)
            ));
        }
    }
    let started: Vec<_> =
        conversation.steps.iter().filter_map(|s| s.spawned.clone()).flatten().collect();
    let (was_started, violations) =
        sim.with(|world| (world.machine.started.clone(), world.violations.clone()));
    let open = sim.with(|world| world.open.files);
    if started != was_started {
        return Err(format!("{}: started {was_started:?}", conversation.name));
    }
    if !violations.is_empty() || open != session.agent().state().files.len() {
        return Err(format!("{}: {open} files open, {violations:?}", conversation.name));
    }
    Ok(())
}

/// All requests between two reconnections in one piece: the same bytes must come back, in the same
/// order.
fn check_stream<const FRAME: usize, const WINDOW: usize>(
    session: &mut Session<FRAME, WINDOW>,
    conversation: &Conversation,
) -> Result<(), String> {
    let (mut stream, mut replies) = (Vec::new(), Vec::new());
    let mut steps = conversation.steps.iter().peekable();
    while let Some(step) = steps.next() {
        match step.before {
            Before::Nothing => {}
            Before::Reconnect => session.disconnect(),
            Before::Kill => session.restart().expect("a restart"),
        }
        stream.extend(sent(step));
        replies.extend(expected(step));
        if steps.peek().is_some_and(|next| next.before == Before::Nothing) {
            continue;
        }
        let received = session.send(&std::mem::take(&mut stream));
        let expected = std::mem::take(&mut replies);
        if received != expected {
            let name = &conversation.name;
            let (expected, received) = (shown(&expected), shown(&received));
            return Err(format!("{name} as one stream\n    {expected}\n    {received}"));
        }
    }
    Ok(())
}
