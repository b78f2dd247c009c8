//! The conversations: lines of tests/data/conversations/*.jsonl in, named lists of steps out. What
//! they are held with (the binary, the simulated platform) is not this room's business.
//!
//! A line is one step; lines of one conversation stand together. `@D` in requests and replies
//! stands for the agent's folder. Members: `name`, `send`, `reply` (text, or `{"hex"}` where it is
//! no UTF-8), `was` (the reference's reply where ours differs on purpose) and `why`, `before` (what
//! happens before the step), `spawned` (what must have been run since the last step); and for a
//! whole conversation, on its first line: `needs`, `fifo`, `programs`, `mounts`. A step's
//! conversation is its name up to the `#`, or `conversation`.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What must happen to connection or agent before a step's request is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Before {
    /// Nothing: the same connection goes on.
    #[default]
    Nothing,
    /// The client hangs up and another one connects.
    Reconnect,
    /// The agent is killed (SIGKILL) and started anew in the same folder.
    Kill,
}

/// What a conversation can only be held in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Needs {
    /// Any agent, anywhere.
    #[default]
    Nothing,
    /// A guest of its own: it freezes filesystems or shuts down.
    Jail,
}

/// One request and what must come back.
#[derive(Clone, Debug)]
pub struct Step {
    pub name: String,
    pub before: Before,
    pub send: Vec<u8>,
    pub reply: Vec<u8>,
    /// The reference's reply where ours differs on purpose, and why it does.
    pub was: Option<Vec<u8>>,
    pub why: Option<String>,
    /// Command lines that the step must have run, where that matters.
    pub spawned: Option<Vec<String>>,
}

/// Steps held with one fresh agent, in order, on one connection.
#[derive(Clone, Debug)]
pub struct Conversation {
    pub name: String,
    pub needs: Needs,
    /// A FIFO must lie at `@D/fifo`.
    pub fifo: bool,
    /// Programs of the guest and their exit statuses: all that there are. Only with `Needs::Jail`.
    pub programs: BTreeMap<String, i32>,
    /// Mount points of the guest's ext4 filesystems, in mount order. Only with `Needs::Jail`.
    pub mounts: Vec<String>,
    pub steps: Vec<Step>,
}

impl Step {
    /// Whether the reply says why the guest could not be ended by its programs, its init and its
    /// kernel. A guest that has none of these, but its own power, ends.
    pub fn cannot_end(&self) -> bool {
        let refusal = b"failed to shutdown: ";
        self.reply.windows(refusal.len()).any(|part| part == refusal)
    }
}

impl Conversation {
    /// All requests of the conversation.
    pub fn sent_bytes(&self) -> usize {
        self.steps.iter().map(|step| step.send.len()).sum()
    }

    /// Whether a part of any request reads `text`.
    pub fn mentions(&self, text: &str) -> bool {
        let text = text.as_bytes();
        self.steps.iter().any(|step| step.send.windows(text.len()).any(|part| part == text))
    }
}

/// A reason why records of the reference are not in the data.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    pub prefix: String,
    pub reason: String,
    /// Their names; each begins with `prefix`.
    pub records: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Bytes {
    Text(String),
    Hex { hex: String },
}

impl Bytes {
    fn bytes(self) -> Result<Vec<u8>, String> {
        match self {
            Bytes::Text(text) => Ok(text.into_bytes()),
            Bytes::Hex { hex } => {
                let pair = |at: usize| u8::from_str_radix(hex.get(at..at + 2).unwrap_or("-"), 16);
                let bytes = (0..hex.len()).step_by(2).map(pair).collect::<Result<_, _>>();
                bytes.map_err(|error| format!("hex {hex:?}: {error}"))
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: String,
    send: Bytes,
    reply: Bytes,
    was: Option<Bytes>,
    why: Option<String>,
    conversation: Option<String>,
    #[serde(default)]
    before: Before,
    #[serde(default)]
    needs: Needs,
    #[serde(default)]
    fifo: bool,
    #[serde(default)]
    programs: BTreeMap<String, i32>,
    #[serde(default)]
    mounts: Vec<String>,
    spawned: Option<Vec<String>>,
}

/// All conversations of all files.
pub fn load() -> Vec<Conversation> {
    ["reference", "jail", "own", "lists"].iter().flat_map(|file| load_file(file)).collect()
}

/// The conversations of one file, named without its ending.
pub fn load_file(name: &str) -> Vec<Conversation> {
    let mut conversations: Vec<Conversation> = Vec::new();
    for (at, text) in lines(&format!("conversations/{name}.jsonl")) {
        let line: Line =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{at}: {error}"));
        add(&mut conversations, line).unwrap_or_else(|error| panic!("{at}: {error}"));
    }
    conversations
}

/// The records of the reference that are not in the data.
pub fn left_out() -> Vec<LeftOut> {
    let parse = |(at, text): (String, String)| {
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{at}: {error}"))
    };
    lines("left_out.jsonl").into_iter().map(parse).collect()
}

/// The lines of a file in tests/data, each with its place.
fn lines(name: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let place = |(number, line): (usize, &str)| (format!("{name}:{}", number + 1), line.to_owned());
    text.lines().enumerate().map(place).collect()
}

fn add(conversations: &mut Vec<Conversation>, line: Line) -> Result<(), String> {
    let name = match &line.conversation {
        Some(name) => name.clone(),
        None => line.name.split('#').next().unwrap_or_default().to_owned(),
    };
    let step = Step {
        before: line.before,
        send: line.send.bytes()?,
        reply: line.reply.bytes()?,
        was: line.was.map(Bytes::bytes).transpose()?,
        why: line.why,
        spawned: line.spawned,
        name: line.name,
    };
    if step.was.is_some() && step.why.is_none() {
        return Err("a reply that differs from the reference's needs a why".to_owned());
    }
    match conversations.last_mut() {
        Some(last) if last.name == name => last.steps.push(step),
        _ => {
            let Line { needs, fifo, programs, mounts, .. } = line;
            let steps = vec![step];
            conversations.push(Conversation { name, needs, fifo, programs, mounts, steps });
        }
    }
    Ok(())
}
