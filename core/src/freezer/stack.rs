//! What lies on what: a filesystem's device in, how high the filesystem lies out.
//!
//! The file of a loop device may be on a filesystem that is to be frozen too, with dm and md
//! devices and partitions in between. Frozen after that one it would wait for it for ever, and so
//! would a thaw that comes before.

use super::telling::tell_about;
use crate::platform::{Below, Device, Freeze, What};

/// How many filesystems are below the one on this device. What lies on another one lies higher than
/// that, because it has all below it that the other one has, and the other one itself. A worker
/// tells about it by `key` and `path`.
#[inline(never)]
pub(super) fn height<P: Freeze>(platform: &mut P, device: Device, key: u64, path: &[u8]) -> usize {
    tell_about(platform, What::Open, key, path);
    let mut below = Below::default();
    below.add(device);
    let mut number = 0;
    // Each is in the list once, so a circle has an end.
    while let Some(&device) = below.devices.get(number) {
        platform.below(device, &mut below);
        number += 1;
    }
    below.filesystems
}
