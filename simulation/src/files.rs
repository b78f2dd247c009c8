//! The acts on files: a handle or a path comes in; one of the file commands is asked for, and a
//! panic goes out if its reply is not what the model foretells, as far as no call failed.
//! Invariant: the model holds what the files hold.

use crate::ask::ask;
use crate::client::Client;
use crate::guest::{MODES, PATHS};
use crate::model::{Kind, Mode, Model, kind};
use crate::record::Record;
use crate::reply::{self, Answer};
use crate::source::Source;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use qga_core::limits::{HANDLES_MAX, READ_COUNT_MAX};

/// A handle: mostly one that is open.
fn handle<S: Source>(client: &mut Client<S>, record: &mut Record) -> i64 {
    let choice = usize::from(client.source.byte());
    let files = &record.model.files;
    let file = files.get(choice % (files.len() + 1));
    file.map_or(choice as i64 + 990, |file| file.handle)
}

/// guest-file-open.
pub fn open<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let path = usize::from(client.source.byte()) % PATHS.len();
    let text = client.source.one_of(&MODES);
    let (mode, name) = (Mode::new(text), PATHS[path]);
    let (frozen, calls) = (client.is_frozen(), client.calls());
    let full = client.session.agent().state().files.len() == HANDLES_MAX;
    let must = mode.map_or(Some(false), |mode| record.model.opens(path, mode));
    let arguments = format_args!("\"path\": \"{name}\", \"mode\": \"{text}\"");
    let answer = ask(client, record, "guest-file-open", arguments);
    let undisturbed = !client.failed_since(calls);
    match answer {
        Answer::Value(at) => {
            let handle = reply::number(client.text(at));
            assert!(!frozen && !full, "opened although it may not");
            assert_ne!(must, Some(false), "opened what cannot be opened");
            record.model.opened(handle, path, mode.expect("a mode"));
        }
        Answer::Error { not_found } => {
            assert_eq!(not_found, frozen, "the wrong class of error");
            let expected = frozen || full || must != Some(true);
            assert!(expected || !undisturbed, "{name} {text}: could have been opened");
            // The file may have been made or emptied before something else failed.
            client.session.sim.with(|world| record.model.look_again(world, path));
        }
        Answer::None => {}
    }
}

/// guest-file-close.
pub fn close<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let handle = handle(client, record);
    let (frozen, calls) = (client.is_frozen(), client.calls());
    let known = record.model.file(handle).is_some();
    let answer = ask(client, record, "guest-file-close", format_args!("\"handle\": {handle}"));
    let undisturbed = !client.failed_since(calls);
    match answer {
        Answer::Value(_) => {
            assert!(!frozen, "closed while frozen");
            assert!(known || !record.model.complete, "closed {handle}, which was not open");
        }
        Answer::Error { not_found } => {
            assert_eq!(not_found, frozen, "the wrong class of error");
            assert!(frozen || !known || !undisturbed, "{handle} could have been closed");
        }
        Answer::None => return,
    }
    // Also when the close itself fails the handle is gone.
    if !frozen {
        record.model.files.retain(|file| file.handle != handle);
    }
}

/// guest-file-flush.
pub fn flush<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let handle = handle(client, record);
    let frozen = client.is_frozen();
    let known = record.model.file(handle).is_some();
    match ask(client, record, "guest-file-flush", format_args!("\"handle\": {handle}")) {
        Answer::Value(_) => assert!(!frozen && (known || !record.model.complete)),
        Answer::Error { not_found } => assert!(not_found == frozen && (frozen || !known)),
        Answer::None => {}
    }
}

