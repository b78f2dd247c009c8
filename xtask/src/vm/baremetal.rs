//! The guest of our own (`platform-baremetal`) under QEMU: a [`Bare`] description in, a running
//! [`Vm`] out, with the agent's channel on a virtio port or a serial line.
//!
//! The same private directory, sockets and control channel as any other [`Vm`], but no kernel, no
//! initramfs and no disk: the image is the kernel.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::{AGENT_PORT, Vm, boot};
use crate::cross::{self, Way};
use crate::{Result, build, command, install, paths, progress};

/// What the guest runs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Machine {
    /// The usual PC.
    Q35,
    /// The one without PCI, made for guests like this.
    Microvm,
    /// The usual one of 64-bit Arm.
    Virt,
}

impl Machine {
    /// The program that emulates it, and Debian's package of that.
    fn emulator(self) -> (&'static str, &'static str) {
        match self {
            Machine::Q35 | Machine::Microvm => ("qemu-system-x86_64", "qemu-system-x86"),
            Machine::Virt => ("qemu-system-aarch64", "qemu-system-arm"),
        }
    }
}

/// The agent's channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line {
    /// A named port of a virtio console.
    Virtio,
    /// The second serial line; the first is the console.
    Second,
    /// The first serial line, the only one.
    First,
}

/// What the image for Arm is compiled for.
const ARM_TARGET: &str = "aarch64-unknown-none";
/// The linker in the folder of a toolchain.
const LINKER: &str = "lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld";

/// Describes the machine of a guest of our own.
#[derive(Clone)]
pub struct Bare {
    machine: Machine,
    line: Line,
    image: Option<PathBuf>,
    /// Of the virtio console, such as `disable-modern=on`.
    console_options: String,
    machine_options: String,
    command_line: String,
    initrd: Option<Vec<u8>>,
    more: Vec<String>,
    reboots: bool,
}

/// Makes sure that [`Bare::boot`] finds what it needs for this machine.
pub fn prepare(machine: Machine) -> Result<()> {
    install::commands(&[machine.emulator(), ("setpriv", "util-linux")])?;
    match machine {
        Machine::Virt => arm_image().map(|_| ()),
        _ => Ok(()),
    }
}

/// Builds the image for PCs, once, and yields its path: `$QGA_BAREMETAL` when that is set, else
/// what the root workspace makes of `qga-baremetal`.
pub fn image() -> Result<PathBuf> {
    static IMAGE: OnceLock<Result<PathBuf>> = OnceLock::new();
    let build = || build_image("QGA_BAREMETAL", &[], "release/qga-baremetal");
    IMAGE.get_or_init(build).clone()
}

/// As [`image`], for Arm (`$QGA_BAREMETAL_ARM`).
pub fn arm_image() -> Result<PathBuf> {
    static IMAGE: OnceLock<Result<PathBuf>> = OnceLock::new();
    let place = format!("{ARM_TARGET}/release/qga-baremetal");
    let build = || build_image("QGA_BAREMETAL_ARM", &["--target", ARM_TARGET], &place);
    IMAGE.get_or_init(build).clone()
}

fn build_image(variable: &str, target: &[&str], place: &str) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(PathBuf::from(path));
    }
    let mut cargo = build::cargo();
    cargo.args(["build", "--quiet", "--release", "-p", "qga-baremetal"]).args(target);
    let words: Vec<_> = cargo.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    if !target.is_empty() {
        let way = cross::way(&[ARM_TARGET])?;
        way.apply(&mut cargo);
        if let Way::FromSource(_) = way {
            // Debian's compiler brings neither the memory functions nor the linker for this target.
            let linker = cross::sysroot()?.join(LINKER);
            cargo.arg("-Zbuild-std-features=compiler-builtins-mem");
            cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_NONE_LINKER", linker);
        }
    }
    progress::timed(&format!("building the guest (cargo {})", words.join(" ")), || {
        command::run(cargo.current_dir(paths::root()))
    })?;
    let image = paths::target().join(place);
    match image.is_file() {
        true => Ok(image),
        false => Err(format!("the build left no {}", image.display())),
    }
}

steps! { Bare, it:
    /// Another image in place of the one that is built.
    image(path: &Path) { it.image = Some(path.to_path_buf()) }
    /// Options of the virtio console's device.
    console_options(options: &str) { it.console_options = format!(",{options}") }
    /// Options of the machine.
    machine_options(options: &str) { it.machine_options = format!(",{options}") }
    /// The words that the guest is started with.
    command_line(words: &str) { it.command_line = words.to_owned() }
    /// A cpio archive whose files the guest finds in its tree.
    initrd(archive: Vec<u8>) { it.initrd = Some(archive) }
    /// More words for QEMU's command line.
    more(words: &[&str]) { it.more.extend(words.iter().map(|word| (*word).to_owned())) }
    /// A reset starts the guest again, where QEMU would end otherwise.
    reboots() { it.reboots = true }
}

