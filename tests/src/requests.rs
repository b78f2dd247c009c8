//! Random requests, the same for the same seed: valid, odd and broken ones out. None of them can
//! shut down, freeze or run anything, nor open a file outside the agent's folder.

use fastrand::Rng;
use std::fmt::Write;

/// What a request is, as far as its maker knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A request as clients send them.
    Valid,
    /// Well-formed, with one thing wrong or unusual.
    Odd,
    /// Bytes of a well-formed request changed.
    Broken,
}

/// Makes requests and remembers which files it has open.
pub struct Requests {
    random: Rng,
    /// Handles that opens have returned, each with its file's number.
    handles: Vec<(i64, usize)>,
}

/// Each file has one handle at most: two streams on one file would see each other's buffers.
const FILES: usize = 6;

impl Requests {
    /// Requests of a seed.
    pub fn new(seed: u64) -> Self {
        Requests { random: Rng::with_seed(seed), handles: Vec::new() }
    }

    /// Forgets the open files: the agents are new.
    pub fn restart(&mut self) {
        self.handles.clear();
    }

    /// The next request.
    pub fn make(&mut self) -> (Kind, Vec<u8>) {
        match self.random.u32(..100) {
            0..45 => (Kind::Valid, self.valid().into_bytes()),
            45..75 => (Kind::Odd, self.odd().into_bytes()),
            _ => (Kind::Broken, self.broken()),
        }
    }

