//! Assignments, patterns, logins and addresses.

use qga_core::formats::users::{User, group_of, is_of, pieces};
use qga_core::formats::{glob, ip, keyfile, os_release, session, utmp};
use qga_core::writer::Writer;
use std::net::{Ipv4Addr, Ipv6Addr};

pub fn os_release(line: &[u8]) {
    let mut found = line.to_vec();
    let found =
        os_release::assignment(&mut found).map(|(key, value)| (key.to_vec(), value.to_vec()));
    assert_eq!(found, assignment(line));
}

/// An assignment as a shell reads it, part after part of its one word.
fn assignment(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let line = line.trim_ascii_start();
    let at = line.iter().position(|&byte| byte == b'=')?;
    let (key, mut rest) = (&line[..at], &line[at + 1..]);
    let is_name = key.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    if key.is_empty() || key[0].is_ascii_digit() || !is_name {
        return None;
    }
    let mut value = Vec::new();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'\'' => {
                let end = rest.iter().position(|&byte| byte == b'\'')?;
                value.extend_from_slice(&rest[..end]);
                rest = &rest[end + 1..];
            }
            b'"' => loop {
                let (&byte, after) = rest.split_first()?;
                rest = after;
                match (byte, rest.first()) {
                    (b'"', _) => break,
                    (b'\\', Some(next)) if b"\"$\\`'".contains(next) => {
                        value.push(*next);
                        rest = &rest[1..];
                    }
                    _ => value.push(byte),
                }
            },
            b'\\' => {
                let (&byte, after) = rest.split_first()?;
                value.push(byte);
                rest = after;
            }
            b' ' | b'\t' | b'\r' | b';' => break,
            _ => value.push(first),
        }
    }
    Some((key.to_vec(), value))
}

pub fn key_file(line: &[u8]) {
    let mut bytes = line.to_vec();
    let found = keyfile::line(&mut bytes).map(|found| match found {
        keyfile::Line::Empty => Read::Empty,
        keyfile::Line::Group(name) => Read::Group(name.to_vec()),
        keyfile::Line::Pair(key, rest) => {
            let value =
                keyfile::value(rest).map(|value| value.strip_suffix(b"\0").unwrap().to_vec());
            Read::Pair(key.to_vec(), value)
        }
    });
    assert_eq!(found, read(line), "{}", line.escape_ascii());
}

/// What a line of a key file is.
#[derive(PartialEq, Eq, Debug)]
enum Read {
    Empty,
    Group(Vec<u8>),
    Pair(Vec<u8>, Option<Vec<u8>>),
}

/// A line of a key file as GLib's document has it.
fn read(line: &[u8]) -> Option<Read> {
    let line = line.trim_ascii_start();
    if line.is_empty() || line[0] == b'#' {
        return Some(Read::Empty);
    }
    let is_bracket = |byte: &u8| b"[]".contains(byte);
    if line[0] == b'[' {
        let line = line.trim_ascii_end();
        let name = &line[1..line.len().max(2) - 1];
        let is_name = !name.iter().any(|byte| is_bracket(byte) || byte.is_ascii_control());
        return (line.len() > 2 && line.ends_with(b"]") && is_name)
            .then(|| Read::Group(name.to_vec()));
    }
    let mut parts = line.splitn(2, |&byte| byte == b'=');
    let (key, value) = (parts.next()?.trim_ascii_end(), parts.next()?);
    let brackets: Vec<usize> = (0..key.len()).filter(|&at| is_bracket(&key[at])).collect();
    let is_key = match brackets[..] {
        [] => !key.is_empty(),
        [open, close] => {
            open > 0 && key[open] == b'[' && close == key.len() - 1 && key[close] == b']'
        }
        _ => false,
    };
    is_key.then(|| Read::Pair(key.to_vec(), unescaped(value)))
}

fn unescaped(value: &[u8]) -> Option<Vec<u8>> {
    let value = value.strip_suffix(b"\r").unwrap_or(value).trim_ascii_start();
    let mut out = Vec::new();
    let mut bytes = value.iter();
    while let Some(&byte) = bytes.next() {
        out.push(match byte {
            b'\\' => {
                let at =
                    b"sntr\\".iter().position(|known| Some(known) == bytes.as_slice().first())?;
                bytes.next();
                b" \n\t\r\\"[at]
            }
            other => other,
        });
    }
    Some(out)
}

