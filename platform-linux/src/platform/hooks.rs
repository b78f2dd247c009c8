//! The freeze hook: a program, started by a worker, waited for with a time limit, killed with what
//! it has started.

use super::Linux;
use crate::sys;
use core::ffi::CStr;
use linux_raw_sys::general::SIGKILL;
use qga_core::Errno;
use qga_core::platform::{Exit, Hooks, Moment, Power};

impl Hooks for Linux {
    const HOOKS: bool = cfg!(feature = "hooks");

    fn has_hook(&self) -> bool {
        self.hook.is_some()
    }

    fn start_hook(&mut self, moment: Moment) -> Result<(), Errno> {
        let path = self.hook.ok_or(Errno::NOENT)?;
        let word: &CStr = match moment {
            Moment::Freeze => c"freeze",
            Moment::Thaw => c"thaw",
        };
        self.start_program(&[path, word])
    }

    fn wait_for_hook(&mut self, ms_max: u64) -> Result<Option<Exit>, Errno> {
        if let Some(exit) = self.program_exit() {
            return Ok(Some(exit));
        }
        sys::process::wait_for_child(ms_max);
        Ok(self.program_exit())
    }

    fn hook_output(&mut self, into: &mut [u8]) -> usize {
        self.program_output(into)
    }

    fn end_hook(&mut self) {
        // Its session is a group of its own. What has ended has no number any more that could be
        // somebody else's.
        if let Some(helper) = self.helper.take()
            && helper.exit.is_none()
        {
            let _ = sys::process::kill(-helper.pid, SIGKILL as i32);
        }
    }
}
