//! Attributes below /sys: a text written over what is there.

use super::Linux;
use crate::sys;
use qga_core::Errno;
use qga_core::platform::Settings;
use rustix::fs::OFlags;

impl Settings for Linux {
    const HOTPLUG: bool = cfg!(feature = "hotplug");
    const SUSPEND: bool = cfg!(feature = "suspend");

    fn set(&mut self, path: &[u8], text: &[u8]) -> Result<(), Errno> {
        let attribute = sys::open(self.path.path(path)?, OFlags::WRONLY | OFlags::NOCTTY, 0)?;
        attribute.put(text).map(drop)
    }
}
