//! The acts of others on mounts: where and what comes in, it is mounted there or taken away.
//! Invariant: what is frozen may not be found any more then, and the record says so.

use crate::client::Client;
use crate::guest::{MORE_POINTS, SUBVOLUMES};
use crate::record::Record;
use crate::sight::mounted;
use crate::source::Source;
use qga_core::platform::Device;
use qga_sim::mounts::Mount;

/// A filesystem is mounted, also over another one, or one is taken away.
pub fn mount<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let (point, what) = (client.source.one_of(&MORE_POINTS), client.source.byte());
    if record.listless {
        return;
    }
    let subvolume = SUBVOLUMES[usize::from(what >> 4 & 1)];
    client.session.sim.with(|world| match what & 1 {
        0 if world.mounts.list.len() < 12 => {
            match what >> 5 {
                // Something without a device over what has none either.
                7 if mounted(world, subvolume) => {
                    world.mount("tmpfs", Device::new(0, 90), subvolume);
                }
                6 => world.mount("tmpfs", Device::new(0, 91), point),
                5 => {
                    world.mount("ext4", Device::new(8, u32::from(what >> 1) % 5), point);
                    // What is mounted there lies so deep that its line of the table is longer than
                    // any.
                    let last = world.mounts.list.last_mut().expect("what was just mounted");
                    last.root = "/deep".repeat(5000);
                }
                _ => world.mount("ext4", Device::new(8, u32::from(what >> 1) % 5), point),
            }
        }
        // Not now, but while the agent looks at it.
        _ if what >> 5 == 6 => world.mounts.vanishing = Some(point.to_owned()),
        _ => {
            // A quarter is for a subvolume, where there are any.
            let which = what & 12 == 12 && mounted(world, subvolume);
            world.mounts.detach(if which { subvolume } else { point });
        }
    });
    record.mounts_changed(client.is_frozen());
}

/// Takes away what was mounted over others, and everything since; and what else nobody could find
/// it by.
pub fn uncover<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let covers = |upper: &Mount, lower: &Mount| {
        let rest = lower.point.strip_prefix(&upper.point[..]);
        upper.point != b"/" && rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    };
    client.session.sim.with(|world| {
        let list = &world.mounts.list;
        let first = (0..list.len()).find(|&at| list[..at].iter().any(|m| covers(&list[at], m)));
        let kept = first.unwrap_or(list.len());
        while world.mounts.list.len() > kept {
            let point = world.mounts.list.last().map(|last| last.point.clone());
            let point = String::from_utf8(point.unwrap_or_default()).expect("a path of ours");
            assert!(world.mounts.detach(&point), "{point} cannot be taken away");
        }
        world.mounts.list.iter_mut().for_each(|mount| mount.root = "/".to_owned());
        world.mounts.vanishing = None;
    });
    record.mounts_changed(client.is_frozen());
}
