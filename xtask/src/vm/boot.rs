//! A [`Builder`] in, a started QEMU out: private directory, disk, command line, sockets.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::kernel::{Kernel, busybox, kernel};
use super::shell::Shell;
use super::{AGENT_PORT, Builder, Qmp, SHELL_PORT, Vm, guest};
use crate::progress::until;
use crate::{ElseSay, Result, command, install, paths};

/// Serial console, no chatter, no mitigations (they cost time under emulation and protect nothing
/// here); a panic ends the machine instead of hanging it.
const KERNEL_ARGUMENTS: &str =
    "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable no_timer_check";

/// Debian's packages behind the commands that a virtual machine needs.
const NEEDS: [(&str, &str); 3] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("mkfs.ext4", "e2fsprogs"),
    ("setpriv", "util-linux"),
];

/// The longest path that a unix socket's address holds.
const SOCKET_PATH_BYTES_MAX: usize = 107;

pub(super) fn boot(builder: &Builder) -> Result<Vm> {
    let kernel = prepare(builder.every_driver)?;
    let initramfs = guest::build(builder, &kernel)?;
    in_private_directory(|directory| {
        paths::write(&directory.join("initramfs.cpio"), &initramfs)?;
        if let Some(mebibytes) = builder.disk_mib {
            make_disk(&directory.join("disk.img"), mebibytes)?;
        }
        let arguments = arguments(builder, &kernel, directory);
        let mut vm = start("qemu-system-x86_64", arguments, directory, builder.outlives)?;
        if builder.shell {
            vm.shell = Some(Shell::connect(&vm.port_path(SHELL_PORT))?);
        }
        Ok(vm)
    })
}

pub(super) fn prepare(every_driver: bool) -> Result<Kernel> {
    install::commands(&NEEDS)?;
    busybox()?;
    kernel(every_driver)
}

/// A machine in a directory of its own, which goes away when it cannot be started.
pub(super) fn in_private_directory(start: impl FnOnce(&Path) -> Result<Vm>) -> Result<Vm> {
    let directory = private_directory()?;
    start(&directory).inspect_err(|_| _ = fs::remove_dir_all(&directory))
}

pub(super) fn start(
    program: &str,
    arguments: Vec<String>,
    directory: &Path,
    outlives: bool,
) -> Result<Vm> {
    let started = Instant::now();
    let (mut qemu, keeper) = spawn(program, arguments, directory, outlives)?;
    match control_channel(&mut qemu, directory) {
        Ok(qmp) => {
            let directory = directory.to_path_buf();
            Ok(Vm { qemu, _keeper: keeper, qmp, shell: None, directory, started, kept: false })
        }
        Err(error) => {
            let _ = qemu.kill();
            let _ = qemu.wait();
            let log = fs::read_to_string(directory.join("qemu.log")).unwrap_or_default();
            Err(format!("QEMU did not start: {error}\n  it says: {}", log.trim()))
        }
    }
}

/// A new directory that only we may enter, with a path short enough for sockets in it.
fn private_directory() -> Result<PathBuf> {
    let longest = "/qga-vm-0000000-000000/".len() + AGENT_PORT.len() + 30;
    let mut parent = std::env::temp_dir();
    if parent.as_os_str().len() + longest > SOCKET_PATH_BYTES_MAX {
        parent = PathBuf::from("/tmp");
    }
    sweep(&parent);
    let prefix = format!("qga-vm-{}-", std::process::id());
    let made = tempfile::Builder::new().prefix(&prefix).tempdir_in(&parent);
    Ok(made.else_say_of("cannot make a folder in", &parent)?.keep())
}

/// Removes what interrupted runs left: directories whose maker is gone and whose QEMU is, too.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix("qga-vm-") else { continue };
        let maker = rest.split('-').next().unwrap_or_default();
        let maker_lives = Path::new("/proc").join(maker).exists();
        let qemu_lives = || UnixStream::connect(entry.path().join("qmp.sock")).is_ok();
        if !maker.is_empty() && !maker_lives && !qemu_lives() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn make_disk(path: &Path, mebibytes: u64) -> Result<()> {
    let file = File::create(path).and_then(|file| file.set_len(mebibytes << 20));
    file.else_say_of("cannot make the disk", path)?;
    let program = install::find_command("mkfs.ext4").unwrap_or_else(|| "mkfs.ext4".into());
    command::run(Command::new(program).args(["-q", "-F", "-m", "0"]).arg(path))
}

