//! Which filesystem: the numbers by which the kernel knows it.

/// The number of a device or of the superblock on it: major in the upper half, minor in the lower.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Device(pub u64);

impl Device {
    /// The device `major:minor`.
    pub const fn new(major: u32, minor: u32) -> Self {
        Device((major as u64) << 32 | minor as u64)
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
