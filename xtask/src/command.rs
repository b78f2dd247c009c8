//! Other programs: a command in; that it succeeded, or what it printed, out. An error names the
//! program and has the last lines that it said.

use std::process::{Command, Output, Stdio};

use crate::{ElseSay, Result};

/// How much of what a program said goes into an error.
const LINES_SHOWN: usize = 8;

/// Runs a command quietly.
pub fn run(command: &mut Command) -> Result<()> {
    output(command).map(|_| ())
}

/// Runs a command quietly; what it printed on its output.
pub fn text(command: &mut Command) -> Result<String> {
    Ok(String::from_utf8_lossy(&output(command)?.stdout).into_owned())
}

/// Runs a command quietly; all that it printed.
pub fn output(command: &mut Command) -> Result<Output> {
    let program = name(command);
    let output = command.stdin(Stdio::null()).output().else_say(format!("cannot run {program}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n    ");
    Err(format!("{program} failed ({}):\n    {tail}", output.status))
}

/// Runs a command that shows its own output.
pub fn show(command: &mut Command) -> Result<()> {
    let program = name(command);
    let status = command.status().else_say(format!("cannot run {program}"))?;
    match status.success() {
        true => Ok(()),
        false => {
            let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
            Err(format!("{program} {} failed ({status})", words.join(" ")))
        }
    }
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}
