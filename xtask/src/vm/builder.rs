//! What a virtual machine should hold and how it runs, described step by step; [`Builder::boot`]
//! makes it.

use std::path::{Path, PathBuf};

use super::{AGENT_PORT, SHELL_PORT, Vm, boot};
use crate::{Result, build, paths};

/// How the agent runs in the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunAs {
    /// `init` executes it: it is process 1 and the only userland (but for what a script started).
    Init,
    /// A child of the `init` shell, its process id in /run/agent-pid.
    Child,
    /// As [`RunAs::Child`], and started anew 0.2 s after it ended.
    Respawned,
    /// A child of the `init` shell, which then becomes the program of [`Builder::init`].
    BesideInit,
    /// Not started (its file is in the guest as /bin/qga).
    Absent,
}

/// Describes a virtual machine. Unless told otherwise: the agent as process 1 on a virtio serial
/// port, 256 MiB of memory, a 64 MiB ext4 disk on /data, no shell.
pub struct Builder {
    pub(super) run_as: RunAs,
    pub(super) binary: Option<PathBuf>,
    pub(super) arguments: Option<Vec<String>>,
    pub(super) isa_serial: bool,
    pub(super) agent_port: bool,
    pub(super) reference: Option<String>,
    pub(super) ports: Vec<String>,
    pub(super) disk_mib: Option<u64>,
    pub(super) memory_mib: u32,
    pub(super) files: Vec<(String, Vec<u8>, u32)>,
    pub(super) links: Vec<(String, String)>,
    pub(super) packages: Vec<String>,
    pub(super) init: String,
    pub(super) modules: Vec<String>,
    pub(super) script: String,
    pub(super) shell: bool,
    pub(super) kernel_arguments: String,
    pub(super) qemu_arguments: Vec<String>,
    pub(super) reboots: bool,
    pub(super) outlives: bool,
}

impl Builder {
    pub(super) fn new() -> Builder {
        Builder {
            run_as: RunAs::Init,
            binary: None,
            arguments: None,
            isa_serial: false,
            agent_port: true,
            reference: None,
            ports: Vec::new(),
            disk_mib: Some(64),
            memory_mib: 256,
            files: Vec::new(),
            links: Vec::new(),
            packages: Vec::new(),
            init: String::new(),
            modules: Vec::new(),
            script: String::new(),
            shell: false,
            kernel_arguments: String::new(),
            qemu_arguments: Vec::new(),
            reboots: false,
            outlives: false,
        }
    }

    /// How the agent runs; [`RunAs::Init`] unless told otherwise.
    pub fn run_as(mut self, run_as: RunAs) -> Builder {
        self.run_as = run_as;
        self
    }

    /// The agent's file on this machine, instead of the release build's.
    pub fn binary(mut self, path: &Path) -> Builder {
        self.binary = Some(path.to_path_buf());
        self
    }

    /// The agent's arguments, instead of none (`-m isa-serial -p /dev/ttyS1` with isa serial).
    pub fn arguments(mut self, arguments: &[&str]) -> Builder {
        self.arguments = Some(arguments.iter().map(|word| (*word).to_owned()).collect());
        self
    }

    /// The agent's channel is an isa serial port, /dev/ttyS1 in the guest.
    pub fn isa_serial(mut self) -> Builder {
        self.isa_serial = true;
        self
    }

    /// No port for the agent at boot: see [`Vm::plug_port`].
    pub fn without_agent_port(mut self) -> Builder {
        self.agent_port = false;
        self
    }

    /// Runs Debian's qemu-ga too, on a virtio serial port of this name (its process id is
    /// `pidof qemu-ga` in the guest).
    pub fn reference(mut self, port: &str) -> Builder {
        self.reference = Some(port.to_owned());
        self
    }

    /// One more virtio serial port; see [`Vm::port`]. `$(port_device NAME)` is its device in
    /// scripts.
    pub fn port(mut self, name: &str) -> Builder {
        self.ports.push(name.to_owned());
        self
    }

    /// The size of the ext4 disk.
    pub fn disk_mib(mut self, mebibytes: u64) -> Builder {
        self.disk_mib = Some(mebibytes);
        self
    }

