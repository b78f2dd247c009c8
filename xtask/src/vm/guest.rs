//! What the virtual machine should hold, in; its initramfs with the `init` script, out.
//!
//! The script is what a person would write for an appliance: mount the basics, load the virtio
//! modules, mount the disk, execute the agent.

use std::process::Command;

use super::initramfs::Initramfs;
use super::kernel::{self, Kernel};
use super::packages;
use super::reference;
use super::{Builder, RunAs, SHELL_PORT};
use crate::{Result, command, paths};

/// Modules that every machine loads; what they depend on is found by itself.
const MODULES: [&str; 3] = ["virtio_pci", "virtio_console", "virtio_blk"];

/// What the `init` script begins with.
const BEGIN: &str = "#!/bin/busybox sh
export PATH=/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /run
for module in /modules/*.ko; do insmod \"$module\"; done
";

/// Functions of the `init` script: the device of a port by the port's name (a guest without udev
/// has no link), and a bounded wait.
const FUNCTIONS: &str = r#"port_device() {
    for port in /sys/class/virtio-ports/*; do
        [ "$(cat "$port/name" 2>/dev/null)" = "$1" ] && echo "/dev/${port##*/}"
    done
}
await() {
    tries=0
    while [ -z "$(eval "$1")" ]; do
        tries=$((tries + 1))
        [ $tries -gt 500 ] && { echo "init: gave up waiting for: $1"; return 1; }
        sleep 0.02
    done
}
"#;

/// Builds the initramfs of the machine that `builder` describes.
pub(super) fn build(builder: &Builder, kernel: &Kernel) -> Result<Vec<u8>> {
    let mut archive = Initramfs::default();
    if builder.run_as == RunAs::Alone {
        if let Some(path) = builder.agent_binary()? {
            archive.file("/init", &paths::read(&path)?, 0o755);
        }
        return Ok(archive.finish());
    }
    for directory in ["proc", "sys", "dev", "run", "tmp", "data", "var"] {
        archive.directory(directory);
    }
    archive.symlink("/var/run", "/run");
    add_busybox(&mut archive)?;
    let mut wanted: Vec<&str> = MODULES.to_vec();
    wanted.extend(builder.modules.iter().map(String::as_str));
    for (index, (name, contents)) in kernel.modules(&wanted)?.iter().enumerate() {
        archive.file(&format!("/modules/{index:02}-{name}.ko"), contents, 0o644);
    }
    if let Some(path) = builder.agent_binary()? {
        archive.file("/bin/qga", &paths::read(&path)?, 0o755);
    }
    if builder.reference.is_some() {
        for (place, file) in reference::reference()?.files()? {
            archive.file(&place, &paths::read(&file)?, 0o755);
        }
    }
    for name in &builder.packages {
        packages::add(&mut archive, name)?;
    }
    for (path, contents, mode) in &builder.files {
        archive.file(path, contents, *mode);
    }
    for (path, target) in &builder.links {
        archive.symlink(path, target);
    }
    archive.file("/init", init_script(builder).as_bytes(), 0o755);
    Ok(archive.finish())
}

fn add_busybox(archive: &mut Initramfs) -> Result<()> {
    let busybox = kernel::busybox()?;
    archive.file("/bin/busybox", &paths::read(&busybox)?, 0o755);
    // In /bin only: the agent looks in /sbin for a shutdown command, which an appliance lacks.
    let applets = command::text(Command::new(&busybox).arg("--list"))?;
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        archive.symlink(&format!("/bin/{applet}"), "busybox");
    }
    Ok(())
}

/// The `init` script of the machine that `builder` describes.
pub(super) fn init_script(builder: &Builder) -> String {
    let mut script = format!("{BEGIN}{FUNCTIONS}");
    if builder.disk_mib.is_some() {
        script += "await 'ls /dev/vda 2>/dev/null'\nmount -t ext4 /dev/vda /data\n";
    }
    for name in builder.port_names() {
        script += &format!("await \"port_device {name}\"\n");
    }
    if builder.shell {
        // A read of a port that nobody holds on the other side ends at once: hence the loop.
        script += &format!("(port=$(port_device {SHELL_PORT}); while :; do\n");
        script += "    sh <>\"$port\" >&0 2>&0; sleep 0.1\ndone) &\n";
    }
    if let Some(name) = &builder.reference {
        let line = format!("qemu-ga -m virtio-serial -p \"$(port_device {name})\"");
        script += &format!("mkdir -p /run/reference\n{line} -t /run/reference &\n");
    }
    script + &builder.script + &agent_lines(builder)
}

fn agent_lines(builder: &Builder) -> String {
    let words: Vec<String> = builder.agent_arguments().iter().map(|word| quoted(word)).collect();
    let agent = format!("/bin/qga {}", words.join(" "));
    let agent = agent.trim_end();
    let uptime = "cut -d' ' -f1 /proc/uptime >/run/agent-start\n";
    let idle = "while :; do sleep 3600; done\n";
    match builder.run_as {
        RunAs::Init => format!("{uptime}exec {agent}\n"),
        RunAs::Child => format!("{uptime}{agent} &\necho $! >/run/agent-pid\n{idle}"),
        RunAs::Respawned => format!(
            "while :; do\n    {uptime}    {agent} &\n    echo $! >/run/agent-pid\n    wait $!\n    \
             echo \"init: the agent ended with $?\"\n    sleep 0.2\ndone\n"
        ),
        RunAs::BesideInit => {
            format!("{uptime}{agent} &\necho $! >/run/agent-pid\nexec {}\n", builder.init)
        }
        RunAs::Absent | RunAs::Alone => idle.to_owned(),
    }
}

/// One word for the shell, whatever is in it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
