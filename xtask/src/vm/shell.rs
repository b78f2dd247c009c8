//! Commands for the guest's shell in, their output and status out, over a port of its own.

use std::path::Path;
use std::time::Duration;

use super::channel::Channel;
use crate::Result;

/// The hypervisor's side of the port behind which the guest runs a shell.
pub(super) struct Shell {
    channel: Channel,
    commands: u32,
}

impl Shell {
    /// Connects before the guest opens its side, which would read an end of file otherwise.
    pub(super) fn connect(path: &Path) -> Result<Shell> {
        Ok(Shell { channel: Channel::connect(path)?, commands: 0 })
    }

    /// Runs one command; its status and its output. The first call waits for the boot, too.
    pub(super) fn run(&mut self, command: &str, boot: Duration) -> Result<(i32, String)> {
        let patience = if self.commands == 0 { boot } else { Duration::from_secs(30) };
        self.channel.set_timeout(patience);
        self.commands += 1;
        // A line of its own in the output, which no command prints by chance.
        let mark = format!("--- {} of {} ended with ", self.commands, std::process::id());
        // Spelled in two parts, so that an echo of the command would not be taken for it.
        let (head, tail) = mark.split_at(2);
        let line =
            format!("(\n{command}\n) </dev/null 2>&1; s=$?; echo; echo '{head}''{tail}'$s\n");
        self.channel.send(line.as_bytes())?;
        let mut output = Vec::new();
        loop {
            let line = self.channel.receive_until(b'\n');
            let line = line.map_err(|error| format!("in the guest: {command}: {error}"))?;
            let text = String::from_utf8_lossy(&line);
            if let Some(status) = text.strip_prefix(mark.as_str()) {
                output.pop(); // the newline that set the mark off
                let status = status.trim().parse();
                let status = status.map_err(|_| format!("odd status from the guest: {text}"))?;
                return Ok((status, String::from_utf8_lossy(&output).into_owned()));
            }
            output.extend_from_slice(&line);
        }
    }
}
