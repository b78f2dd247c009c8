//! What can be seen from outside: the guest as it is comes in; what is frozen in it, what a freeze
//! of it must do and leave out, and what the agent said of that goes out. Invariant: looking
//! changes nothing.

use qga_core::Errno;
use qga_core::internals::mark::{HEAD_BYTES, MAGIC};
use qga_core::platform::Level;
use qga_sim::mounts::{By, Mount, Superblock};
use qga_sim::{LogLine, World};

/// The superblocks for which `is` holds, as bits.
pub fn bits(world: &World, is: impl Fn(&Superblock) -> bool) -> u64 {
    let all = world.mounts.superblocks.iter().enumerate();
    all.filter(|(_, superblock)| is(superblock)).fold(0, |bits, (number, _)| bits | 1 << number)
}

/// The superblocks that the agent has frozen, as bits.
pub fn frozen_by_agent(world: &World) -> u64 {
    bits(world, |superblock| superblock.frozen == Some(By::Agent))
}

/// Whether an agent was killed in the middle of a freeze or a thaw, so that the next one must end
/// what is frozen and nothing stands in its way: no filesystem that is covered, is taken away
/// meanwhile, or cannot be thawed.
pub fn is_unfinished(world: &World) -> bool {
    // The mark of a reference agent has no list, whatever was written into it since.
    let mark = world.store.mark().filter(|mark| mark.starts_with(MAGIC));
    let phase = mark.and_then(|mark| mark.get(HEAD_BYTES - 2).copied());
    matches!(phase, Some(b'f' | b't')) && {
        let reachable = world.mounts.reachable();
        let local = |mount: &&Mount| mount.device.major() != 0 || mount.kind == "btrfs";
        let mut mounts = world.mounts.list.iter().filter(local);
        mounts.all(|mount| reachable.contains(&mount.superblock))
            && world.mounts.vanishing.is_none()
            && bits(world, |superblock| superblock.thaw_error.is_some()) == 0
    }
}

/// What will be taken away while the agent looks at it.
pub fn vanishing(world: &World) -> Option<String> {
    world.mounts.vanishing.clone()
}

/// Whether something is mounted at a place.
pub fn mounted(world: &World, point: &str) -> bool {
    world.mounts.list.iter().any(|mount| mount.point == point.as_bytes())
}

/// Where the superblock of a local mount was mounted first, by the line of the table.
fn is_first(world: &World, mount: &Mount) -> bool {
    let of_it = |other: &&Mount| other.superblock == mount.superblock;
    world.mounts.list.iter().find(of_it).is_some_and(|first| std::ptr::eq(first, mount))
}

/// Places where local superblocks were mounted first, as they stand in a request, and which these
/// are, as bits.
pub fn first_mounts(world: &World) -> Vec<(String, u64)> {
    let local = |mount: &&Mount| {
        let is_local = mount.device.major() != 0 || mount.kind == "btrfs";
        is_local && !mount.is_cut() && mount.kind != "fuseblk" && is_first(world, mount)
    };
    let mounts = world.mounts.list.iter().filter(local);
    let plain = mounts.filter_map(|mount| {
        let point = str::from_utf8(&mount.point).ok()?;
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\".contains(&byte);
        point.bytes().all(is_plain).then(|| (point.to_owned(), 1 << mount.superblock))
    });
    plain.collect()
}

/// What a freeze of these superblocks must do in which no call fails by the plan: those that it
/// freezes; nothing when it must fail.
pub fn freezable(world: &World, strict: bool, wanted: u64) -> Option<u64> {
    let is_wanted = |superblock: usize| wanted >> superblock & 1 == 1;
    let mut hidden = world.mounts.hidden();
    hidden.retain(|mount| is_wanted(mount.superblock));
    let mut reachable = world.mounts.reachable();
    reachable.retain(|superblock| is_wanted(*superblock));
    // What comes cut may lead anywhere, unless it is known what is wanted.
    let lost = |mount: &Mount| {
        wanted == u64::MAX && mount.is_cut() && !reachable.contains(&mount.superblock)
    };
    if strict && !hidden.is_empty() || world.mounts.list.iter().any(lost) {
        return None;
    }
    let mut bits = 0;
    for number in reachable {
        let superblock = &world.mounts.superblocks[number];
        match (superblock.freeze_error, superblock.frozen) {
            (Some(Errno::OPNOTSUPP), _) => {}
            (Some(_), _) => return None,
            (None, None) => bits |= 1 << number,
            (None, Some(_)) if strict => return None,
            (None, Some(_)) => {}
        }
    }
    // Nothing could be frozen, although something should have been.
    Some(bits).filter(|_| bits != 0 || hidden.is_empty())
}

/// What a freeze that works leaves out and must speak of: where it is hidden, and how many others
/// have frozen.
pub fn left_out(world: &World, wanted: u64) -> (Vec<String>, usize) {
    let is_wanted = |superblock: usize| wanted >> superblock & 1 == 1;
    let named = |mount: &&Mount| mount.point.escape_ascii().to_string();
    let mut hidden = world.mounts.hidden();
    hidden.retain(|mount| is_wanted(mount.superblock));
    let hidden = hidden.iter().map(named).collect();
    let busy = |number: &usize| {
        let superblock = &world.mounts.superblocks[*number];
        superblock.freeze_error.is_none() && superblock.frozen.is_some()
    };
    let mut reachable = world.mounts.reachable();
    reachable.retain(|number| is_wanted(*number) && busy(number));
    (hidden, reachable.len())
}

/// The warnings in the log from a line on.
pub fn warned_since(world: &World, line: usize) -> Vec<String> {
    let warnings = |line: &&LogLine| line.level == Level::Warning;
    let text = |line: &LogLine| line.text.clone();
    world.log.iter().skip(line).filter(warnings).map(text).collect()
}
