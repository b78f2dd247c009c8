//! A whole conversation on the simulated guest: the input bytes are read as a list of acts,
//! requests valid, odd and broken among them, hang-ups, kills, faults, and what other programs of
//! the guest do.
//!
//! After every act: each request has had its one reply; no file is open that no handle owns;
//! nothing was written while frozen; "thawed" is never said of a guest that the agent has frozen.
//! At the end, with all faults gone, guest-sync is answered and a thaw makes everything run.

use crate::model::{Model, encode};
use qga_core::Errno;
use qga_core::freezer::Status;
use qga_core::platform::{Device, InitSystem};
use qga_sim::files::{Content, Permit};
use qga_sim::mounts::By;
use qga_sim::power::Program;
use qga_sim::{Fault, Kind, Session, Sim, World, faults};
use serde_json::{Value, json};

/// Room for a request and for a reply: small, so that long ones cross their ends.
type Agent = Session<2048, 4096>;

const PATHS: [&str; 10] = [
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
const MODES: [&str; 9] = ["r", "w", "a", "r+", "w+", "a+", "rb", "w+b", "x"];
const POINTS: [&str; 3] = ["/mnt/a", "/mnt/b", "/mnt/c"];
const ODD: [&str; 12] = [
    "{\"execute\":\"guest-ping\",\"arguments\":{\"x\":1}}",
    "{\"execute\":\"guest-nope\"}",
    "{'execute':'guest-ping','id':[1,{'a':'\\u0000\\ud83d\\ude00'}]}",
    "{\"execute\":1}",
    "{\"arguments\":{}}",
    "[]",
    "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":1.5}}",
    "{\"execute\":\"guest-ping\",\"id\":01x\"}",
    "{\"execute\":\"guest-ping\",}",
    "{\"execute\":\"guest-file-seek\",\"arguments\":{\"handle\":1,\"offset\":0,\"whence\":true}}",
    "{\"execute\":\"guest-shutdown\",\"arguments\":{\"mode\":\"sideways\"}}",
    "nonsense",
];

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let sim = guest(input.byte());
    let mut play = Play {
        session: Agent::start(&sim).expect("a start"),
        model: Model { next_handle: 1000, ..Model::default() },
        piece_bytes: 4096,
        dirty: false,
        meddled: false,
    };
    while !input.0.is_empty() && !play.over() {
        let act = input.byte();
        play.act(act, &mut input);
        play.check();
    }
    play.end();
}

/// The bytes of the input, one by one; zeros when there are no more.
struct Input<'d>(&'d [u8]);

impl<'d> Input<'d> {
    fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    fn bytes(&mut self, len: usize) -> &'d [u8] {
        let (head, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        head
    }

    fn number(&mut self) -> i64 {
        let bytes = [self.byte(), self.byte()];
        match i16::from_le_bytes(bytes) {
            i16::MIN => i64::MIN,
            i16::MAX => i64::MAX,
            number => i64::from(number),
        }
    }

    fn one_of<T: Copy>(&mut self, choice: &[T]) -> T {
        choice[usize::from(self.byte()) % choice.len()]
    }
}

fn guest(shape: u8) -> Sim {
    let sim = Sim::new(u64::from(shape));
    sim.with(|world| {
        for folder in ["/d", "/d/denied", "/mnt"] {
            world.files.add(folder, Content::Directory);
        }
        world.files.add("/d/small", Content::Regular(b"hello world".to_vec()));
        let large = (0..9000u32).map(|number| (number * 7 / 8) as u8).collect();
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
        let output = b"it \"cannot\"\n\xFF".to_vec();
        let program = |path, status| Program { output, ..Program::ending(path, status) };
        match shape >> 1 & 3 {
            0 => {}
            1 => world.machine.programs.push(program("/sbin/poweroff", 1)),
            2 => world.machine.programs.push(program("/sbin/shutdown", 0)),
            _ => {
                let slow = Program { runs_ms: Some(9000), ..program("/sbin/halt", 2) };
                world.machine.programs.push(slow);
            }
        }
        let inits = [InitSystem::Other, InitSystem::Systemd, InitSystem::Agent];
        world.machine.init = inits[usize::from(shape >> 3 & 3) % 3];
        world.machine.reboot_error = (shape & 32 != 0).then_some(Errno::PERM);
        world.machine.kernel_error = (shape & 64 != 0).then_some(Errno::INVAL);
    });
    sim
}

