//! The frozen mark: what an agent was doing to filesystems, for the agent that comes after it.
//!
//! ```text
//! qga-frozen 2 <boot id> <phase>\n                 one head, 52 bytes
//! <state> <major>:<minor> <path>\0                 one record each, in the order of thawing
//! ```
//!
//! The number is that of the mount table, by which the filesystem is found wherever it is mounted;
//! the path is what errors show.
//!
//! Phase and state are one byte each, overwritten in place, so that no kill can leave half a step:
//! the head and all records are written before the mark is in force and before the first filesystem
//! is frozen. The reference agent's mark is an empty file of the same name; it is understood as
//! "frozen, no list".

use crate::errno::Errno;
use crate::limits::{PATH_BYTES_MAX, PATH_SHOWN_BYTES};
use crate::lines::{self, retry};
use crate::platform::Device;
pub use crate::shown::{Shown, show};
use crate::writer::Writer;
use embedded_io::{Read, Seek, SeekFrom, Write};

/// What the head begins with.
pub const MAGIC: &[u8] = b"qga-frozen 2 ";
/// Where the phase is.
pub const PHASE_AT: u64 = HEAD_BYTES as u64 - 2;
/// Length of the head.
pub const HEAD_BYTES: usize = MAGIC.len() + 36 + 3;
/// The boot that a guest without boot ids is in.
pub const NO_BOOT: [u8; 36] = [b'0'; 36];
/// Most bytes of a record before its path: the state, and two numbers of ten digits, each with a
/// byte before it.
pub const RECORD_HEAD_BYTES_MAX: usize = 1 + 2 * 11 + 1;
/// Longest record, with its end. One that came cut would hide where the next one begins.
pub const RECORD_BYTES_MAX: usize = RECORD_HEAD_BYTES_MAX + PATH_BYTES_MAX + 1;
/// What ends a record; no path contains it.
pub const RECORD_END: u8 = 0;

/// What the agent was doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Phase {
    /// Freezing one after the other; the client has no answer yet.
    Freezing = b'f',
    /// All are frozen.
    Frozen = b'F',
    /// Thawing one after the other.
    Thawing = b't',
}

/// What is known of one filesystem.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum RecordState {
    /// To be frozen.
    Listed = b'.',
    /// Frozen by us.
    Frozen = b'F',
    /// Not frozen, or not by us.
    NotOurs = b'-',
    /// No filesystem: the hook was told of the freeze.
    Hooked = b'h',
}

/// What the head of a mark says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Head {
    /// Written by an agent like this one, in this boot.
    Ours(Phase),
    /// Written in an earlier boot: nothing is frozen any more.
    Stale,
    /// Not written by an agent like this one.
    Foreign,
}

/// One record of a mark.
pub struct Record<'l> {
    /// What became of it.
    pub state: RecordState,
    /// The superblock, as the mount table gave it.
    pub superblock: Device,
    /// The mount point.
    pub path: &'l [u8],
}

impl<'l> Record<'l> {
    /// Reads a record, without its end.
    pub fn parse(record: &'l [u8]) -> Option<Self> {
        let mut fields = record.splitn(3, |&byte| byte == b' ');
        let state = match fields.next()? {
            b"F" => RecordState::Frozen,
            b"." => RecordState::Listed,
            b"h" => RecordState::Hooked,
            _ => RecordState::NotOurs,
        };
        Some(Record { state, superblock: Device::parse(fields.next()?)?, path: fields.next()? })
    }

    /// Hands the record over piece by piece, to be appended to a mark; returns its length.
    pub fn append(&self, mut put: impl FnMut(&[u8]) -> Result<(), Errno>) -> Result<u64, Errno> {
        let mut bytes = [0; RECORD_HEAD_BYTES_MAX];
        let mut head = Writer::new(&mut bytes);
        head.raw(&[self.state as u8, b' ']);
        head.unsigned(u64::from(self.superblock.major()));
        head.raw(b":");
        head.unsigned(u64::from(self.superblock.minor()));
        head.raw(b" ");
        put(head.written())?;
        put(self.path)?;
        put(&[RECORD_END])?;
        Ok((head.len() + self.path.len() + 1) as u64)
    }
}

/// Hands the head of a new mark over piece by piece, to be appended.
pub fn new_head(
    boot: &[u8; 36],
    mut put: impl FnMut(&[u8]) -> Result<(), Errno>,
) -> Result<(), Errno> {
    put(MAGIC)?;
    put(boot)?;
    put(&[b' ', Phase::Freezing as u8, b'\n'])
}

/// Reads the head; the mark then stands at the first record. When the boot is not known, now or
/// when the mark was written, it is taken to be this one: a mark must not be forgotten because
/// something else failed.
pub fn read_head<M: Read<Error = Errno>>(mark: &mut M, boot: &[u8; 36]) -> Result<Head, Errno> {
    let mut bytes = [0; HEAD_BYTES];
    // The head was written whole into a file in memory; what is shorter is not one.
    if lines::read(mark, &mut bytes)? as usize != HEAD_BYTES {
        return Ok(Head::Foreign);
    }
    let (magic, rest) = bytes.split_at(MAGIC.len());
    let Some((id, rest)) = rest.split_first_chunk::<36>().filter(|_| magic == MAGIC) else {
        return Ok(Head::Foreign);
    };
    if id != boot && *id != NO_BOOT && *boot != NO_BOOT {
        return Ok(Head::Stale);
    }
    let [b' ', phase, b'\n'] = rest else { return Ok(Head::Foreign) };
    Ok(match phase {
        b'f' => Head::Ours(Phase::Freezing),
        b'F' => Head::Ours(Phase::Frozen),
        b't' => Head::Ours(Phase::Thawing),
        _ => Head::Foreign,
    })
}

/// Writes all bytes where the mark stands, or over those that are `at` there: a phase at
/// [`PHASE_AT`], a state where its record begins. Errors: a freeze must not go on without its
/// record; a thaw must not stop for it.
pub fn put<M: Write<Error = Errno> + Seek>(
    mark: &mut M,
    at: Option<u64>,
    mut bytes: &[u8],
) -> Result<(), Errno> {
    if let Some(at) = at {
        mark.seek(SeekFrom::Start(at))?;
    }
    while !bytes.is_empty() {
        match retry(|| mark.write(bytes))? {
            0 => return Err(Errno::NOSPC),
            len => bytes = bytes.get(len..).unwrap_or(&[]),
        }
    }
    Ok(())
}

/// Puts the beginning of the path in the record `at` there into `shown`, for an error text; without
/// a mark, that it is not known.
pub fn show_record<M: Read<Error = Errno> + Seek>(
    mark: Option<&mut M>,
    at: u64,
    shown: &mut Shown,
) {
    let mut bytes = [0; RECORD_HEAD_BYTES_MAX + PATH_SHOWN_BYTES];
    let read = mark.and_then(|mark| {
        mark.seek(SeekFrom::Start(at)).ok()?;
        lines::read(mark, &mut bytes).ok()
    });
    let record = bytes.get(..read.unwrap_or(0) as usize).unwrap_or(&[]);
    let record = record.split(|&byte| byte == RECORD_END).next().unwrap_or(&[]);
    show(Record::parse(record).map_or(b"(unknown mount point)", |record| record.path), shown);
}
