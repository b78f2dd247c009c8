//! The acts that only ask: simple commands, the file commands, odd and broken requests. Each reply is
//! foretold by the model as far as no call failed.

use crate::channel::Rest;
use crate::guest::{MODES, PATHS};
use crate::model::Mode;
use crate::play::Play;
use crate::reply::{self, Answer};
use crate::source::Source;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use qga_core::command::Table;
use qga_core::limits::{HANDLES_MAX, READ_COUNT_MAX};
use qga_sim::Sim;

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

impl<S: Source> Play<S> {
    /// The number of platform calls so far.
    pub(crate) fn calls(&self) -> u64 {
        self.session.sim.with(|world| world.faults.calls())
    }

    /// Whether a call has failed since there were `calls`.
    pub(crate) fn failed_since(&self, calls: u64) -> bool {
        self.session.sim.with(|world| world.faults.failed_since(calls))
    }

    /// Bytes as they are: what comes back must be JSON, lines of it, and nothing else.
    pub(crate) fn raw(&mut self) {
        let len = usize::from(self.source.byte());
        self.request.clear();
        let Play { source, request, .. } = self;
        source.bytes(len, request);
        let rest = self.exchange();
        reply::judge_lines(&self.output);
        self.dirty = true;
        self.look_again();
        // Whatever these handles are now.
        self.model.files.clear();
        // A thaw may be among the bytes, with a count for a reply, and whomever it was for.
        if rest != Rest::Idle || reply::counts_something(&self.output) {
            self.allow_thaws_of_others();
        }
        self.sure = false;
        self.late = self.late.ended(false);
        self.due_ms = None;
    }

    pub(crate) fn odd(&mut self) {
        let choice = usize::from(self.source.byte()) % (ODD.len() + 1);
        let odd = ODD.get(choice).copied().unwrap_or("more than fits the frame");
        self.begin();
        if choice < ODD.len() {
            self.request.extend_from_slice(odd.as_bytes());
        } else {
            self.append("guest-file-open", format_args!("\"path\": \"{:x>3000}\"", ""));
            self.request.pop();
        }
        self.request.push(b'\n');
        if self.exchange() == Rest::Idle {
            let replies = reply::judge_lines(&self.output);
            assert_eq!(replies, 1, "replies to {odd}: {}", self.output.escape_ascii());
        }
    }

    pub(crate) fn simple(&mut self) {
        match self.source.byte() % 4 {
            0 => {
                let id = self.source.number();
                if let Some(value) = self.must("guest-sync", format_args!("\"id\": {id}")) {
                    assert_eq!(reply::number(self.text(value)), id);
                }
            }
            1 => {
                if let Some(value) = self.must("guest-ping", format_args!("")) {
                    assert_eq!(self.text(value), b"{}");
                }
            }
            2 => {
                if let Some(value) = self.must("guest-info", format_args!("")) {
                    let commands = self.text(value).windows(8).filter(|part| part == b"\"name\": ");
                    assert_eq!(commands.count(), Table::<Sim>::ROWS.len());
                }
            }
            _ => self.get_time(),
        }
    }

    /// Asks for a command that always works; what it returns, unless there is nobody who could.
    pub(crate) fn must(
        &mut self,
        command: &str,
        arguments: std::fmt::Arguments<'_>,
    ) -> Option<std::ops::Range<usize>> {
        match self.ask(command, arguments) {
            Answer::Value(at) => Some(at),
            Answer::None => None,
            Answer::Error { .. } => panic!("{command}: {}", self.output.escape_ascii()),
        }
    }

    fn get_time(&mut self) {
        let (frozen, calls) = (self.session.agent().is_frozen(), self.calls());
        let time = self.session.sim.with(|world| world.time);
        let ns = time.epoch_ms.saturating_add(time.now_ms).checked_mul(1_000_000);
        let ns = ns.and_then(|ns| i64::try_from(ns).ok());
        match self.ask("guest-get-time", format_args!("")) {
            Answer::Value(at) => assert_eq!(Some(reply::number(self.text(at))), ns),
            Answer::Error { not_found } => {
                assert_eq!(not_found, frozen, "guest-get-time");
                assert!(frozen || ns.is_none() || self.failed_since(calls), "knows the time");
            }
            Answer::None => {}
        }
    }

    /// A handle: mostly one that is open.
    fn handle(&mut self) -> i64 {
        let choice = usize::from(self.source.byte());
        let files = &self.model.files;
        let file = files.get(choice % (files.len() + 1));
        file.map_or(choice as i64 + 990, |file| file.handle)
    }

