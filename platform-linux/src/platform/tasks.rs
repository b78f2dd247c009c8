//! Copies of the agent that do what may hang: fork(2), and memory for what they make.

use super::Linux;
use super::helper::Helper;
use crate::sys;
use crate::sys::process::Fork;
use linux_raw_sys::general::SIGKILL;
use qga_core::Errno;
use qga_core::platform::{Exit, Tasks, Work};

/// Whether a family of commands needs copies.
pub const COPIES: bool = cfg!(any(
    feature = "disks",
    feature = "hotplug",
    feature = "passwords",
    feature = "ssh",
    feature = "suspend",
    feature = "trim"
));

/// What the copy is about to do stands before what it makes.
const ABOUT_BYTES: u64 = 8;

impl Tasks for Linux {
    fn begin_task(&mut self, work: Work<'_, Self>) -> Result<(), Errno> {
        self.end_task();
        let output = sys::memory()?;
        output.put(&[0; ABOUT_BYTES as usize])?;
        // SAFETY: the child below ends by exit.
        let pid = match unsafe { sys::process::fork() }? {
            Fork::Child => 0,
            Fork::Parent(pid) => pid,
        };
        self.helper = Some(Helper { pid, exit: None, output });
        if pid != 0 {
            return Ok(());
        }
        sys::process::end_with_parent();
        if let Some(helper) = &self.helper {
            // Somebody else may want the others while this one hangs, the channel above all.
            let keep = [helper.output.raw(), self.log.descriptor()];
            sys::close_others(keep, sys::close_from(keep[0].max(keep[1]) + 1));
        }
        // What that says is for the agent.
        self.log.writer = None;
        sys::process::exit(work(self).map_or_else(|errno| errno.number() as i32, |()| 0))
    }

    fn put_about(&mut self, key: u64) {
        if let Some(helper) = &self.helper {
            let _ = sys::write_at(&helper.output, 0, &key.to_ne_bytes());
        }
    }

    fn put_made(&mut self, mut bytes: &[u8]) -> Result<(), Errno> {
        let helper = self.helper.as_ref().ok_or(Errno::BADF)?;
        while !bytes.is_empty() {
            let len = helper.output.put(bytes)? as usize;
            bytes = bytes.get(len..).unwrap_or(&[]);
        }
        Ok(())
    }

    fn task_exit(&mut self) -> Option<Exit> {
        self.reap();
        self.helper.as_ref().and_then(|helper| helper.exit)
    }

    fn task_about(&mut self) -> u64 {
        let mut key = [0; ABOUT_BYTES as usize];
        self.read_made(0, &mut key);
        u64::from_ne_bytes(key)
    }

    fn made_bytes(&mut self) -> u64 {
        let Some(helper) = &self.helper else { return 0 };
        let end = rustix::fs::seek(&helper.output, rustix::fs::SeekFrom::End(0));
        end.unwrap_or(0).saturating_sub(ABOUT_BYTES)
    }

    fn made(&mut self, at: u64, into: &mut [u8]) -> usize {
        at.checked_add(ABOUT_BYTES).map_or(0, |at| self.read_made(at, into))
    }

    fn leave_task(&mut self) {
        if let Some(helper) = self.helper.take()
            && helper.exit.is_none()
        {
            self.left = helper.pid;
        }
    }

    fn is_left(&mut self) -> bool {
        self.reap();
        self.left != 0
    }

    fn end_task(&mut self) {
        if let Some(helper) = self.helper.take()
            && helper.exit.is_none()
        {
            let _ = sys::process::kill(helper.pid, SIGKILL as i32);
            self.exchange_abandoned(0, helper.pid);
        }
    }

    fn abandoned(&mut self) -> usize {
        self.reap();
        self.abandoned.iter().filter(|pid| **pid != 0).count()
    }
}

impl Linux {
    /// Puts one process in the place of another among those that were given up, if that is there.
    pub fn exchange_abandoned(&mut self, from: i32, to: i32) {
        if let Some(place) = self.abandoned.iter_mut().find(|pid| **pid == from) {
            *place = to;
        }
    }

    /// Reads what the copy has written.
    fn read_made(&mut self, at: u64, into: &mut [u8]) -> usize {
        let Some(helper) = &self.helper else { return 0 };
        sys::read_at(&helper.output, at, into).unwrap_or(0) as usize
    }
}