/// A conversation under way.
struct Play {
    session: Agent,
    model: Model,
    /// Requests are sent in pieces of so many bytes.
    piece_bytes: usize,
    /// A part of a request may have been sent: a 0xFF is due before the next one.
    dirty: bool,
    /// Others have frozen or thawed, or calls have failed: not all that is frozen is ours.
    meddled: bool,
}

impl Play {
    /// Whether the guest has ended. An agent that only has exited is started again.
    fn over(&mut self) -> bool {
        let ended = self.session.sim.with(|world| world.machine.ending.is_some());
        if !ended && self.session.is_over() {
            self.restart();
        }
        ended
    }

    fn act(&mut self, act: u8, input: &mut Input) {
        match act % 24 {
            0 => self.raw(input),
            1 => self.simple(input),
            2 | 3 => self.open(input),
            4 => self.close(input),
            5 => self.read(input),
            6 | 7 => self.write(input),
            8 => self.seek(input),
            9 => {
                let handle = self.handle(input);
                self.ask("guest-file-flush", json!({"handle": handle}));
            }
            10 => self.status(),
            11 => self.freeze(),
            12 => self.thaw(),
            13 => self.shut_down(input),
            14 => {
                let odd = input.one_of(&ODD);
                self.exchange(odd.as_bytes(), 1);
            }
            15 => {
                self.session.disconnect();
                self.dirty = false;
            }
            16 => self.restart(),
            17 => self.killed_amid(input),
            18 | 19 => self.break_something(input),
            20 => self.meddle(input),
            21 => {
                self.piece_bytes = usize::from(input.byte()) + 1;
                self.session.take_bytes_max = usize::from(input.byte()) * 16 + 1;
            }
            22 => {
                let ms = u64::from(input.byte()) * 100;
                self.session.sim.with(|world| world.time.advance(ms));
            }
            _ => self.session.stop(),
        }
    }

    /// Sends a whole request behind a 0xFF if need be; its replies, which must be so many.
    fn exchange(&mut self, request: &[u8], replies: usize) -> Vec<Value> {
        let mut bytes = if std::mem::take(&mut self.dirty) { vec![0xFF] } else { Vec::new() };
        bytes.extend_from_slice(request);
        bytes.push(b'\n');
        let output = self.session.send_pieces(&bytes, self.piece_bytes);
        let values = parse(&output);
        if !self.session.is_over() {
            let shown = request.escape_ascii();
            assert_eq!(values.len(), replies, "replies to {shown}: {}", output.escape_ascii());
        }
        values
    }

    /// Asks for a command; what it returns, unless it fails.
    fn ask(&mut self, command: &str, arguments: Value) -> Option<Value> {
        let id = json!([command, null, "é\u{1F600}\""]);
        let request = json!({"execute": command, "arguments": arguments, "id": id});
        let reply = self.exchange(request.to_string().as_bytes(), 1).pop()?;
        assert_eq!(reply["id"], id, "{reply}");
        reply.get("return").cloned()
    }

    /// Bytes as they are: what comes back must be JSON, lines of it, and nothing else.
    fn raw(&mut self, input: &mut Input) {
        let len = usize::from(input.byte());
        let output = self.session.send_pieces(input.bytes(len), self.piece_bytes);
        parse(&output);
        self.dirty = true;
        self.forget_files();
    }

    /// The raw bytes may have opened and closed files: from here on other handles than these count.
    fn forget_files(&mut self) {
        self.model.files.clear();
        let saved = self.session.sim.with(|world| world.store.state.clone());
        let digits = |state: Vec<u8>| state.into_iter().filter(u8::is_ascii_digit).collect();
        // Without a state no file was opened yet.
        let digits = saved.map_or(b"1000".to_vec(), digits);
        self.model.next_handle = String::from_utf8(digits)
            .ok()
            .and_then(|number| number.parse().ok())
            .expect("a number");
        self.meddled = true;
    }