    /// Takes note of a reply: which handles are open now. Returns the name of the file that was
    /// closed.
    pub fn replied(
        &mut self,
        request: &[u8],
        returned: Option<&serde_json::Value>,
    ) -> Option<String> {
        let returned = returned?;
        let text = String::from_utf8_lossy(request);
        let number_after = |key: &str| -> Option<i64> {
            let rest = text.split_once(key)?.1;
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest[..end].parse().ok()
        };
        if text.contains("\"guest-file-open\"") {
            let file = number_after("\"path\":\"f")?;
            self.handles.push((returned.as_i64()?, file as usize));
        } else if text.contains("\"guest-file-close\"") {
            let handle = number_after("\"handle\":")?;
            let place = self.handles.iter().position(|(open, _)| *open == handle)?;
            return Some(format!("f{}", self.handles.swap_remove(place).1));
        }
        None
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.random.usize(..from.len())]
    }

    /// Mostly one that is open.
    fn handle(&mut self) -> i64 {
        let open = self.random.choice(&self.handles).filter(|_| self.random.u32(..10) > 0);
        open.map_or_else(|| self.random.i64(-2..1005), |(handle, _)| *handle)
    }

    /// Name and arguments of a request that may succeed.
    fn command(&mut self) -> (&'static str, Vec<(String, String)>) {
        let member = |name: &str, value: String| (name.to_owned(), value);
        let (handle, random) = (self.handle(), self.random.u32(..100));
        match random {
            0..8 => ("guest-sync", vec![member("id", self.integer())]),
            8..16 => ("guest-sync-delimited", vec![member("id", self.integer())]),
            16..22 => ("guest-ping", vec![]),
            22..24 => ("guest-info", vec![]),
            24..28 => ("guest-fsfreeze-status", vec![]),
            28..40 => self.open(),
            40..45 => ("guest-file-close", vec![member("handle", handle.to_string())]),
            45..60 => {
                let mut arguments = vec![member("handle", handle.to_string())];
                if self.random.bool() {
                    let count = self.random.i64(-1..9000);
                    arguments.push(member("count", count.to_string()));
                }
                ("guest-file-read", arguments)
            }
            60..80 => ("guest-file-write", self.write(handle)),
            80..93 => {
                let whence =
                    self.pick(&["0", "1", "2", "\"set\"", "\"cur\"", "\"end\"", "3", "-1"]);
                let offset = self.random.i64(-3000..20_000).to_string();
                let handle = handle.to_string();
                let arguments =
                    [("handle", handle), ("offset", offset), ("whence", whence.to_owned())];
                ("guest-file-seek", arguments.map(|(name, value)| member(name, value)).to_vec())
            }
            _ => ("guest-file-flush", vec![member("handle", handle.to_string())]),
        }
    }

    fn open(&mut self) -> (&'static str, Vec<(String, String)>) {
        let free = (0..FILES).find(|file| self.handles.iter().all(|(_, open)| open != file));
        let path = match free {
            Some(file) => format!("\"f{file}\""),
            None => self
                .pick(&["\"none/f\"", "\"\"", "\"none/n\\u0000\"", "\"none/\u{20ac}\""])
                .to_owned(),
        };
        let path = if self.random.u32(..12) == 0 { "\"gone/\u{1F600}\"".to_owned() } else { path };
        let mut arguments = vec![("path".to_owned(), path)];
        let modes = ["r", "w", "a", "rb", "wb", "ab", "r+", "w+", "a+", "rb+", "r+b", "w+b", "ab+"];
        let odd_modes = ["x", "rw", "", "r++", "R", "+", "wbb", "\\u0072"];
        if self.random.u32(..8) > 0 {
            let modes = if self.random.u32(..8) == 0 { &odd_modes[..] } else { &modes[..] };
            arguments.push(("mode".to_owned(), format!("\"{}\"", self.pick(modes))));
        }
        ("guest-file-open", arguments)
    }

    fn write(&mut self, handle: i64) -> Vec<(String, String)> {
        let alphabet = base64::alphabet::STANDARD.as_str().as_bytes();
        let most = if self.random.u32(..10) == 0 { 3000 } else { 20 };
        let quads = self.random.usize(..most);
        let mut text = String::new();
        for quad in 0..quads {
            if quad > 0 && quad % 19 == 0 && self.random.bool() {
                text.push_str("\\n");
            }
            (0..4).for_each(|_| text.push(char::from(alphabet[self.random.usize(..64)])));
        }
        let tail = self.pick(&["", "QQ==", "QUI=", "QQ==\\n"]);
        text.push_str(tail);
        let mut count = None;
        if self.random.u32(..8) == 0 {
            // Not base64, or not as everybody reads it: with a count of 0 no file can come out
            // different.
            let odd = [
                "!", " ", "-", "_", "\\r", "=", "A", "QQ", "====", "=QQQ", "\u{e9}", "\\u0000",
                "Q=Q=",
            ];
            let at = self.random.usize(..=quads) * 4;
            let at = (at..=text.len()).find(|&at| !text[..at].ends_with('\\')).unwrap_or(0);
            text.insert_str(at, self.pick(&odd));
            count = Some(0);
        } else if self.random.u32(..4) == 0 {
            count = Some(self.random.i64(-1..quads as i64 * 3 + 3));
        }
        let mut arguments = vec![
            ("handle".to_owned(), handle.to_string()),
            ("buf-b64".to_owned(), format!("\"{text}\"")),
        ];
        arguments.extend(count.map(|count| ("count".to_owned(), count.to_string())));
        self.random.shuffle(&mut arguments);
        arguments
    }

    fn integer(&mut self) -> String {
        match self.random.u32(..6) {
            0 => self.random.i64(..).to_string(),
            1 => self.pick(&["0", "-0", "9223372036854775807", "-9223372036854775808"]).to_owned(),
            2 => self.random.i64(1_700_000_000_000..1_900_000_000_000).to_string(),
            _ => self.random.i64(-100..100_000).to_string(),
        }
    }

    /// Any JSON value, in QEMU's dialect.
    fn value(&mut self, depth: u32) -> String {
        match self.random.u32(..if depth > 4 { 7 } else { 10 }) {
            0 => self.pick(&["null", "true", "false"]).to_owned(),
            1 => self.integer(),
            2 => self
                .pick(&[
                    "1.5",
                    "-0.25",
                    "1e3",
                    "1E-2",
                    "18446744073709551615",
                    "9223372036854775808",
                    "0.1",
                ])
                .to_owned(),
            3 => "99999999999999999999999999".to_owned(),
            4..7 => self.string(),
            7 => {
                let count = self.random.usize(..4);
                let items: Vec<_> = (0..count).map(|_| self.value(depth + 1)).collect();
                format!("[{}]", items.join(self.pick(&[",", ", ", " ,\t"])))
            }
            _ => {
                let count = self.random.usize(..4);
                let members: Vec<_> = (0..count)
                    .map(|number| format!("\"k{number}\":{}", self.value(depth + 1)))
                    .collect();
                format!("{{{}}}", members.join(self.pick(&[",", ", "])))
            }
        }
    }

    fn string(&mut self) -> String {
        let parts = [
            "a",
            "key",
            " ",
            "\u{e9}",
            "\u{20ac}",
            "\u{1F600}",
            "\\n",
            "\\u00e9",
            "\\ud83d\\ude00",
            "\\/",
            "/",
            "\\\\",
            "\\u0000",
            "\\u007f",
            "\u{7f}",
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "0",
            "%s",
            "#",
        ];
        let count = self.random.usize(..6);
        let text: String = (0..count).map(|_| self.pick(&parts)).collect();
        match self.random.u32(..4) {
            0 => format!("'{text}\"'"),
            1 => format!("\"{text}'\\\"\""),
            _ => format!("\"{text}\""),
        }
    }

    fn assemble(&mut self, name: &str, arguments: &[(String, String)]) -> String {
        let mut members = vec![format!("\"execute\":\"{name}\"")];
        if !arguments.is_empty() || self.random.bool() {
            let mut text = String::new();
            for (name, value) in arguments {
                let comma = if text.is_empty() { "" } else { "," };
                let _ = write!(text, "{comma}\"{name}\":{value}");
            }
            members.push(format!("\"arguments\":{{{text}}}"));
        }
        if self.random.u32(..3) == 0 {
            members.push(format!("\"id\":{}", self.value(0)));
        }
        self.random.shuffle(&mut members);
        let separator = self.pick(&[",", ", ", " ,\n", "\r\n,\t"]);
        format!("{{{}}}", members.join(separator))
    }

    fn valid(&mut self) -> String {
        let (name, arguments) = self.command();
        self.assemble(name, &arguments)
    }

    /// One thing is wrong.
    fn odd(&mut self) -> String {
        let (name, mut arguments) = self.command();
        match self.random.u32(..12) {
            0..4 if !arguments.is_empty() => {
                let at = self.random.usize(..arguments.len());
                // What a number becomes must not be a number that works: it could be a handle.
                arguments[at].1 = match self.random.u32(..6) {
                    0 => "1.0".to_owned(),
                    1 => "null".to_owned(),
                    2 => "true".to_owned(),
                    3 => "[]".to_owned(),
                    4 => "{}".to_owned(),
                    _ => "99999999999999999999".to_owned(),
                };
                self.assemble(name, &arguments)
            }
            4 | 5 if !arguments.is_empty() => {
                let at = self.random.usize(..arguments.len());
                // Without its count of 0 a write could leave different files.
                if arguments[at].0 != "count" {
                    arguments.remove(at);
                }
                self.assemble(name, &arguments)
            }
            6 | 7 => {
                let extra = self.pick(&["x", "Handle", "", "id ", "\\u00e9", "path2", "a\\\"b"]);
                let value = self.value(0);
                arguments.push((extra.to_owned(), value));
                self.assemble(name, &arguments)
            }
            8 => {
                let unknown =
                    ["guest-nope", "", "guest_ping", "Guest-ping", "ping", "\u{e9}", "guest-ping "];
                let name = self.pick(&unknown);
                self.assemble(name, &arguments)
            }
            9 => {
                let member = self.pick(&[
                    "\"arguments\":null",
                    "\"arguments\":[]",
                    "\"arguments\":\"x\"",
                    "\"execute\":1,\"arguments\":{}",
                    "\"execute\":null",
                    "\"exec-oob\":\"guest-ping\"",
                    "\"control\":{}",
                    "\"Execute\":\"guest-ping\"",
                ]);
                let execute =
                    if member.contains("\"execute\"") { "" } else { "\"execute\":\"guest-ping\"," };
                format!("{{{execute}{member}}}")
            }
            10 => self.large(),
            _ => {
                let (first, second) = (self.value(0), self.valid_without_files());
                format!("{first} {second}")
            }
        }
    }

    /// At the limits of ours: deep, with many members, or with a long text that an error quotes.
    fn large(&mut self) -> String {
        let count = self.random.usize(50..140);
        match self.random.u32(..5) {
            0 => {
                // The test's own parser takes 127 levels.
                let levels = count.min(120);
                let (open, close) = ("[".repeat(levels), "]".repeat(levels));
                format!("{{\"execute\":\"guest-ping\",\"id\":{open}{close}}}")
            }
            1 => {
                let members: Vec<_> = (0..count).map(|number| format!("\"m{number}\":0")).collect();
                format!("{{\"execute\":\"guest-ping\",\"id\":{{{}}}}}", members.join(","))
            }
            2 => format!("{{\"execute\":\"{}\"}}", "guest-x".repeat(count)),
            _ => self.value(0),
        }
    }

    fn valid_without_files(&mut self) -> String {
        loop {
            let (name, arguments) = self.command();
            if !name.starts_with("guest-file") {
                return self.assemble(name, &arguments);
            }
        }
    }

    /// A request that names no file with some bytes changed: a changed path could lead anywhere.
    fn broken(&mut self) -> Vec<u8> {
        let mut bytes = match self.random.u32(..4) {
            0 => self.value(0).into_bytes(),
            1 => [self.valid_without_files(), self.valid_without_files()].concat().into_bytes(),
            _ => self.valid_without_files().into_bytes(),
        };
        // On one line: what a reader passes over after a stray byte ends there.
        bytes.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
        for _ in 0..=self.random.u32(..3) {
            if bytes.is_empty() {
                break;
            }
            let at = self.random.usize(..bytes.len());
            match self.random.u32(..6) {
                0 => drop(bytes.remove(at)),
                1 => bytes[at] = self.byte(),
                2 => bytes.truncate(at),
                3 => bytes.insert(at, bytes[at]),
                _ => {
                    let byte = self.byte();
                    bytes.insert(at, byte);
                }
            }
        }
        bytes
    }

    fn byte(&mut self) -> u8 {
        match self.random.u32(..10) {
            0 => self.random.u8(..=0xFE),
            1 => self.random.u8(0x80..=0xF4),
            2 => self.random.u8(..0x20),
            _ => self
                .random
                .choice(b"{}[]:,\"'\\ 0159-.eEuntfas@#xA".iter())
                .copied()
                .unwrap_or(b'{'),
        }
    }
}