fn arguments(builder: &Builder, kernel: &Kernel, directory: &Path) -> Vec<String> {
    let file = |name: &str| directory.join(name).display().to_string();
    let image = kernel.image.display().to_string();
    let memory = builder.memory_mib.to_string();
    let mut words: Vec<String> = Vec::new();
    let mut add = |more: &[&str]| words.extend(more.iter().map(|word| (*word).to_owned()));
    add(&["-name", "qga", "-accel", "tcg", "-machine", "q35", "-m", &memory]);
    add(&["-nodefaults", "-no-user-config", "-display", "none"]);
    add(&["-kernel", &image, "-initrd", &file("initramfs.cpio"), "-append", KERNEL_ARGUMENTS]);
    add(&["-chardev", &format!("file,id=console,path={}", file("console.log"))]);
    add(&["-serial", "chardev:console"]);
    add(&["-chardev", &socket("qmp", &file("qmp.sock"))]);
    add(&["-mon", "chardev=qmp,mode=control"]);
    add(&["-device", "virtio-serial"]);
    if builder.isa_serial {
        add(&["-chardev", &socket("agent", &file(&format!("{AGENT_PORT}.sock")))]);
        add(&["-serial", "chardev:agent"]);
    }
    for (index, name) in builder.port_names().iter().enumerate() {
        let id = format!("port{index}");
        add(&["-chardev", &socket(&id, &file(&format!("{name}.sock")))]);
        add(&["-device", &format!("virtserialport,chardev={id},name={name}")]);
    }
    if builder.disk_mib.is_some() {
        let drive = format!("if=none,id=disk,format=raw,file={}", file("disk.img"));
        add(&["-drive", &drive, "-device", "virtio-blk,drive=disk"]);
    }
    if !builder.reboots {
        add(&["-no-reboot"]);
    }
    words.extend(builder.qemu_arguments.iter().cloned());
    words
}

pub(super) fn socket(id: &str, path: &str) -> String {
    format!("socket,id={id},path={path},server=on,wait=off")
}

/// Starts QEMU in a process group of its own, so that a Ctrl-C meant for us leaves it to us.
/// Unless it may outlive us, the kernel kills it when we die in whatever way: `setpriv` asks for
/// that and then becomes QEMU. The kernel means the thread that started it, so that a thread of
/// its own does, which lives until the returned sender is dropped.
fn spawn(
    program: &str,
    arguments: Vec<String>,
    directory: &Path,
    outlives: bool,
) -> Result<(Child, mpsc::Sender<()>)> {
    let log = File::create(directory.join("qemu.log")).else_say("cannot make qemu.log")?;
    let mut command = Command::new(if outlives { program } else { "setpriv" });
    if !outlives {
        command.args(["--pdeathsig", "KILL", "--", program]);
    }
    command.args(arguments).process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let (started, qemu) = mpsc::channel();
    let (keeper, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = started.send(command.spawn());
        let _ = ended.recv();
    });
    match qemu.recv() {
        Ok(Ok(qemu)) => Ok((qemu, keeper)),
        Ok(Err(error)) => Err(format!("cannot start QEMU: {error}")),
        Err(_) => Err("the thread that starts QEMU failed".to_owned()),
    }
}

/// Connects to the control channel of a QEMU that is starting.
fn control_channel(qemu: &mut Child, directory: &Path) -> Result<Qmp> {
    // QEMU makes all its sockets before it runs anything, the control channel's first to last.
    let socket = directory.join("qmp.sock");
    let connected = until(Duration::from_secs(60), Duration::from_millis(2), || {
        let connected = Qmp::connect(&socket).ok().map(Ok);
        connected.or_else(|| match qemu.try_wait() {
            Ok(Some(status)) => Some(Err(format!("it ended at once ({status})"))),
            _ => None,
        })
    });
    connected.unwrap_or_else(|| Err("it listens on no control channel".to_owned()))
}

pub(super) fn plug_port(vm: &mut Vm, name: &str) -> Result<()> {
    let path = vm.port_path(name).display().to_string();
    let address = json!({"type": "unix", "data": {"path": path}});
    let backend = json!({"addr": address, "server": true, "wait": false});
    let chardev = json!({"id": "plugged", "backend": {"type": "socket", "data": backend}});
    vm.qmp.execute("chardev-add", chardev)?;
    let device =
        json!({"driver": "virtserialport", "chardev": "plugged", "id": "plugged", "name": name});
    vm.qmp.execute("device_add", device)?;
    Ok(())
}

pub(super) fn unplug_port(vm: &mut Vm, name: &str) -> Result<()> {
    vm.qmp.execute("device_del", json!({"id": "plugged"}))?;
    // A port leaves without the guest's consent; an event that came earlier is as good.
    let removed = vm.qmp.wait_event(&["DEVICE_DELETED"], Duration::from_secs(10));
    removed.else_say(format!("the port {name} did not go"))?;
    vm.qmp.execute("chardev-remove", json!({"id": "plugged"}))?;
    Ok(())
}
