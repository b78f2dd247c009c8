//! The file of options, and the same printed: GLib's key file, as the reference has it, with a
//! group for the agent's own. Its text stays where it is read to, because options point into it.

use crate::channel;
use crate::fd::Fd;
use crate::options::{Known, Options, Wrong, known, put_key};
use crate::process::variable;
use crate::run::LinuxAgent;
use crate::state_dir::USUAL_DIR;
use crate::sys;
use linux_raw_sys::general::{S_IFMT, S_IFREG};
use qga_core::formats::keyfile::{self, Line};
use qga_core::writer::Writer;
use qga_core::{Errno, Rule};
use rustix::fs::OFlags;

/// The longest file: two lists of all commands take 2 kB, five paths of the kernel's longest are
/// not to be expected, and comments explain it all three times over.
const CONFIG_BYTES_MAX: usize = 16 * 1024;

/// Room for the file, and for the NUL behind its last value.
pub struct Text([u8; CONFIG_BYTES_MAX + 1]);

impl Text {
    /// None; all zero.
    pub const fn new() -> Self {
        Text([0; CONFIG_BYTES_MAX + 1])
    }
}

impl Default for Text {
    fn default() -> Self {
        Text::new()
    }
}

/// Reads the file that was named, else that of the environment, else the usual one, which need not
/// be there; from now on it is the one that was named. Errors: why it cannot be read; EFBIG; EPERM
/// for one that others can write to, as they would be root by it.
///
/// # Safety
/// As of [`variable`].
#[inline(never)]
pub unsafe fn load<'t>(
    text: &'t mut Text,
    options: &mut Options,
    environment: *const *const u8,
) -> Result<&'t mut [u8], Errno> {
    // SAFETY: the caller vouches for it.
    let variable = unsafe { variable(environment, "QGA_CONF") };
    let path = options.config.or(variable).unwrap_or(c"/etc/qemu/qemu-ga.conf");
    let must_be = options.config.replace(path).is_some();
    let file = match sys::open(path, OFlags::NOCTTY | OFlags::NONBLOCK, 0) {
        Err(Errno::NOENT) if !must_be => return Ok(&mut []),
        opened => opened?,
    };
    let node = sys::look(&file)?;
    if node.mode & S_IFMT == S_IFREG && (node.mode & 0o022 != 0 || !sys::is_own(node.user)) {
        return Err(Errno::PERM);
    }
    fill(&file, &mut text.0)
}

fn fill<'t>(file: &Fd, text: &'t mut [u8]) -> Result<&'t mut [u8], Errno> {
    let mut len = 0;
    loop {
        let free = text.get_mut(len..).filter(|free| !free.is_empty()).ok_or(Errno::FBIG)?;
        match file.get(free)? as usize {
            0 => return Ok(text.get_mut(..len).unwrap_or(&mut [])),
            more => len += more,
        }
    }
}

/// Reads what the file says. Errors: what is wrong with the line in [`Options::config_line`].
#[inline(never)]
pub fn parse(mut text: &'static mut [u8], options: &mut Options) -> Result<(), Wrong> {
    // Whose keys follow: nobody's before the first group, then somebody else's, the reference's or
    // the agent's own.
    let mut owns = None;
    while !text.is_empty() {
        let end = text.iter().position(|&byte| byte == b'\n').unwrap_or(text.len());
        let (line, rest) = core::mem::take(&mut text).split_at_mut_checked(end).unwrap_or_default();
        text = rest.get_mut(1..).unwrap_or(&mut []);
        options.config_line += 1;
        options.subject = None;
        match (keyfile::line(line).ok_or(Wrong::Line)?, owns) {
            (Line::Empty, _) => {}
            (Line::Group(name), _) => {
                owns = Some(match name {
                    b"general" => Some(false),
                    b"qga" => Some(true),
                    _ => None,
                });
            }
            (Line::Pair(..), None) => return Err(Wrong::Line),
            (Line::Pair(..), Some(None)) => {}
            (Line::Pair(key, value), Some(Some(own))) => {
                put_key(options, own, key, value)?;
            }
        }
    }
    options.config_line = 0;
    Ok(())
}

/// Writes what is in force as such a file.
pub fn dump(agent: &LinuxAgent, options: &Options, out: &mut Writer<'_>) {
    for (own, group) in [(false, "[general]\n"), (true, "[qga]\n")] {
        out.ascii(group);
        for option in known().filter(|option| option.is_key(own)) {
            let start = out.len();
            out.raw(option.key());
            out.ascii("=");
            if write_value(agent, options, option, out) {
                out.ascii("\n");
            } else {
                out.take_back(start);
            }
        }
    }
}

/// Writes the value of an option; whether it has one.
fn write_value(agent: &LinuxAgent, options: &Options, option: Known, out: &mut Writer<'_>) -> bool {
    let usual = match option.short {
        b'b' => return write_list(agent, Rule::Block, out),
        b'a' => return write_list(agent, Rule::Allow, out),
        b'm' => Some(c"virtio-serial"),
        b'p' => Some(channel::path(options)),
        b'f' => Some(options.pid_file()),
        b't' => Some(USUAL_DIR),
        _ => option.is_flag().then_some(c"false"),
    };
    let value = options.text(option.short).or(usual);
    // Blanks at the beginning would not be read.
    let mut begins = true;
    for &byte in value.unwrap_or(c"").to_bytes() {
        begins &= matches!(byte, b' ' | b'\t');
        let letter = match byte {
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' if begins => b't',
            b' ' if begins => b's',
            _ => {
                out.raw(&[byte]);
                continue;
            }
        };
        out.raw(&[b'\\', letter]);
    }
    value.is_some()
}

/// Writes the commands that lists of a rule have named. Without any list nothing is allowed in
/// particular: that must not be read as a list which allows nothing.
fn write_list(agent: &LinuxAgent, rule: Rule, out: &mut Writer<'_>) -> bool {
    for (at, name) in agent.named(rule).enumerate() {
        out.ascii(if at == 0 { "" } else { "," });
        out.ascii(name);
    }
    rule == Rule::Block || agent.has_list(rule)
}
