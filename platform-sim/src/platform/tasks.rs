//! Copies of the agent: what they are to do comes in, and is done at once.

use crate::kind::Kind;
use crate::sim::Sim;
use qga_core::Errno;
use qga_core::platform::{Exit, Tasks, Work};

impl Tasks for Sim {
    fn begin_task(&mut self, work: Work<'_, Self>) -> Result<(), Errno> {
        self.call(Kind::BeginTask, |world| {
            world.tasks.begin();
            world.accounts.begin();
            Ok(())
        })?;
        let ended = work(self);
        self.with(|world| world.tasks.end(ended));
        Ok(())
    }

    fn put_about(&mut self, key: u64) {
        self.with(|world| {
            if world.tasks.is_at_work() {
                world.tasks.about = key;
            }
        });
    }

    fn put_made(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.call(Kind::PutMade, |world| {
            world.tasks.made.extend(bytes);
            world.tasks.made_bytes_max = world.tasks.made_bytes_max.max(world.tasks.made.len());
            Ok(())
        })
    }

    fn task_exit(&mut self) -> Option<Exit> {
        self.with(|world| world.tasks.exit)
    }

    fn task_about(&mut self) -> u64 {
        self.with(|world| world.tasks.about)
    }

    fn made_bytes(&mut self) -> u64 {
        self.with(|world| world.tasks.made.len() as u64)
    }

    fn made(&mut self, at: u64, into: &mut [u8]) -> usize {
        self.with(|world| {
            let made = &world.tasks.made;
            let from = usize::try_from(at).ok().and_then(|at| made.get(at..)).unwrap_or(&[]);
            let len = from.len().min(into.len());
            into[..len].copy_from_slice(&from[..len]);
            len
        })
    }

    fn leave_task(&mut self) {
        self.with(|world| world.tasks.leave());
    }

    fn is_left(&mut self) -> bool {
        self.with(|world| world.tasks.is_left)
    }

    fn end_task(&mut self) {
        self.with(|world| world.tasks.give_up());
    }

    fn abandoned(&mut self) -> usize {
        self.with(|world| world.tasks.abandoned)
    }
}