    /// No disk, nothing mounted on /data.
    pub fn without_disk(mut self) -> Builder {
        self.disk_mib = None;
        self
    }

    /// The guest's memory; a guest-file of 48 MiB on tmpfs needs its share of it.
    pub fn memory_mib(mut self, mebibytes: u32) -> Builder {
        self.memory_mib = mebibytes;
        self
    }

    /// One more file in the initramfs, with these permission bits.
    pub fn file(mut self, path: &str, contents: &[u8], mode: u32) -> Builder {
        self.files.push((path.to_owned(), contents.to_vec(), mode));
        self
    }

    /// One more symbolic link in the initramfs, at `path`, that leads to `target`.
    pub fn link(mut self, path: &str, target: &str) -> Builder {
        self.links.push((path.to_owned(), target.to_owned()));
        self
    }

    /// The files of a Debian package and of the libraries that it needs, at their places.
    pub fn package(mut self, name: &str) -> Builder {
        self.packages.push(name.to_owned());
        self
    }

    /// The command line that process 1 becomes, beside the agent, when all is ready.
    pub fn init(mut self, command: &str) -> Builder {
        self.run_as = RunAs::BesideInit;
        self.init = command.to_owned();
        self
    }

    /// One more kernel module (`xfs`, `loop`, ...); what it depends on comes by itself.
    pub fn module(mut self, name: &str) -> Builder {
        self.modules.push(name.to_owned());
        self
    }

    /// Lines of busybox shell that `init` runs before it starts the agent.
    pub fn script(mut self, lines: &str) -> Builder {
        self.script.push_str(lines.trim_end());
        self.script.push('\n');
        self
    }

    /// Runs a root shell in the guest behind a port of its own, for [`Vm::shell`]. It touches no
    /// disk, so it works while filesystems are frozen.
    pub fn with_shell(mut self) -> Builder {
        self.shell = true;
        self
    }

    /// More words for the kernel's command line.
    pub fn kernel_arguments(mut self, words: &str) -> Builder {
        self.kernel_arguments.push(' ');
        self.kernel_arguments.push_str(words);
        self
    }

    /// More arguments for QEMU.
    pub fn qemu_arguments(mut self, arguments: &[&str]) -> Builder {
        self.qemu_arguments.extend(arguments.iter().map(|word| (*word).to_owned()));
        self
    }

    /// A guest that reboots starts anew (event RESET) instead of ending the machine (event
    /// SHUTDOWN with reason guest-reset).
    pub fn reboots(mut self) -> Builder {
        self.reboots = true;
        self
    }

    /// The machine may outlive this process; see [`Vm::keep`].
    pub fn outlives(mut self) -> Builder {
        self.outlives = true;
        self
    }

    /// Builds the initramfs and the disk and starts QEMU. The guest is still booting then:
    /// [`Vm::agent`] waits for it. Installs what is missing, see [`crate::install`].
    pub fn boot(self) -> Result<Vm> {
        boot::boot(&self)
    }

    pub(super) fn agent_arguments(&self) -> Vec<String> {
        match (&self.arguments, self.isa_serial) {
            (Some(words), _) => words.clone(),
            (None, true) => ["-m", "isa-serial", "-p", "/dev/ttyS1"].map(str::to_owned).to_vec(),
            (None, false) => Vec::new(),
        }
    }

    /// The agent's file, built when need be; none when it is not started and was not built either.
    pub(super) fn agent_binary(&self) -> Result<Option<PathBuf>> {
        match (&self.binary, self.run_as) {
            (Some(path), _) => Ok(Some(path.clone())),
            (None, RunAs::Absent) => Ok(Some(paths::agent()).filter(|path| path.is_file())),
            (None, _) if paths::agent().is_file() => Ok(Some(paths::agent())),
            (None, _) => build::release().map(Some),
        }
    }

    /// The names of all virtio serial ports that exist at boot.
    pub(super) fn port_names(&self) -> Vec<&str> {
        let agent = (self.agent_port && !self.isa_serial).then_some(AGENT_PORT);
        let shell = self.shell.then_some(SHELL_PORT);
        let reference = self.reference.as_deref();
        let more = self.ports.iter().map(String::as_str);
        agent.into_iter().chain(shell).chain(reference).chain(more).collect()
    }
}
