//! The mount table's reader: any bytes, delivered in any pieces, interrupted and failing, through a
//! buffer of any size; held against a reading of the whole text at once.

use crate::input::Input;
use embedded_io::{ErrorType, Read};
use qga_core::Errno;
use qga_core::internals::lines::{Lines, kept_bytes};
use qga_core::internals::mountinfo::{Mount, unescape};
use qga_sim::Random;

/// The table, open.
struct Pieces<'t> {
    text: &'t [u8],
    random: Random,
    piece_bytes_max: u64,
    /// One read in so many is interrupted; never when 0.
    interrupted_one_in: u64,
    /// The text ends in an error.
    fails: bool,
}

impl ErrorType for Pieces<'_> {
    type Error = Errno;
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        assert!(!into.is_empty(), "a read into nothing");
        if self.interrupted_one_in > 0 && self.random.below(self.interrupted_one_in + 1) == 0 {
            return Err(Errno::INTR);
        }
        if self.text.is_empty() && self.fails {
            return Err(Errno::IO);
        }
        let len = 1 + self.random.below(self.piece_bytes_max) as usize;
        let (piece, rest) = self.text.split_at(len.min(into.len()).min(self.text.len()));
        self.text = rest;
        into[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (mode, seed, room) =
        (input.byte(), input.byte(), (usize::from(input.byte()) * 2 + 1).max(2));
    let end_byte = if mode & 1 == 0 { b'\n' } else { 0 };
    let reader = Pieces {
        text: input.rest,
        random: Random::new(u64::from(seed)),
        piece_bytes_max: 1 << (mode >> 1 & 7),
        interrupted_one_in: u64::from(mode >> 4 & 3),
        fails: mode & 64 != 0,
    };
    let fails = reader.fails;
    let mut buffer = vec![0; room];
    let mut lines = Lines::new(reader, end_byte, &mut buffer);
    let expected = split(input.rest, end_byte, room, fails);
    for wanted in &expected {
        let line = lines.line().expect("a line");
        assert!(line == *wanted, "{} is not {}", line.escape_ascii(), wanted.escape_ascii());
        check_mount(line);
    }
    if let Some(line) = lines.line() {
        panic!("one line too many: {}", line.escape_ascii());
    }
    assert_eq!(lines.ended(), if fails { Err(Errno::IO) } else { Ok(()) });
}

/// The lines of a text; one of `room` bytes or more comes cut, as [`kept_bytes`] says. Before an
/// error nothing comes but whole lines.
fn split<'t>(text: &'t [u8], end_byte: u8, room: usize, fails: bool) -> Vec<&'t [u8]> {
    let mut lines: Vec<&[u8]> = text.split(|&byte| byte == end_byte).collect();
    // After the last end there is no line, but for one that nobody ended.
    if lines.last().is_some_and(|last| fails || last.is_empty()) {
        lines.pop();
    }
    let cut = |line: &'t [u8]| {
        if line.len() >= room { &line[..kept_bytes(room)] } else { line }
    };
    lines.into_iter().map(cut).collect()
}

/// What a line means, read field by field.
#[derive(PartialEq, Eq, Debug)]
struct Meaning {
    id: u64,
    major: u32,
    minor: u32,
    mountpoint: Vec<u8>,
    kind: Vec<u8>,
    read_only: bool,
    cut: bool,
}

fn check_mount(line: &mut [u8]) {
    let expected = meaning(line);
    let found = Mount::parse(line).map(|mount| Meaning {
        id: mount.id,
        major: mount.device.major(),
        minor: mount.device.minor(),
        mountpoint: unescape(mount.mountpoint).to_vec(),
        kind: mount.kind.to_vec(),
        read_only: mount.read_only,
        cut: mount.cut,
    });
    assert_eq!(found, expected);
}

/// proc(5): number, parent, device, root, mount point, options, any more up to a dash, then kind,
/// source and the superblock's options. A line that ends before the source came cut.
fn meaning(line: &[u8]) -> Option<Meaning> {
    let fields: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let id = std::str::from_utf8(fields.first()?).ok().and_then(number)?;
    let device = std::str::from_utf8(fields.get(2)?).ok()?;
    let (major, minor) = device.split_once(':')?;
    fields.get(3)?;
    let mountpoint = fields.get(4).copied().unwrap_or_default();
    let dash = fields.iter().skip(5).position(|field| *field == b"-").map(|at| at + 5);
    let after = |count: usize| dash.and_then(|dash| fields.get(dash + count));
    let cut = after(2).is_none();
    if !cut && !mountpoint.starts_with(b"/") {
        return None;
    }
    Some(Meaning {
        id,
        major: number(major)?,
        minor: number(minor)?,
        mountpoint: plain(mountpoint),
        kind: after(1).copied().unwrap_or_default().to_vec(),
        read_only: after(3).is_some_and(|options| options.starts_with(b"ro")),
        cut,
    })
}

/// Digits alone; the standard library would take a sign as well.
fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Octal escapes of three digits are the byte that they name.
fn plain(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits
            .filter(|digits| first == b'\\' && digits.bytes().all(|digit| digit.is_ascii_digit()))
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &after[3..] } else { after };
    }
    bytes
}
