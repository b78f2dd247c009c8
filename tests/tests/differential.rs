//! Debian's qemu-ga and ours side by side on random requests: every difference must be a listed
//! one.
//!
//! `QGA_DIFFERENTIAL_REQUESTS` is how many (100,000 unless set), `QGA_DIFFERENTIAL_SEED` where they
//! begin.

use qga_tests::agent::{Agent, Options};
use qga_tests::compare::{DIFFERENCES, compare};
use qga_tests::connection::{Connection, shown};
use qga_tests::requests::Requests;
use qga_tests::{program, skip};

const REQUESTS: u64 = 100_000;
const SEED: u64 = 20_260_101;
/// So many findings are printed before the test gives up.
const FINDINGS_MAX: usize = 12;
/// After so many requests both agents start anew.
const RESTART_AFTER: u64 = 5_000;

fn setting(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => {
            text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}"))
        }
        Err(_) => otherwise,
    }
}

/// One agent and a client of it.
struct Side {
    client: Connection,
    agent: Agent,
}

impl Side {
    fn start(binary: Option<std::path::PathBuf>) -> Self {
        let agent = Agent::start(Options { binary, ..Options::default() });
        Side { client: agent.connect(), agent }
    }

    /// A file in the agent's folder.
    fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.agent.folder.join(name)).unwrap_or_default()
    }

    fn send(&mut self, request: &[u8], sync: u64) {
        // The newline ends a number or keyword at the end of the request.
        let sync =
            format!("{{\"execute\":\"guest-sync-delimited\",\"arguments\":{{\"id\":{sync}}}}}\n");
        self.client.send([request, b"\n\xff", sync.as_bytes()].concat());
    }

    /// All lines before the sync's answer.
    fn replies(&mut self, sync: u64) -> Vec<Vec<u8>> {
        let end = format!("{{\"return\": {sync}}}\n").into_bytes();
        let mut lines = Vec::new();
        loop {
            let line = self.client.line();
            if line.strip_prefix(b"\xff") == Some(&end) {
                return lines;
            }
            lines.push(line);
        }
    }
}

/// The requests can do no harm; this makes sure of it.
fn assert_harmless(request: &[u8]) {
    let text = String::from_utf8_lossy(request);
    let harmful = "guest-shutdown guest-suspend guest-exec guest-set guest-ssh guest-fstrim \
        guest-fsfreeze-freeze guest-fsfreeze-thaw";
    for word in harmful.split_whitespace() {
        assert!(!text.contains(word), "a random request must not say {word}: {text}");
    }
}

/// What was done with the file of a request before: every earlier request that names its handle.
fn past_of_handle(history: &[String], request: &[u8]) -> String {
    let text = String::from_utf8_lossy(request);
    let Some((_, rest)) = text.split_once("\"handle\":") else { return String::new() };
    let handle = rest.split([',', '}']).next().unwrap_or_default();
    let (named, opened) =
        (format!("\"handle\":{handle}").escape_default().to_string(), format!(": {handle}"));
    let of_handle = |line: &&String| {
        let opens = line.contains("file-open") && line.contains(&opened);
        opens || [",", "}"].iter().any(|end| line.contains(&format!("{named}{end}")))
    };
    history.iter().filter(of_handle).map(|line| format!("\n    before: {line}")).collect()
}

#[test]
fn random_requests() {
    let Some(reference) = program("qemu-ga") else {
        return skip(
            "differential::random_requests",
            "needs Debian's qemu-ga (package qemu-guest-agent)",
        );
    };
    let seed = setting("QGA_DIFFERENTIAL_SEED", SEED);
    let count = setting("QGA_DIFFERENTIAL_REQUESTS", REQUESTS);
    let mut requests = Requests::new(seed);
    let mut sides = None;
    let mut seen = [0_u64; DIFFERENCES.len()];
    let mut findings = Vec::new();
    let mut history: Vec<String> = Vec::new();
    for number in 0..count {
        if number % RESTART_AFTER == 0 {
            sides = None;
        }
        let (theirs, ours) = sides.get_or_insert_with(|| {
            requests.restart();
            history.clear();
            (Side::start(Some(reference.clone())), Side::start(None))
        });
        let (kind, request) = requests.make();
        assert_harmless(&request);
        // No id of a random request is as large as this.
        let sync = (1 << 62) + number;
        theirs.send(&request, sync);
        ours.send(&request, sync);
        let (theirs, ours) = (theirs.replies(sync), ours.replies(sync));
        match compare(&request, &theirs, &ours) {
            Ok(used) => used.iter().for_each(|difference| seen[*difference as usize] += 1),
            Err(why) => {
                let past = past_of_handle(&history, &request);
                let lines = |lines: &[Vec<u8>]| -> String {
                    lines.iter().map(|line| format!("\n      {}", shown(line))).collect()
                };
                let (request, theirs, ours) = (shown(&request), lines(&theirs), lines(&ours));
                let head = format!("request {number} of seed {seed} ({kind:?}): {why}");
                findings.push(format!(
                    "{head}\n    {request}\n    reference:{theirs}\n    ours:{ours}{past}"
                ));
                sides = None;
                continue;
            }
        }
        let reply = ours.first().map(|line| shown(line)).unwrap_or_default();
        history.push(format!("{} -> {reply}", shown(&request)));
        let reply: Option<serde_json::Value> =
            ours.first().and_then(|line| serde_json::from_slice(line).ok());
        let returned = reply.as_ref().and_then(|reply| reply.get("return"));
        if let Some(file) = requests.replied(&request, returned) {
            let (theirs, ours) =
                sides.as_ref().map(|(a, b)| (a.file(&file), b.file(&file))).unwrap();
            if theirs != ours {
                let (theirs, ours) = (theirs.escape_ascii(), ours.escape_ascii());
                let past = past_of_handle(&history, &request);
                findings.push(format!(
                    "request {number} of seed {seed} left different files\n    reference: {theirs}\n    ours:      {ours}{past}"
                ));
                sides = None;
            }
        }
        if findings.len() >= FINDINGS_MAX {
            break;
        }
    }
    for ((name, reason), seen) in DIFFERENCES.iter().zip(seen) {
        println!("{seen:>8} x {name}: {reason}");
    }
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}
