//! The files that the hypervisor hands over (`-initrd`): a "newc" cpio archive in, files in the
//! tree out.
//!
//! Folders, regular files, named pipes, and the devices 1:3, 1:5, 1:7 (null, zero, full) are
//! planted; links and other devices mean nothing here and are left out. Invariant: nothing outside
//! the archive is read, whatever its numbers say. Source: Linux,
//! Documentation/driver-api/early-userspace/buffer-format.rst.

use super::tree::{Kind, Tree};
use qga_core::Errno;

/// Bytes of a member's header: the magic number, then 13 numbers of 8 hexadecimal digits.
const HEADER_BYTES: usize = 110;
/// Longest archive that is looked at: more than any machine hands over, and less than a slice may
/// have.
const BYTES_MAX: u64 = 1 << 31;
/// The name of the member after the last.
const TRAILER: &[u8] = b"TRAILER!!!";

/// One member.
struct Member<'a> {
    mode: u32,
    device: (u32, u32),
    name: &'a [u8],
    contents: &'a [u8],
}

/// The archive at an address; an empty one is nowhere. Errors: EFBIG for one that is longer than an
/// archive may be, or that is not all in memory.
///
/// # Safety
/// What lies between 0 and `mapped_end`, both excluded, can be read, and nobody writes to the
/// archive.
pub unsafe fn at(begin: u64, len: u64, mapped_end: u64) -> Result<&'static [u8], Errno> {
    if len == 0 {
        return Ok(&[]);
    }
    let end = begin.checked_add(len).ok_or(Errno::FBIG)?;
    if begin == 0 || len > BYTES_MAX || end > mapped_end {
        return Err(Errno::FBIG);
    }
    // SAFETY: neither at 0 nor longer than a slice may be, and in the caller's memory.
    Ok(unsafe { core::slice::from_raw_parts(begin as *const u8, len as usize) })
}

/// Plants what is in an archive; an empty one has nothing. A file that is there already is
/// replaced. Errors: EINVAL where the archive is damaged, ENOSPC when the tree is full, EFBIG for a
/// file larger than all of it.
pub fn plant(tree: &mut Tree, archive: &[u8]) -> Result<(), Errno> {
    let mut rest = archive;
    while !rest.is_empty() {
        let (member, after) = member(rest).ok_or(Errno::INVAL)?;
        if member.name == TRAILER {
            break;
        }
        plant_one(tree, &member)?;
        rest = after;
    }
    Ok(())
}

fn plant_one(tree: &mut Tree, member: &Member<'_>) -> Result<(), Errno> {
    let kind = match (member.mode & 0o170_000, member.device) {
        (0o040_000, _) => Kind::Folder,
        (0o100_000, _) => Kind::Regular,
        (0o010_000, _) => Kind::Fifo,
        (0o020_000, (1, 3)) => Kind::Null,
        (0o020_000, (1, 5)) => Kind::Zero,
        (0o020_000, (1, 7)) => Kind::Full,
        _ => return Ok(()),
    };
    match tree.put(member.name, kind)? {
        Some(file) if kind == Kind::Regular => tree.append(file, member.contents),
        _ => Ok(()),
    }
}