    pub(crate) fn open(&mut self) {
        let path = usize::from(self.source.byte()) % PATHS.len();
        let text = self.source.one_of(&MODES);
        let (mode, name) = (Mode::new(text), PATHS[path]);
        let (frozen, calls) = (self.session.agent().is_frozen(), self.calls());
        let full = self.session.agent().state().files.len() == HANDLES_MAX;
        let must = mode.map_or(Some(false), |mode| self.model.opens(path, mode));
        let arguments = format_args!("\"path\": \"{name}\", \"mode\": \"{text}\"");
        let answer = self.ask("guest-file-open", arguments);
        let undisturbed = !self.failed_since(calls);
        match answer {
            Answer::Value(at) => {
                let handle = reply::number(self.text(at));
                assert!(!frozen && !full, "opened although it may not");
                assert_ne!(must, Some(false), "opened what cannot be opened");
                self.model.opened(handle, path, mode.expect("a mode"));
            }
            Answer::Error { not_found } => {
                assert_eq!(not_found, frozen, "the wrong class of error");
                let expected = frozen || full || must != Some(true);
                assert!(expected || !undisturbed, "{name} {text}: could have been opened");
                // The file may have been made or emptied before something else failed.
                self.session.sim.with(|world| self.model.look_again(world, path));
            }
            Answer::None => {}
        }
    }

    pub(crate) fn close(&mut self) {
        let handle = self.handle();
        let (frozen, calls) = (self.session.agent().is_frozen(), self.calls());
        let known = self.model.file(handle).is_some();
        let answer = self.ask("guest-file-close", format_args!("\"handle\": {handle}"));
        let undisturbed = !self.failed_since(calls);
        match answer {
            Answer::Value(_) => {
                assert!(!frozen, "closed while frozen");
                assert!(known || !self.model.complete, "closed {handle}, which was not open");
            }
            Answer::Error { not_found } => {
                assert_eq!(not_found, frozen, "the wrong class of error");
                assert!(frozen || !known || !undisturbed, "{handle} could have been closed");
            }
            Answer::None => return,
        }
        // Also when the close itself fails the handle is gone.
        if !frozen {
            self.model.files.retain(|file| file.handle != handle);
        }
    }

    pub(crate) fn flush(&mut self) {
        let handle = self.handle();
        let frozen = self.session.agent().is_frozen();
        let known = self.model.file(handle).is_some();
        match self.ask("guest-file-flush", format_args!("\"handle\": {handle}")) {
            Answer::Value(_) => assert!(!frozen && (known || !self.model.complete)),
            Answer::Error { not_found } => assert!(not_found == frozen && (frozen || !known)),
            Answer::None => {}
        }
    }

    pub(crate) fn read(&mut self) {
        let handle = self.handle();
        let count = self.source.number();
        let (frozen, calls) = (self.session.agent().is_frozen(), self.calls());
        let arguments = format_args!("\"handle\": {handle}, \"count\": {count}");
        let answer = self.ask("guest-file-read", arguments);
        let undisturbed = !self.failed_since(calls);
        let file = self.model.file(handle).copied();
        let gives = |play: &Self| {
            let count = usize::try_from(count).unwrap_or(0);
            let given =
                file.and_then(|file| play.model.gives(&file, count).map(|(b, e)| (b.to_vec(), e)));
            given.filter(|_| file.is_some_and(|file| file.mode.reads || count == 0))
        };
        match answer {
            Answer::Value(at) => {
                assert!(!frozen, "read while frozen");
                assert!((0..=READ_COUNT_MAX).contains(&count), "a read of {count}");
                let (base64, said, eof) = reply::read_value(self.text(at));
                let bytes = BASE64.decode(base64);
                let bytes = bytes.unwrap_or_else(|error| panic!("{error}: {base64}"));
                assert_eq!(said, bytes.len(), "another count than bytes");
                assert!(bytes.len() as i64 <= count, "more than was asked for");
                let Some((there, ends)) = gives(self) else { return };
                assert!(there.starts_with(&bytes), "not what is in the file");
                let ends = ends && bytes.len() == there.len();
                assert!(!eof || ends, "an end that is none");
                if undisturbed {
                    assert_eq!((bytes.len(), eof), (there.len(), ends), "shorter than it could");
                }
                if let Some(file) = self.model.file(handle) {
                    file.position = file.position.map(|at| at + bytes.len() as u64);
                }
            }
            Answer::Error { not_found } => {
                assert_eq!(not_found, frozen, "the wrong class of error");
                let possible = (0..=READ_COUNT_MAX).contains(&count) && gives(self).is_some();
                assert!(frozen || !possible || !undisturbed, "{handle} could have been read");
            }
            Answer::None => {}
        }
    }