/// guest-file-read.
pub fn read<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let handle = handle(client, record);
    let count = client.source.number();
    let (frozen, calls) = (client.is_frozen(), client.calls());
    let arguments = format_args!("\"handle\": {handle}, \"count\": {count}");
    let answer = ask(client, record, "guest-file-read", arguments);
    let undisturbed = !client.failed_since(calls);
    let file = record.model.file(handle).copied();
    let gives = |model: &Model| {
        let count = usize::try_from(count).unwrap_or(0);
        let given = file.and_then(|file| model.gives(&file, count).map(|(b, e)| (b.to_vec(), e)));
        given.filter(|_| file.is_some_and(|file| file.mode.reads || count == 0))
    };
    match answer {
        Answer::Value(at) => {
            assert!(!frozen, "read while frozen");
            assert!((0..=READ_COUNT_MAX).contains(&count), "a read of {count}");
            let (base64, said, eof) = reply::read_value(client.text(at));
            let bytes = BASE64.decode(base64);
            let bytes = bytes.unwrap_or_else(|error| panic!("{error}: {base64}"));
            assert_eq!(said, bytes.len(), "another count than bytes");
            assert!(bytes.len() as i64 <= count, "more than was asked for");
            let Some((there, ends)) = gives(&record.model) else { return };
            assert!(there.starts_with(&bytes), "not what is in the file");
            let ends = ends && bytes.len() == there.len();
            assert!(!eof || ends, "an end that is none");
            if undisturbed {
                assert_eq!((bytes.len(), eof), (there.len(), ends), "shorter than it could");
            }
            if let Some(file) = record.model.file(handle) {
                file.position = file.position.map(|at| at + bytes.len() as u64);
            }
        }
        Answer::Error { not_found } => {
            assert_eq!(not_found, frozen, "the wrong class of error");
            let possible = (0..=READ_COUNT_MAX).contains(&count) && gives(&record.model).is_some();
            assert!(frozen || !possible || !undisturbed, "{handle} could have been read");
        }
        Answer::None => {}
    }
}

/// guest-file-write.
pub fn write<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let handle = handle(client, record);
    let len = usize::from(client.source.byte());
    let mut bytes = Vec::with_capacity(256);
    client.source.bytes(len, &mut bytes);
    let mut text = BASE64.encode(&bytes);
    let way = client.source.byte();
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
    let (frozen, calls) = (client.is_frozen(), client.calls());
    let free = client.session.sim.with(|world| world.files.free_bytes);
    let file = record.model.file(handle).copied();
    let wanted = limit.unwrap_or(bytes.len());
    let takes = file.and_then(|file| record.model.takes(&file, wanted, free));
    let answer = match limit {
        Some(count) => {
            let arguments =
                format_args!("\"handle\": {handle}, \"buf-b64\": \"{text}\", \"count\": {count}");
            ask(client, record, "guest-file-write", arguments)
        }
        None => {
            let arguments = format_args!("\"handle\": {handle}, \"buf-b64\": \"{text}\"");
            ask(client, record, "guest-file-write", arguments)
        }
    };
    let undisturbed = !client.failed_since(calls);
    match answer {
        Answer::Value(at) => {
            assert!(!frozen, "written while frozen");
            assert!(way != 3 && wanted <= bytes.len(), "took what is wrong");
            let count = reply::between(client.text(at), "{\"count\": ", ", \"eof\": false}");
            let count = usize::try_from(reply::number(count)).expect("a count");
            assert!(count <= wanted, "more than was sent");
            if let (Some(takes), true) = (takes, undisturbed && way != 1 && way != 2) {
                assert_eq!(Ok(count), takes, "another count than there was room for");
            }
            record.model.wrote(handle, &bytes[..count]);
            // Where it went is not known: its place was lost, or the handle is none of ours.
            if !file.is_some_and(|file| file.mode.appends || file.position.is_some()) {
                client.session.sim.with(|world| record.model.look_at_all(world));
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
        client.session.sim.with(|world| record.model.compare(world, file.path));
    }
}

/// guest-file-seek.
pub fn seek<S: Source>(client: &mut Client<S>, record: &mut Record) {
    const WHENCES: [(&str, u8); 7] =
        [("\"set\"", 0), ("\"cur\"", 1), ("\"end\"", 2), ("0", 0), ("1", 1), ("2", 2), ("3", 3)];
    let handle = handle(client, record);
    let (whence, meaning) = client.source.one_of(&WHENCES);
    let offset = client.source.number();
    let (frozen, calls) = (client.is_frozen(), client.calls());
    let arguments =
        format_args!("\"handle\": {handle}, \"offset\": {offset}, \"whence\": {whence}");
    let answer = ask(client, record, "guest-file-seek", arguments);
    let undisturbed = !client.failed_since(calls);
    let file = record.model.file(handle).copied();
    let leads = file.and_then(|file| record.model.leads(&file, offset, meaning));
    match answer {
        Answer::Value(at) => {
            assert!(!frozen, "moved while frozen");
            let at = reply::between(client.text(at), "{\"position\": ", ", \"eof\": false}");
            let at = u64::try_from(reply::number(at)).expect("a position");
            assert!(leads.is_none_or(|leads| leads == Some(at)), "{at} instead of {leads:?}");
            if let Some(file) = record.model.file(handle) {
                let regular = kind(file.path) == Kind::Regular;
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
