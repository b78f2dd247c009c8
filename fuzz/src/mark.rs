//! The frozen mark: any bytes where an earlier agent leaves its own, filesystems that are frozen or
//! not, and an agent that starts.
//!
//! The mark is raw, or raw rows after a true head, or rows of true filesystems, or of another boot.
//! Held against the agent, by a reading of the mark with other means: it starts; it thaws nothing
//! that an unfinished freeze or thaw of the mark does not list, and all of that which it can reach;
//! its status is what the mark makes it; the mark stays while anything is held to be frozen; the
//! next guest-sync is answered; a thaw touches what is listed, or, without a list, everything.

use crate::input::Input;
use crate::talk::{self, Agent};
use qga_core::Errno;
use qga_core::platform::Device;
use qga_core::platform::FreezeStatus;
use qga_sim::mounts::By;
use qga_sim::{Sim, World};

const POINTS: [&str; 5] = ["/mnt/a", "/mnt/b", "/mnt/c", "/mnt/d", "/mnt/a/inner"];
const HEAD: &[u8] = b"qga-frozen 2 ";
/// As many rows as certainly fit into the agent's table.
const ROWS_SURE: usize = 500;

/// What a mark says.
enum Says<'m> {
    /// Nothing that is known: frozen, without a list.
    Nothing,
    /// Something of another boot.
    Stale,
    /// A phase, and rows.
    Rows(u8, Vec<Row<'m>>),
}

struct Row<'m> {
    state: &'m [u8],
    superblock: Device,
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mode = input.byte();
    let sim = guest(mode, input.word());
    let boot = sim.with(|world| world.store.boot_id);
    let mark = mark(mode, boot, &mut input);
    sim.with(|world| {
        world.store.set_mark(Some(&mark));
        if mode & 8 != 0 {
            world.faults.interrupt();
        }
    });
    let says = read(&mark, &boot);
    // Looked at before the agent does anything.
    let listed = listed(&sim, &says);
    let (missing, reached) = (missing(&sim, &says), reached(&sim, &says));
    let before = sim.with(|world| frozen(world));
    let mut session = talk::start(&sim);
    let thawed = before & !sim.with(|world| frozen(world));
    let status = session.agent().state().freezer.status();
    let unfinished = matches!(says, Says::Rows(b'f' | b't', _));
    let may = if unfinished { listed } else { 0 };
    assert_eq!(thawed & !may, 0, "thawed at the start what is not listed as unfinished");
    match &says {
        Says::Nothing => assert_eq!(status, FreezeStatus::Frozen, "a mark without a list"),
        Says::Stale => assert_eq!(status, FreezeStatus::Thawed, "a mark of another boot"),
        Says::Rows(b'F', _) => {
            let expected = if missing { FreezeStatus::Error } else { FreezeStatus::Frozen };
            assert_eq!(status, expected, "a freeze that was finished");
        }
        Says::Rows(..) => {
            assert_ne!(status, FreezeStatus::Frozen, "a freeze or thaw that was not finished");
            assert_eq!(reached & !thawed & before, 0, "listed, can be thawed, and was not");
        }
    }
    let marked = sim.with(|world| world.store.is_marked());
    assert_eq!(marked, status != FreezeStatus::Thawed, "{status:?}, and a mark: {marked}");
    talk::sync(&mut session, 9);
    check_status(&mut session);
    if status != FreezeStatus::Thawed {
        talk::no_violations(&sim);
    }
    let all = matches!(says, Says::Nothing) || status == FreezeStatus::Thawed;
    thaw(&sim, &mut session, if all { u64::MAX } else { listed });
    talk::sync(&mut session, 10);
}

/// A guest with filesystems, some of them frozen, some that cannot be thawed.
fn guest(mode: u8, how: u16) -> Sim {
    let sim = Sim::new(1);
    sim.with(|world| {
        world.files.add("/mnt", qga_sim::files::Content::Directory);
        for (minor, point) in (0..).zip(&POINTS[..4]) {
            world.mount("ext4", Device::new(8, minor), point);
        }
        // The first again at another place, and, at times, one that covers the third.
        world.mount("ext4", Device::new(8, 0), POINTS[4]);
        if mode & 4 != 0 {
            world.mount("ext4", Device::new(8, 9), POINTS[2]);
        }
        let local = world.mounts.superblocks.iter_mut().filter(|one| one.device.major() != 0);
        for (number, superblock) in local.enumerate() {
            superblock.frozen = [None, Some(By::Agent), Some(By::Other), Some(By::Agent)]
                [usize::from(how >> (number * 2) & 3)];
            if how >> (number * 2) & 3 == 3 {
                superblock.thaw_error = Some(Errno::IO);
            }
        }
    });
    sim
}

fn mark(mode: u8, boot: [u8; 36], input: &mut Input<'_>) -> Vec<u8> {
    let kind = mode & 3;
    if kind == 0 {
        return input.rest.to_vec();
    }
    let mut mark = HEAD.to_vec();
    mark.extend(if kind == 3 { [b'7'; 36] } else { boot });
    mark.extend([b' ', b"fFtx"[usize::from(mode >> 6)], b'\n']);
    if mode & 16 == 0 {
        mark.extend_from_slice(input.rest);
        return mark;
    }
    while !input.rest.is_empty() {
        let (state, place) = (input.byte(), input.byte());
        let point = POINTS[usize::from(place >> 4) % POINTS.len()];
        mark.push(b"F.-?"[usize::from(state & 3)]);
        mark.extend(format!(" 8:{} {point}\0", place & 15).bytes());
    }
    mark
}