impl Bare {
    /// A guest on this machine, with the agent on this line.
    pub fn new(machine: Machine, line: Line) -> Bare {
        Bare {
            machine,
            line,
            image: None,
            console_options: String::new(),
            machine_options: String::new(),
            command_line: String::new(),
            initrd: None,
            more: Vec::new(),
            reboots: false,
        }
    }

    /// Starts the machine.
    pub fn boot(&self) -> Result<Vm> {
        prepare(self.machine)?;
        let image = match (&self.image, self.machine) {
            (Some(image), _) => image.clone(),
            (None, Machine::Virt) => arm_image()?,
            (None, _) => image()?,
        };
        boot::in_private_directory(|directory| {
            if let Some(archive) = &self.initrd {
                paths::write(&directory.join("initrd"), archive)?;
            }
            let arguments = self.arguments(&image, directory);
            boot::start(self.machine.emulator().0, arguments, directory, false)
        })
    }

    fn arguments(&self, image: &Path, directory: &Path) -> Vec<String> {
        let file = |name: &str| directory.join(name).display().to_string();
        let mut words: Vec<String> = Vec::new();
        let mut add = |more: &[&str]| words.extend(more.iter().map(|word| (*word).to_owned()));
        let (machine, console) = match self.machine {
            Machine::Q35 => ("q35", "virtio-serial-pci"),
            Machine::Microvm => ("microvm", "virtio-serial-device"),
            Machine::Virt => ("virt", "virtio-serial-device"),
        };
        let machine = format!("{machine}{}", self.machine_options);
        add(&["-name", "qga-baremetal", "-accel", "tcg", "-machine", &machine, "-m", "64"]);
        if self.machine == Machine::Virt {
            add(&["-cpu", "cortex-a57"]);
        }
        add(&["-nodefaults", "-no-user-config", "-display", "none"]);
        add(&["-kernel", &image.display().to_string(), "-append", &self.command_line]);
        if self.initrd.is_some() {
            add(&["-initrd", &file("initrd")]);
        }
        // The control channel comes last: once it is there, so is everything else.
        add(&["-chardev", &boot::socket("agent", &file(&format!("{AGENT_PORT}.sock")))]);
        if self.line != Line::First {
            add(&["-chardev", &format!("file,id=console,path={}", file("console.log"))]);
            add(&["-serial", "chardev:console"]);
        }
        match self.line {
            Line::Virtio => {
                add(&["-device", &format!("{console}{}", self.console_options)]);
                add(&["-device", &format!("virtserialport,chardev=agent,name={AGENT_PORT}")]);
            }
            // A machine has its first serial line built in only (microvm); the second is a device.
            Line::Second => add(&["-device", "isa-serial,chardev=agent,iobase=0x2f8,irq=3"]),
            Line::First => add(&["-serial", "chardev:agent"]),
        }
        add(&["-chardev", &boot::socket("qmp", &file("qmp.sock"))]);
        add(&["-mon", "chardev=qmp,mode=control"]);
        if !self.reboots {
            add(&["-no-reboot"]);
        }
        words.extend(self.more.iter().cloned());
        words
    }
}

/// An ELF image that does nothing but be there: entered by PVH it writes `!` to the first serial
/// line and halts. What the hypervisor and its firmware take to boot it, they take to boot
/// anything.
pub fn empty_guest() -> Vec<u8> {
    const ADDRESS: u64 = 0x10_0000;
    const NOTE_OFFSET: u64 = 64 + 2 * 56;
    const CODE_OFFSET: u64 = NOTE_OFFSET + 24;
    // mov dx, 0x3f8; mov al, '!'; out dx, al; cli; hlt; jmp back to cli
    let code = [0x66, 0xBA, 0xF8, 0x03, 0xB0, b'!', 0xEE, 0xFA, 0xF4, 0xEB, 0xFC];
    let end = CODE_OFFSET + code.len() as u64;
    let mut image = Vec::new();
    // ELF header (64-bit, little-endian, executable, x86-64), then two program headers.
    image.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0");
    for word in [ADDRESS + CODE_OFFSET, 64, 0] {
        image.extend_from_slice(&word.to_le_bytes());
    }
    image.extend_from_slice(b"\0\0\0\0\x40\0\x38\0\x02\0\0\0\0\0\0\0");
    let mut header = |kind: u32, flags: u32, offset: u64, len: u64, align: u64| {
        image.extend_from_slice(&kind.to_le_bytes());
        image.extend_from_slice(&flags.to_le_bytes());
        for word in [offset, ADDRESS + offset, ADDRESS + offset, len, len, align] {
            image.extend_from_slice(&word.to_le_bytes());
        }
    };
    header(1, 5, 0, end, 4096);
    header(4, 4, NOTE_OFFSET, 24, 4);
    // The note: name and contents of 4 and 8 bytes, type XEN_ELFNOTE_PHYS32_ENTRY.
    for word in [4u32, 8, 18] {
        image.extend_from_slice(&word.to_le_bytes());
    }
    image.extend_from_slice(b"Xen\0");
    image.extend_from_slice(&(ADDRESS + CODE_OFFSET).to_le_bytes());
    image.extend_from_slice(&code);
    image
}