pub fn patterns(input: &[u8]) {
    let cut = input.iter().position(|&byte| byte == b'\n').unwrap_or(input.len());
    let (patterns, name) = (&input[..cut], input.get(cut + 1..).unwrap_or(b"eth0"));
    let found = glob::any(patterns, name);
    let mut each = patterns.split(|byte| b";,".contains(byte)).map(|pattern| pattern.trim_ascii());
    assert_eq!(found, each.any(|pattern| !pattern.is_empty() && matches(pattern, name)));
}

/// Whether a pattern matches, from table to table: which beginnings of the name each beginning of
/// the pattern matches.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for wanted in pattern {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            next[at] = match wanted {
                b'*' => reached[..=at].contains(&true),
                b'?' => at > 0 && reached[at - 1],
                byte => at > 0 && reached[at - 1] && name[at - 1] == *byte,
            };
        }
        reached = next;
    }
    reached[name.len()]
}

pub fn session(text: &[u8]) {
    let value =
        |key: &[u8]| text.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(key));
    let number = |text: &[u8]| {
        let text = std::str::from_utf8(text).ok()?;
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
    };
    let of_user = value(b"CLASS=").is_none_or(|class| class.starts_with(b"user"));
    let lasts = value(b"STATE=") != Some(b"closing");
    let user = value(b"USER=").filter(|user| of_user && lasts && !user.is_empty());
    let at_us: Option<u64> = value(b"REALTIME=").and_then(number);
    let expected = user.zip(at_us).map(|(user, at_us)| utmp::Login { user, at_us });
    assert_eq!(session::login(text), expected);
}

pub fn utmp(input: &[u8]) {
    for len in [384, 400, input.len()] {
        let mut record = input.to_vec();
        record.resize(len, 0);
        let Some(login) = utmp::login(&record) else { continue };
        assert!([384, 400].contains(&len) && record.starts_with(&7i16.to_ne_bytes()));
        assert!(record[44..].starts_with(login.user) && !login.user.contains(&0));
        assert!((1..=32).contains(&login.user.len()));
        assert!(login.user.len() == 32 || record[44 + login.user.len()] == 0);
    }
}

pub fn addresses(input: &[u8]) {
    let mut address = [0; 16];
    address.iter_mut().zip(input).for_each(|(place, byte)| *place = *byte);
    let mut room = [0; 64];
    let mut writer = Writer::new(&mut room);
    ip::v6(&address, &mut writer);
    let text = std::str::from_utf8(writer.written()).expect("ASCII");
    let standard = Ipv6Addr::from(address);
    assert_eq!(text.parse(), Ok(standard));
    // The standard library writes ::a.b.c.d in hexadecimal.
    if address[..12] != [0; 12] {
        assert_eq!(text, standard.to_string());
    }
    let mut writer = Writer::new(&mut room);
    let short = *address.first_chunk().expect("four bytes");
    ip::v4(&short, &mut writer);
    assert_eq!(writer.written(), Ipv4Addr::from(short).to_string().as_bytes());
}

/// A name, a newline, and a line of passwd(5), group(5) or shadow(5).
pub fn users(input: &[u8]) {
    let cut = input.iter().position(|&byte| byte == b'\n').unwrap_or(input.len());
    let (name, line) = (&input[..cut], input.get(cut + 1..).unwrap_or(b""));
    let fields: Vec<&[u8]> = line.split(|&byte| byte == b':').collect();
    let number = |text: &&[u8]| {
        let text = std::str::from_utf8(text).ok()?;
        text.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse::<u32>().ok().filter(|number| *number != u32::MAX))?
    };
    assert_eq!(is_of(name, line), fields[0] == name);
    let user = User::named(name, line);
    let home = fields.get(5).filter(|home| home.starts_with(b"/"));
    let expected = fields.get(2).and_then(number).zip(fields.get(3).and_then(number)).zip(home);
    let expected = expected.filter(|_| fields[0] == name);
    let expected = expected.map(|((user, group), home)| User { user, group, home });
    assert_eq!(user, expected);
    let members = fields.get(3).copied().unwrap_or(b"");
    let is_member = members.split(|&byte| byte == b',').any(|it| it.trim_ascii() == name);
    assert_eq!(group_of(name, line), fields.get(2).and_then(number).filter(|_| is_member));
    // Nothing of a line is lost where there are three fields.
    if fields.len() > 2 {
        let [name, password, changed, rest] = pieces(line);
        let joined = [name, b":", password, b":", changed, rest].concat();
        assert_eq!(joined, line);
    }
}
