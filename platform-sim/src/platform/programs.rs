//! Programs that a copy runs and waits for: they are those of [`crate::power`], and end at once or
//! hang.

use crate::kind::Kind;
use crate::sim::Sim;
use qga_core::Errno;
use qga_core::platform::{Exit, Programs};

impl Programs for Sim {
    fn run_program(
        &mut self,
        words: &[&[u8]],
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(Exit, usize), Errno> {
        self.call(Kind::RunProgram, |world| {
            let words: Vec<_> = words.iter().map(|word| String::from_utf8_lossy(word)).collect();
            let path = words.first().ok_or(Errno::INVAL)?;
            let programs = &world.machine.programs;
            let is_it = |program: &&crate::power::Program| {
                let name = program.path.rsplit('/').next();
                program.path == **path || name == Some(path)
            };
            let program = programs.iter().find(is_it).ok_or(Errno::NOENT)?.clone();
            if let Some(errno) = program.error {
                return Err(errno);
            }
            let mut started = words.clone();
            started[0] = program.path.clone().into();
            world.machine.started.push(started.join(" "));
            world.machine.inputs.push(input.to_vec());
            if program.runs_ms.is_none() {
                return Err(world.tasks.hang());
            }
            let len = program.output.len().min(output.len());
            output[..len].copy_from_slice(&program.output[..len]);
            Ok((program.exit, len))
        })
    }
}
