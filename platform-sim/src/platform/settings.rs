//! Attributes that can be set: what is written takes the place of the text.

use crate::kind::Kind;
use crate::sim::Sim;
use qga_core::Errno;
use qga_core::platform::Settings;

impl Settings for Sim {
    const HOTPLUG: bool = true;
    const SUSPEND: bool = true;

    fn set(&mut self, path: &[u8], text: &[u8]) -> Result<(), Errno> {
        self.call(Kind::SetText, |world| {
            let path = std::str::from_utf8(path).map_err(|_| Errno::NOENT)?;
            if world.system.hanging.contains(path) {
                return Err(world.tasks.hang());
            }
            if let Some(errno) = world.system.refuses.get(path) {
                return Err(*errno);
            }
            let text = [text, b"\n"].concat();
            *world.system.texts.get_mut(path).ok_or(Errno::NOENT)? = text;
            world.system.sets.push(path.to_owned());
            Ok(())
        })
    }
}