/// The first member of an archive, and what follows it.
fn member(archive: &[u8]) -> Option<(Member<'_>, &[u8])> {
    let (header, _) = archive.split_at_checked(HEADER_BYTES)?;
    let (magic, numbers) = header.split_at_checked(6)?;
    // 070702 has checksums, which nobody checks.
    if magic != b"070701" && magic != b"070702" {
        return None;
    }
    let number = |place: usize| hexadecimal(numbers.get(place * 8..place * 8 + 8)?);
    let name_end = HEADER_BYTES.checked_add(number(11)? as usize)?;
    let name = archive.get(HEADER_BYTES..name_end)?.strip_suffix(b"\0")?;
    let begin = name_end.checked_next_multiple_of(4)?;
    let end = begin.checked_add(number(6)? as usize)?;
    let contents = archive.get(begin..end)?;
    let member = Member { mode: number(1)?, device: (number(9)?, number(10)?), name, contents };
    // Zeros may stand between members, and after the last.
    let after = archive.get(end..)?;
    let zeros = after.iter().position(|&byte| byte != 0).unwrap_or(after.len());
    Some((member, after.get(zeros..)?))
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits
        .iter()
        .try_fold(0, |number: u32, &digit| Some(number << 4 | char::from(digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use qga_core::platform::{Access, OpenOptions};

    const READ: OpenOptions =
        OpenOptions { access: Access::Read, create: false, truncate: false, append: false };

    fn entry(name: &str, mode: u32, device: (u32, u32), contents: &[u8]) -> Vec<u8> {
        let numbers = [1, mode, 0, 0, 1, 0, contents.len() as u32, 0, 0, device.0, device.1];
        let mut bytes = b"070701".to_vec();
        for number in numbers.into_iter().chain([name.len() as u32 + 1, 0]) {
            bytes.extend(format!("{number:08x}").bytes());
        }
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend_from_slice(contents);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn planted(archive: &[u8]) -> (Box<Tree>, Result<(), Errno>) {
        // SAFETY: a tree with nothing in it is all zero.
        let mut tree: Box<Tree> = unsafe { Box::new_zeroed().assume_init() };
        crate::files::preset::plant(&mut tree).unwrap();
        let result = plant(&mut tree, archive);
        (tree, result)
    }

    fn contents(tree: &mut Tree, path: &str) -> Result<Vec<u8>, Errno> {
        let open = tree.open(path.as_bytes(), READ)?;
        let mut bytes = vec![0; 100_000];
        let len = tree.read(open, &mut bytes)?;
        bytes.truncate(len);
        Ok(bytes)
    }

    fn archive() -> Vec<u8> {
        [
            entry(".", 0o040_755, (0, 0), b""),
            entry("etc", 0o040_755, (0, 0), b""),
            entry("etc/hostname", 0o100_644, (0, 0), b"other\n"),
            entry("./srv", 0o040_755, (0, 0), b""),
            entry("srv/large", 0o100_644, (0, 0), &[7; 10_001]),
            entry("srv/link", 0o120_777, (0, 0), b"/etc/hostname"),
            entry("srv/full", 0o020_666, (1, 7), b""),
            entry("srv/disk", 0o060_666, (8, 0), b""),
            entry("srv/pipe", 0o010_666, (0, 0), b""),
            entry("TRAILER!!!", 0, (0, 0), b""),
        ]
        .concat()
    }

    #[test]
    fn members_become_files() {
        let (mut tree, result) = planted(&archive());
        assert_eq!(result, Ok(()));
        assert_eq!(contents(&mut tree, "/etc/hostname"), Ok(b"other\n".to_vec()));
        assert_eq!(contents(&mut tree, "/srv/large"), Ok(vec![7; 10_001]));
        assert_eq!(contents(&mut tree, "/srv/full"), Ok(vec![0; 100_000]));
        assert_eq!(contents(&mut tree, "/srv/link"), Err(Errno::NOENT));
        assert_eq!(contents(&mut tree, "/srv/disk"), Err(Errno::NOENT));
        assert_eq!(contents(&mut tree, "/srv/pipe"), Ok(Vec::new()));
    }

    #[test]
    fn nothing_is_an_archive_without_files() {
        assert_eq!(planted(b"").1, Ok(()));
    }

    #[test]
    fn an_archive_that_memory_cannot_hold_is_refused() {
        static BYTES: [u8; 5] = *b"07070";
        let begin = BYTES.as_ptr() as u64;
        // SAFETY: the first is static; of the others none lies below the end that is named.
        let at = |begin, len, end| unsafe { at(begin, len, end) };
        assert_eq!(at(begin, 5, begin + 5), Ok(&BYTES[..]));
        assert_eq!(at(begin, 5, begin + 4), Err(Errno::FBIG));
        assert_eq!(at(1 << 31, BYTES_MAX + 1, u64::MAX), Err(Errno::FBIG));
        assert_eq!(at(u64::MAX, 2, u64::MAX), Err(Errno::FBIG));
        assert_eq!(at(0, 1, u64::MAX), Err(Errno::FBIG));
        assert_eq!(at(0, 0, 0), Ok(&[][..]));
    }

    #[test]
    fn damage_anywhere_is_survived() {
        let whole = archive();
        for len in 0..whole.len() {
            planted(&whole[..len]).1.err();
        }
        for at in 0..400 {
            let mut bad = whole.clone();
            for byte in [0, b'f', b'0', 0xFF] {
                bad[at] = byte;
                planted(&bad).1.err();
            }
        }
        assert_eq!(planted(b"070701").1, Err(Errno::INVAL));
        assert_eq!(planted(&[0x1F; 200]).1, Err(Errno::INVAL));
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let huge = entry("tmp/huge", 0o100_644, (0, 0), &vec![1; 3 << 20]);
        assert_eq!(planted(&huge).1, Err(Errno::NOSPC));
        let many: Vec<u8> =
            (0..500).flat_map(|n| entry(&format!("tmp/{n}"), 0o100_644, (0, 0), b"x")).collect();
        assert_eq!(planted(&many).1, Err(Errno::NOSPC));
    }
}