/// Reads a mark: head, rows that end with a NUL.
fn read<'m>(mark: &'m [u8], boot: &[u8; 36]) -> Says<'m> {
    let Some((head, rows)) = mark.split_at_checked(52) else { return Says::Nothing };
    let Some(rest) = head.strip_prefix(HEAD) else { return Says::Nothing };
    let (id, phase) = rest.split_at(36);
    if id != boot && id != [b'0'; 36] {
        return Says::Stale;
    }
    match *phase {
        [b' ', phase @ (b'f' | b'F' | b't'), b'\n'] => {
            Says::Rows(phase, rows.split(|&byte| byte == 0).filter_map(row).collect())
        }
        _ => Says::Nothing,
    }
}

fn row(text: &[u8]) -> Option<Row<'_>> {
    let space = |text: &[u8]| text.iter().position(|&byte| byte == b' ');
    let (state, rest) = text.split_at(space(text)?);
    let (superblock, _path) = rest[1..].split_at(space(&rest[1..])?);
    Some(Row { state, superblock: device(superblock)? })
}

fn device(text: &[u8]) -> Option<Device> {
    let (major, minor) = std::str::from_utf8(text).ok()?.split_once(':')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| digits(text));
    Some(Device::new(number(major)?, number(minor)?))
}

/// The superblocks that are frozen, as bits.
fn frozen(world: &World) -> u64 {
    let all = world.mounts.superblocks.iter().enumerate();
    all.filter(|(_, one)| one.frozen.is_some()).fold(0, |bits, (number, _)| bits | 1 << number)
}

/// The superblocks of these rows, as bits.
fn superblocks<'r>(sim: &Sim, rows: impl Iterator<Item = &'r Row<'r>>) -> u64 {
    rows.filter_map(|row| found(sim, row)).fold(0, |bits, number| bits | 1 << number)
}

/// What a mark lists as frozen, or as possibly so.
fn listed(sim: &Sim, says: &Says) -> u64 {
    let Says::Rows(_, rows) = says else { return 0 };
    superblocks(sim, rows.iter().filter(|row| matches!(row.state, b"F" | b".")))
}

/// The superblock of a row, if a path leads to it.
fn found(sim: &Sim, row: &Row) -> Option<usize> {
    sim.with(|world| {
        let all = &world.mounts.superblocks;
        let reachable = world.mounts.reachable();
        reachable.into_iter().find(|&number| all[number].device == row.superblock)
    })
}

/// Whether something that counts as frozen cannot be found. Of the rows without a result only the
/// last one counts.
fn missing(sim: &Sim, says: &Says) -> bool {
    let Says::Rows(_, rows) = says else { return false };
    let unsure = rows.iter().rfind(|row| row.state == b".");
    let sure = rows.iter().filter(|row| row.state == b"F");
    sure.chain(unsure).any(|row| found(sim, row).is_none())
}

/// What is listed as frozen for sure, and can be found and thawed.
fn reached(sim: &Sim, says: &Says) -> u64 {
    let Says::Rows(_, rows) = says else { return 0 };
    if rows.len() > ROWS_SURE {
        return 0;
    }
    let sure = superblocks(sim, rows.iter().filter(|row| row.state == b"F"));
    sim.with(|world| {
        let stuck = world.mounts.superblocks.iter().enumerate();
        let stuck = stuck.filter(|(_, one)| one.thaw_error.is_some());
        let stuck = stuck.fold(0u64, |bits, (number, _)| bits | 1 << number);
        sure & !stuck
    })
}

fn check_status(session: &mut Agent) {
    let expected = match session.agent().state().freezer.status() {
        FreezeStatus::Thawed => "\"thawed\"",
        FreezeStatus::Frozen => "\"frozen\"",
        FreezeStatus::Error => "\"error\"",
    };
    let status = talk::value(session, "guest-fsfreeze-status", "");
    assert_eq!(status.as_deref(), Ok(expected));
}

/// A thaw touches none but `may`, counts what it thawed, and says when something is left.
fn thaw(sim: &Sim, session: &mut Agent, may: u64) {
    let before = sim.with(|world| frozen(world));
    let was_frozen = session.agent().is_frozen();
    let answer = talk::value(session, "guest-fsfreeze-thaw", "");
    let thawed = before & !sim.with(|world| frozen(world));
    assert_eq!(thawed & !may, 0, "thawed what it has no business with");
    let status = session.agent().state().freezer.status();
    match answer {
        Ok(count) => {
            assert_eq!(count, thawed.count_ones().to_string(), "the count of a thaw");
            assert_eq!(status, FreezeStatus::Thawed, "a thaw that worked");
        }
        Err(_) => {
            assert!(was_frozen && status != FreezeStatus::Frozen, "a thaw that failed: {status:?}")
        }
    }
    let marked = sim.with(|world| world.store.is_marked());
    assert_eq!(marked, status != FreezeStatus::Thawed, "{status:?}, and a mark: {marked}");
}
