//! What the tests of the C library share: playing the project's conversations with the program of
//! examples/c, and the symbols of an archive.

use qga_tests::connection::shown;
use qga_tests::conversations::{Before, Conversation, Step, load};
use qga_tests::jail::AGENT_FOLDER as FOLDER;
use qga_tests::play::with_folder;
use qga_tests::{OF_LINUX, SETS_TIME};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// How C is compiled here: as strictly as the compiler can.
pub const STRICT: [&str; 5] = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// Commands that a C guest never offers: the table has no place for freezing, nor for what a guest
/// says of itself.
fn not_in_c() -> impl Iterator<Item = &'static str> {
    OF_LINUX.iter().copied().chain([SETS_TIME])
}

/// Runs a command; what it prints, or all that is known of its failure.
pub fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(format!("{command:?}: {}\n{}", output.status, text(&output.stderr))),
    }
}

/// A symbol of an object in an archive.
pub struct Symbol {
    pub object: String,
    pub name: String,
    /// It is wanted, not had.
    pub undefined: bool,
    /// Other objects cannot have it.
    pub local: bool,
}

/// All symbols of an archive, for whatever machine. By readelf: where a compiler's plugin is
/// installed, nm wants to understand the bitcode in the objects, which may be of another version.
pub fn symbols(archive: &Path) -> Vec<Symbol> {
    let mut readelf = Command::new("readelf");
    let text = run(readelf.args(["-s", "-W"]).arg(archive)).expect("readelf reads the archive");
    let mut object = String::new();
    let mut symbols = Vec::new();
    for line in text.lines() {
        let file = line.strip_prefix("File: ").and_then(|line| line.rsplit_once('('));
        if let Some((_, name)) = file {
            object = name.trim_end_matches(')').to_owned();
        }
        // Num: Value Size Type Bind Vis Ndx Name
        if let [_, _, _, kind, bind, _, section, name] =
            line.split_whitespace().collect::<Vec<_>>()[..]
            && ["GLOBAL", "WEAK", "LOCAL"].contains(&bind)
            && !["FILE", "SECTION"].contains(&kind)
        {
            let (object, name) = (object.clone(), name.to_owned());
            let (undefined, local) = (section == "UND", bind == "LOCAL");
            symbols.push(Symbol { object, name, undefined, local });
        }
    }
    symbols
}

/// The program that holds conversations, running.
pub struct Player {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Player {
    pub fn start(program: &Path, under: &[&str]) -> Player {
        let mut command = match under.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the player starts");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        Player { child, input, output }
    }

    pub fn say(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).expect("the player listens");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the player answers");
        assert!(line.ends_with('\n'), "the player ended; its last words are above");
        line.trim_end().to_owned()
    }

    pub fn send(&mut self, bytes: &[u8], piece: usize, how: &str) -> Vec<u8> {
        self.say(&format!("send {} {piece} {how}", bytes.len()));
        self.input.write_all(bytes).expect("the player listens");
        let line = self.line();
        let len = line.strip_prefix("reply ").and_then(|len| len.parse().ok());
        let mut reply = vec![0; len.unwrap_or_else(|| panic!("not a reply: {line}"))];
        self.output.read_exact(&mut reply).expect("the whole reply");
        reply
    }

    pub fn power(&mut self) -> String {
        self.say("power");
        self.line()
    }

    /// A new guest, which lacks these operations.
    pub fn guest(&mut self, lacks: &[&str]) {
        self.say(&format!("guest {FOLDER}"));
        for word in lacks {
            self.say(&format!("lacks {word}"));
        }
    }

    /// The end of it; valgrind and the sanitizers tell by the exit status what they found.
    pub fn finish(self) {
        let Player { mut child, input, .. } = self;
        drop(input);
        let status = child.wait().expect("an exit status");
        assert!(status.success(), "the player says {status}; what it found is above");
    }
}

/// What a C guest answers: no commands of freezing in guest-info.
fn expected(step: &Step) -> Vec<u8> {
    if step.cannot_end() {
        // It has none of what refuses, and ends.
        return Vec::new();
    }
    let mut reply = with_folder(&step.reply, FOLDER);
    for (name, replies) in not_in_c().flat_map(|name| [(name, true), (name, false)]) {
        let entry = format!(
            ", {{\"enabled\": true, \"name\": \"{name}\", \"success-response\": {replies}}}"
        );
        while let Some(at) = reply.windows(entry.len()).position(|part| part == entry.as_bytes()) {
            reply.drain(at..at + entry.len());
        }
    }
    reply
}

fn hold(player: &mut Player, conversation: &Conversation, piece: usize, how: &str) {
    player.guest(&[]);
    if conversation.fifo {
        player.say(&format!("pipe {FOLDER}/fifo"));
    }
    for step in &conversation.steps {
        match step.before {
            Before::Nothing => {}
            Before::Reconnect => player.say("disconnect"),
            Before::Kill => player.say("restart"),
        }
        let sent = with_folder(&step.send, FOLDER);
        let (expected, received) = (expected(step), player.send(&sent, piece, how));
        assert!(
            received == expected,
            "{} in pieces of {piece}, {how}\n    sent:     {}\n    expected: {}\n    received: {}",
            step.name,
            shown(&sent),
            shown(&expected),
            shown(&received)
        );
    }
}

/// Every conversation that has nothing to do with freezing.
pub fn conversations() -> Vec<Conversation> {
    let all = load().into_iter();
    let held: Vec<_> = all.filter(|it| !not_in_c().any(|name| it.mentions(name))).collect();
    assert!(held.len() > 140, "only {} conversations", held.len());
    held
}

/// Holds all of them, cut in several ways and put into the agent by either function.
pub fn hold_all(program: &Path, under: &[&str]) {
    let mut player = Player::start(program, under);
    for conversation in conversations() {
        for (piece, how) in [(0, "copy"), (0, "place"), (1, "copy"), (7, "place")] {
            hold(&mut player, &conversation, piece, how);
        }
    }
    player.finish();
}
