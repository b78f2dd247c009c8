//! Hooks: one program, told of freezes and thaws. Invariant: nothing that the agent has frozen is
//! frozen meanwhile.

use crate::hooks::Hook;
use crate::kind::Kind;
use crate::mounts::By;
use crate::sim::Sim;
use qga_core::Errno;
use qga_core::platform::{Exit, Hooks, Moment};

impl Hooks for Sim {
    const HOOKS: bool = true;

    fn has_hook(&self) -> bool {
        self.with(|world| world.hook.is_some())
    }

    fn start_hook(&mut self, moment: Moment) -> Result<(), Errno> {
        self.call(Kind::StartHook, |world| {
            if world.mounts.superblocks.iter().any(|one| one.frozen == Some(By::Agent)) {
                world.violations.push(format!("the hook is told of a {moment:?} while frozen"));
            }
            let now_ms = world.time.now_ms;
            world.hook.as_mut().ok_or(Errno::NOENT)?.start(moment, now_ms)
        })
    }

    fn wait_for_hook(&mut self, ms_max: u64) -> Result<Option<Exit>, Errno> {
        self.call(Kind::WaitForHook, |world| {
            let hook = world.hook.as_mut().ok_or(Errno::CHILD)?;
            match hook.exit(world.time.now_ms)? {
                None => {
                    world.time.advance(ms_max);
                    hook.exit(world.time.now_ms)
                }
                exit => Ok(exit),
            }
        })
    }

    fn hook_output(&mut self, into: &mut [u8]) -> usize {
        self.sure(Kind::HookOutput, 0, |world| {
            let Some(hook) = &world.hook else { return 0 };
            let len = hook.output.len().min(into.len());
            into[..len].copy_from_slice(&hook.output[..len]);
            len
        })
    }

    fn end_hook(&mut self) {
        self.sure(Kind::EndHook, (), |world| world.hook.iter_mut().for_each(Hook::kill));
    }
}