    fn simple(&mut self, input: &mut Input) {
        match input.byte() % 3 {
            0 => {
                let id = input.number();
                assert_eq!(self.ask("guest-sync", json!({"id": id})), Some(json!(id)));
            }
            1 => assert_eq!(self.ask("guest-ping", json!({})), Some(json!({}))),
            _ => {
                let info = self.ask("guest-info", json!({})).expect("guest-info");
                let rows = qga_core::command::Table::<qga_sim::Sim>::ROWS.len();
                assert_eq!(info["supported_commands"].as_array().map(Vec::len), Some(rows));
            }
        }
    }

    fn handle(&self, input: &mut Input) -> i64 {
        let choice = usize::from(input.byte());
        let open: Vec<i64> = self.model.files.keys().copied().collect();
        open.get(choice % (open.len() + 1)).copied().unwrap_or(choice as i64 + 990)
    }

    fn open(&mut self, input: &mut Input) {
        let (path, mode) = (input.one_of(&PATHS), input.one_of(&MODES));
        if let Some(handle) = self.ask("guest-file-open", json!({"path": path, "mode": mode})) {
            self.model.opened(handle.as_i64().expect("a handle"), path, mode);
        }
    }

    fn close(&mut self, input: &mut Input) {
        let handle = self.handle(input);
        let frozen = self.session.agent().is_frozen();
        let closed = self.ask("guest-file-close", json!({"handle": handle})).is_some();
        let known = self.model.files.contains_key(&handle);
        assert!(!closed || known || self.meddled, "closed {handle}, which was not open");
        // Also when the close itself fails the handle is gone.
        if !frozen {
            self.model.files.remove(&handle);
        }
    }

    fn read(&mut self, input: &mut Input) {
        let handle = self.handle(input);
        let count = input.number();
        let value = self.ask("guest-file-read", json!({"handle": handle, "count": count}));
        if let Some(value) = value.filter(|_| self.model.files.contains_key(&handle)) {
            let count = usize::try_from(count).expect("a negative count was accepted");
            self.model.read(&self.session.sim.clone(), handle, count, &value);
        }
    }

    fn write(&mut self, input: &mut Input) {
        let handle = self.handle(input);
        let len = usize::from(input.byte());
        let bytes = input.bytes(len);
        let mut text = encode(bytes);
        match input.byte() {
            1 => text.insert(text.len() / 2, '\n'),
            2 => text.truncate(text.trim_end_matches('=').len()),
            3 => text.push('!'),
            _ => {}
        }
        let broken = text.ends_with('!');
        let value = self.ask("guest-file-write", json!({"handle": handle, "buf-b64": text}));
        if let Some(value) = value.filter(|_| self.model.files.contains_key(&handle)) {
            assert!(!broken, "broken base64 was written");
            self.model.wrote(&self.session.sim.clone(), handle, bytes, &value);
        }
    }

    fn seek(&mut self, input: &mut Input) {
        let handle = self.handle(input);
        let whences =
            [json!("set"), json!("cur"), json!("end"), json!(0), json!(1), json!(2), json!(3)];
        let whence = &whences[usize::from(input.byte()) % whences.len()];
        let offset = input.number();
        let arguments = json!({"handle": handle, "offset": offset, "whence": whence});
        let value = self.ask("guest-file-seek", arguments);
        if let Some(value) = value.filter(|_| self.model.files.contains_key(&handle)) {
            self.model.sought(handle, &value);
        }
    }
}

/// The replies in an output: lines of JSON, each with one of `return` and `error`.
fn parse(output: &[u8]) -> Vec<Value> {
    let mut replies = Vec::new();
    for line in output.split_inclusive(|&byte| byte == b'\n') {
        let text = line.strip_suffix(b"\n").expect("a reply without its newline");
        let text = text.strip_prefix(b"\xFF").unwrap_or(text);
        // An `id` may hold a number that is too large for serde_json.
        let Ok(value) = serde_json::from_slice::<Value>(text) else {
            let parsed = serde_json::from_slice::<serde::de::IgnoredAny>(text);
            assert!(parsed.is_ok(), "not JSON: {}", text.escape_ascii());
            continue;
        };
        let error = value.get("error");
        assert_ne!(value.get("return").is_some(), error.is_some(), "{value}");
        if let Some(error) = error {
            let class = error["class"].as_str();
            assert!(matches!(class, Some("GenericError" | "CommandNotFound")), "{value}");
            assert!(error["desc"].as_str().is_some_and(|text| !text.is_empty()), "{value}");
        }
        replies.push(value);
    }
    replies
}

mod trouble;