    pub(crate) fn write(&mut self) {
        let handle = self.handle();
        let len = usize::from(self.source.byte());
        let mut bytes = Vec::with_capacity(256);
        self.source.bytes(len, &mut bytes);
        let mut text = BASE64.encode(&bytes);
        let way = self.source.byte();
        match way {
            1 => text.insert_str(text.len() / 2, "\\n"),
            2 => text.truncate(text.trim_end_matches('=').len()),
            3 => text.push('!'),
            _ => {}
        }
        // The `count` argument: less than there is, or more.
        let limit = match way {
            8..=15 => Some(bytes.len() / 2),
            16..=17 => Some(bytes.len() + 1),
            _ => None,
        };
        let (frozen, calls) = (self.session.agent().is_frozen(), self.calls());
        let free = self.session.sim.with(|world| world.files.free_bytes);
        let file = self.model.file(handle).copied();
        let wanted = limit.unwrap_or(bytes.len());
        let takes = file.and_then(|file| self.model.takes(&file, wanted, free));
        let answer = match limit {
            Some(count) => {
                let arguments = format_args!(
                    "\"handle\": {handle}, \"buf-b64\": \"{text}\", \"count\": {count}"
                );
                self.ask("guest-file-write", arguments)
            }
            None => {
                let arguments = format_args!("\"handle\": {handle}, \"buf-b64\": \"{text}\"");
                self.ask("guest-file-write", arguments)
            }
        };
        let undisturbed = !self.failed_since(calls);
        match answer {
            Answer::Value(at) => {
                assert!(!frozen, "written while frozen");
                assert!(way != 3 && wanted <= bytes.len(), "took what is wrong");
                let count = reply::between(self.text(at), "{\"count\": ", ", \"eof\": false}");
                let count = usize::try_from(reply::number(count)).expect("a count");
                assert!(count <= wanted, "more than was sent");
                if let (Some(takes), true) = (takes, undisturbed && way != 1 && way != 2) {
                    assert_eq!(Ok(count), takes, "another count than there was room for");
                }
                self.model.wrote(handle, &bytes[..count]);
                // Where it went is not known: its place was lost, or the handle is none of ours.
                if !file.is_some_and(|file| file.mode.appends || file.position.is_some()) {
                    self.session.sim.with(|world| self.model.look_at_all(world));
                }
            }
            Answer::Error { not_found } => {
                assert_eq!(not_found, frozen, "the wrong class of error");
                let possible = matches!(takes, Some(Ok(_))) && wanted <= bytes.len();
                let plain = undisturbed && !frozen && !(1..=3).contains(&way);
                assert!(!(plain && possible), "{handle} could have been written to");
            }
            Answer::None => return,
        }
        if let Some(file) = file {
            self.session.sim.with(|world| self.model.compare(world, file.path));
        }
    }

    pub(crate) fn seek(&mut self) {
        const WHENCES: [(&str, u8); 7] = [
            ("\"set\"", 0),
            ("\"cur\"", 1),
            ("\"end\"", 2),
            ("0", 0),
            ("1", 1),
            ("2", 2),
            ("3", 3),
        ];
        let handle = self.handle();
        let (whence, meaning) = self.source.one_of(&WHENCES);
        let offset = self.source.number();
        let (frozen, calls) = (self.session.agent().is_frozen(), self.calls());
        let arguments =
            format_args!("\"handle\": {handle}, \"offset\": {offset}, \"whence\": {whence}");
        let answer = self.ask("guest-file-seek", arguments);
        let undisturbed = !self.failed_since(calls);
        let file = self.model.file(handle).copied();
        let leads = file.and_then(|file| self.model.leads(&file, offset, meaning));
        match answer {
            Answer::Value(at) => {
                assert!(!frozen, "moved while frozen");
                let at = reply::between(self.text(at), "{\"position\": ", ", \"eof\": false}");
                let at = u64::try_from(reply::number(at)).expect("a position");
                assert!(leads.is_none_or(|leads| leads == Some(at)), "{at} instead of {leads:?}");
                if let Some(file) = self.model.file(handle) {
                    let regular = crate::model::kind(file.path) == crate::model::Kind::Regular;
                    file.position = regular.then_some(at);
                }
            }
            Answer::Error { not_found } => {
                assert_eq!(not_found, frozen, "the wrong class of error");
                let possible = matches!(leads, Some(Some(_)));
                assert!(frozen || !possible || !undisturbed, "{handle} could have been moved");
            }
            Answer::None => {}
        }
    }
}
