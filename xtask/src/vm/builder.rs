//! What a virtual machine should hold and how it runs, described step by step; [`Builder::boot`]
//! makes it.

use std::path::{Path, PathBuf};

use super::{AGENT_PORT, SHELL_PORT, Vm, boot};
use crate::{Result, build, paths};

/// How the agent runs in the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RunAs {
    /// `init` executes it: it is process 1 and the only userland (but for what a script started).
    #[default]
    Init,
    /// A child of the `init` shell, its process id in /run/agent-pid.
    Child,
    /// As [`RunAs::Child`], and started anew 0.2 s after it ended.
    Respawned,
    /// A child of the `init` shell, which then becomes the program of [`Builder::init`].
    BesideInit,
    /// It is /init itself, and the only file there is: nothing is mounted, no module is loaded.
    Alone,
    /// Not started (its file is in the guest as /bin/qga).
    Absent,
}

/// Describes a virtual machine. Unless told otherwise: the agent as process 1 on a virtio serial
/// port, 256 MiB of memory, a 64 MiB ext4 disk on /data, no shell.
#[derive(Default)]
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
    pub(super) every_driver: bool,
    pub(super) script: String,
    pub(super) shell: bool,
    pub(super) qemu_arguments: Vec<String>,
    pub(super) reboots: bool,
    pub(super) outlives: bool,
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

steps! { Builder, it:
    /// How the agent runs; [`RunAs::Init`] unless told otherwise.
    run_as(how: RunAs) { it.run_as = how }
    /// The agent's file on this machine, instead of the release build's.
    binary(path: &Path) { it.binary = Some(path.to_path_buf()) }
    /// The agent's arguments, instead of none (`-m isa-serial -p /dev/ttyS1` with isa serial).
    arguments(words: &[&str]) { it.arguments = Some(owned(words)) }
    /// The agent's channel is an isa serial port, /dev/ttyS1 in the guest.
    isa_serial() { it.isa_serial = true }
    /// No port for the agent at boot: see [`Vm::plug_port`].
    without_agent_port() { it.agent_port = false }
    /// Runs Debian's qemu-ga too, on a virtio serial port of this name (its process id is
    /// `pidof qemu-ga` in the guest).
    reference(port: &str) { it.reference = Some(port.to_owned()) }
    /// One more virtio serial port; see [`Vm::port`]. `$(port_device NAME)` is its device in
    /// scripts.
    port(name: &str) { it.ports.push(name.to_owned()) }
    /// The size of the ext4 disk.
    disk_mib(mebibytes: u64) { it.disk_mib = Some(mebibytes) }
    /// No disk, nothing mounted on /data.
    without_disk() { it.disk_mib = None }
    /// The guest's memory; a guest-file of 48 MiB on tmpfs needs its share of it.
    memory_mib(mebibytes: u32) { it.memory_mib = mebibytes }
    /// One more file in the initramfs, with these permission bits.
    file(path: &str, contents: &[u8], mode: u32) {
        it.files.push((path.to_owned(), contents.to_vec(), mode))
    }
    /// One more symbolic link in the initramfs, at `path`, that leads to `target`.
    link(path: &str, target: &str) { it.links.push((path.to_owned(), target.to_owned())) }
    /// The files of a Debian package and of the libraries that it needs, at their places.
    package(name: &str) { it.packages.push(name.to_owned()) }
    /// The command line that process 1 becomes, beside the agent, when all is ready.
    init(command: &str) { (it.run_as, it.init) = (RunAs::BesideInit, command.to_owned()) }
    /// One more kernel module (`xfs`, `loop`, ...); what it depends on comes by itself.
    module(name: &str) { it.modules.push(name.to_owned()) }
    /// Debian's kernel with drivers for every machine, instead of the one for clouds: of SATA, USB,
    /// and of SCSI controllers. Its filesystems are modules.
    every_driver() { it.every_driver = true }
    /// Lines of busybox shell that `init` runs before it starts the agent.
    script(lines: &str) { it.script += &format!("{}\n", lines.trim_end()) }
    /// Runs a root shell in the guest behind a port of its own, for [`Vm::shell`]. It touches no
    /// disk, so it works while filesystems are frozen.
    with_shell() { it.shell = true }
    /// More arguments for QEMU.
    qemu_arguments(words: &[&str]) { it.qemu_arguments.extend(owned(words)) }
    /// A guest that reboots starts anew (event RESET) instead of ending the machine (event
    /// SHUTDOWN with reason guest-reset).
    reboots() { it.reboots = true }
    /// The machine may outlive this process; see [`Vm::keep`].
    outlives() { it.outlives = true }
}

impl Builder {
    pub(super) fn new() -> Builder {
        Builder { agent_port: true, disk_mib: Some(64), memory_mib: 256, ..Builder::default() }
    }

    /// Builds the initramfs and the disk and starts QEMU. The guest is still booting then:
    /// [`Vm::agent`] waits for it. Installs what is missing, see [`crate::install`].
    pub fn boot(self) -> Result<Vm> {
        boot::boot(&self)
    }

    pub(super) fn agent_arguments(&self) -> Vec<String> {
        match (&self.arguments, self.isa_serial) {
            (Some(words), _) => words.clone(),
            (None, true) => owned(&["-m", "isa-serial", "-p", "/dev/ttyS1"]),
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
