//! Which filesystem: the numbers by which the kernel knows it.

use crate::bytes::decimal;
use crate::limits::DEVICES_BELOW_MAX;
use heapless::Vec;

/// The number of a device or of the superblock on it: major in the upper half, minor in the lower.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Device(pub u64);

impl Device {
    /// The device `major:minor`.
    pub const fn new(major: u32, minor: u32) -> Self {
        Device((major as u64) << 32 | minor as u64)
    }

    /// Reads `major:minor` in decimal.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut numbers = text.splitn(2, |&byte| byte == b':').map(decimal);
        let (major, minor) = (numbers.next()??, numbers.next()??);
        Some(Device::new(u32::try_from(major).ok()?, u32::try_from(minor).ok()?))
    }

    /// The major number; 0 stands for filesystems without a device.
    pub const fn major(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The minor number.
    pub const fn minor(self) -> u32 {
        self.0 as u32
    }
}

/// A device and what it lies on, each once, as many as are looked at.
#[derive(Default)]
pub struct Below {
    /// The devices.
    pub devices: Vec<Device, DEVICES_BELOW_MAX>,
    /// How many of them are filesystems that hold the file of another one.
    pub filesystems: usize,
}

impl Below {
    /// Adds a device, if there is room; `false` when it is there already.
    #[inline(never)]
    pub fn add(&mut self, device: Device) -> bool {
        let is_new = !self.devices.contains(&device);
        if is_new {
            let _ = self.devices.push(device);
        }
        is_new
    }

    /// Adds the filesystem that a device's file is on.
    pub fn add_filesystem(&mut self, superblock: Device) {
        if self.add(superblock) {
            // The number of a btrfs' subvolume, or of an overlay, does not say which one is below:
            // any may be.
            let any = superblock.major() == 0;
            self.filesystems += if any { DEVICES_BELOW_MAX } else { 1 };
        }
    }
}
