//! A real virtual machine for the demo, the tests and the benchmarks: a [`Builder`] in, a running
//! [`Vm`] out, with the agent on a virtio or isa serial port.
//!
//! QEMU emulates (no KVM needed), boots Debian's cloud kernel with an initramfs of busybox and the
//! agent, and gives it an ext4 disk under /data. Everything lies in a private directory that goes
//! away with the [`Vm`]; QEMU is killed by its own process id when the [`Vm`] is dropped and when
//! this process dies. Every wait has an end, and errors carry the guest's last console lines.
//!
//! ```no_run
//! use xtask::vm::{RunAs, Vm};
//! let mut vm = Vm::builder().run_as(RunAs::Init).with_shell().boot()?;
//! let mut agent = vm.agent()?;
//! assert_eq!(agent.request("{'execute': 'guest-ping'}")?, r#"{"return": {}}"#);
//! assert_eq!(vm.shell("cat /proc/1/comm")?, "qga\n");
//! # Ok::<(), String>(())
//! ```

/// Steps of a description: `NAME(WORDS) { CHANGE }` becomes a method that takes the description,
/// calls it `it`, and gives it back changed.
macro_rules! steps {
    ($kind:ty, $it:ident: $($(#[$about:meta])* $name:ident($($word:ident: $of:ty),*) $change:block)*) => {
        impl $kind {
            $($(#[$about])* pub fn $name(mut self, $($word: $of),*) -> Self {
                let $it = &mut self;
                $change;
                self
            })*
        }
    };
}

pub mod baremetal;
mod boot;
mod builder;
pub mod channel;
mod guest;
pub mod initramfs;
pub mod kernel;
mod packages;
pub mod qmp;
pub mod reference;
mod shell;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::mpsc;
use std::time::{Duration, Instant};

pub use builder::{Builder, RunAs};
pub use channel::Channel;
pub use qmp::Qmp;

use crate::Result;
use crate::progress::until;
use shell::Shell;

/// The agent's port, as every hypervisor names it.
pub const AGENT_PORT: &str = "org.qemu.guest_agent.0";
/// The port behind which the guest runs a shell for [`Vm::shell`].
const SHELL_PORT: &str = "qga.test.shell";

/// A guest under emulation on a busy machine: the longest that booting may take.
const BOOT_PATIENCE: Duration = Duration::from_secs(120);

/// Makes sure that a virtual machine can be had: QEMU and the tools installed, kernel and busybox
/// downloaded. [`Builder::boot`] does the same; this tells beforehand what is missing.
pub fn prepare() -> Result<()> {
    boot::prepare(false).map(|_| ())
}

/// Enough of the console's end to hold a kernel panic's first line.
const CONSOLE_LINES_SHOWN: usize = 40;

/// A running virtual machine. Dropping it ends it.
pub struct Vm {
    qemu: Child,
    /// Held for the thread that started QEMU; see `boot::spawn`.
    _keeper: mpsc::Sender<()>,
    qmp: Qmp,
    shell: Option<Shell>,
    directory: PathBuf,
    started: Instant,
    kept: bool,
}

impl Vm {
    /// A description to start from.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// A conversation with the agent, in sync: waits until the guest has booted and it answers.
    pub fn agent(&mut self) -> Result<Channel> {
        self.synced(AGENT_PORT)
    }

    /// As [`Vm::agent`], with the agent on the port `name` (the reference's).
    pub fn synced(&mut self, name: &str) -> Result<Channel> {
        let mut channel = self.port(name)?;
        // Bytes sent early to a virtio port wait in QEMU; on an isa port they are lost.
        let result = channel.sync(BOOT_PATIENCE, Duration::from_secs(3));
        result.map_err(|error| self.explain(error))?;
        Ok(channel)
    }

    /// The hypervisor's side of the port `name`, nothing sent yet. A port takes one client at a
    /// time: drop the earlier one first.
    pub fn port(&mut self, name: &str) -> Result<Channel> {
        Channel::connect(&self.port_path(name)).map_err(|error| self.explain(error))
    }

    /// The unix socket of the port `name` ([`AGENT_PORT`] also when it is an isa serial port).
    pub fn port_path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.sock"))
    }

    /// Plugs the agent's port into the running machine.
    pub fn plug_port(&mut self) -> Result<()> {
        boot::plug_port(self, AGENT_PORT)
    }

    /// Unplugs what [`Vm::plug_port`] plugged in.
    pub fn unplug_port(&mut self) -> Result<()> {
        boot::unplug_port(self, AGENT_PORT)
    }

    /// Runs a command in the guest (needs [`Builder::with_shell`]) and yields what it printed, on
    /// stdout and stderr. An error when it ended with another status than 0. 30 s at most.
    pub fn shell(&mut self, command: &str) -> Result<String> {
        let (status, text) = self.shell_status(command)?;
        match status {
            0 => Ok(text),
            _ => Err(format!("in the guest: {command}: status {status}: {text}")),
        }
    }

    /// As [`Vm::shell`], yielding the command's status too.
    pub fn shell_status(&mut self, command: &str) -> Result<(i32, String)> {
        let shell = self.shell.as_mut().ok_or("this machine was built without with_shell()")?;
        let result = shell.run(command, BOOT_PATIENCE);
        result.map_err(|error| self.explain(error))
    }

    /// QEMU's control channel.
    pub fn qmp(&mut self) -> &mut Qmp {
        &mut self.qmp
    }

    /// What the guest's console (first serial port) printed so far.
    pub fn console(&self) -> String {
        let bytes = fs::read(self.directory.join("console.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until the console shows `text`.
    pub fn wait_console(&mut self, text: &str, patience: Duration) -> Result<()> {
        let shows = || self.console().contains(text).then_some(());
        until(patience, Duration::from_millis(10), shows).ok_or_else(|| {
            self.explain(format!("the console did not show {text:?} within {patience:?}"))
        })
    }

    /// Waits until the machine has ended by itself; yields the reason in QEMU's SHUTDOWN event
    /// (`guest-shutdown`, `guest-reset`). A kernel panic is an error.
    pub fn wait_shutdown(&mut self, patience: Duration) -> Result<String> {
        let event = self.qmp.wait_event(&["SHUTDOWN"], patience);
        let event = event.map_err(|error| self.explain(error))?;
        until(patience, Duration::from_millis(2), || self.qemu.try_wait().ok()?)
            .ok_or_else(|| self.explain("QEMU did not end after its SHUTDOWN event".to_owned()))?;
        match self.console().contains("Kernel panic") {
            true => Err(self.explain("the guest's kernel panicked".to_owned())),
            false => Ok(event["data"]["reason"].as_str().unwrap_or("unknown").to_owned()),
        }
    }

    /// When QEMU was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// QEMU's process id.
    pub fn pid(&self) -> u32 {
        self.qemu.id()
    }

    /// The machine's private directory: sockets, disk, console.log, qemu.log.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// `error` with the guest's last console lines and QEMU's own complaints.
    pub fn explain(&self, error: String) -> String {
        let console = self.console();
        let lines: Vec<&str> = console.lines().collect();
        let tail = lines[lines.len().saturating_sub(CONSOLE_LINES_SHOWN)..].join("\n    ");
        let qemu = fs::read_to_string(self.directory.join("qemu.log")).unwrap_or_default();
        let mut text = format!("{error}\n  the guest's console ends with:\n    {tail}");
        if !qemu.trim().is_empty() {
            text.push_str(&format!("\n  QEMU says: {}", qemu.trim()));
        }
        text
    }

    /// Leaves the machine running (needs [`Builder::outlives`], else it dies with this process);
    /// its process id and directory are for the person who ends it.
    pub fn keep(mut self) -> (u32, PathBuf) {
        self.kept = true;
        (self.qemu.id(), self.directory.clone())
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if std::thread::panicking() {
            eprintln!("{}", self.explain("the virtual machine of the failed test:".to_owned()));
        }
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
