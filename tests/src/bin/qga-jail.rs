//! The helper that builds a jail (see src/jail.rs) and starts processes in one.
//!
//! * `probe FOLDER` tries what a jail takes. Status 2: a right is missing, which standard error
//!   names.
//! * `apart COMMAND...` runs a command with mounts of its own.
//! * `init SPEC` makes namespaces, prints `init PID`, then `ready 0` when everything is mounted and
//!   nothing else is in sight, and at the end how process 1 ended.
//! * `enter PID [--without-reboot] -- COMMAND...` runs a command inside, prints `pid PID` and at
//!   its end how it ended.

use qga_tests::jail::{AGENT_FOLDER, Mount, Spec};
use qga_tests::{program, sys};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["probe", folder] => probe(Path::new(folder)),
        ["apart", command @ ..] => apart(command),
        ["init", spec] => init(spec),
        ["inside", spec] => inside(spec),
        ["enter", pid, "--without-reboot", "--", command @ ..] => enter(pid, true, command),
        ["enter", pid, "--", command @ ..] => enter(pid, false, command),
        _ => Err(
            "usage: qga-jail probe FOLDER | apart COMMAND... | init SPEC | enter PID [--without-reboot] -- COMMAND..."
                .into(),
        ),
    };
    if let Err(error) = result {
        eprintln!("qga-jail {}: {error}", words.first().unwrap_or(&""));
        std::process::exit(1);
    }
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn doing<T>(what: &str, path: &Path, result: io::Result<T>) -> Result<T, String> {
    result.map_err(|error| format!("{what} {}: {error}", path.display()))
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{text}")?;
    out.flush()
}

fn ended(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("killed {signal}"),
        None => format!("exited {}", status.code().unwrap_or(-1)),
    }
}

/// The process outside: it only holds the namespaces' first process.
fn init(spec: &str) -> Outcome {
    sys::die_with_parent()?;
    // Asked now: in a chroot the link leads through mounts that are not the new namespace's.
    let helper = std::env::current_exe()?;
    separate()?;
    let mut child = Command::new(helper).args(["inside", spec]).spawn()?;
    say(&format!("init {}", child.id()))?;
    let status = child.wait()?;
    Ok(say(&ended(status))?)
}

/// Namespaces of its own, in which no mount reaches the machine's.
fn separate() -> io::Result<()> {
    sys::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS)?;
    keep_mounts_here()
}

/// No mount of this namespace reaches the one that it was copied from.
fn keep_mounts_here() -> io::Result<()> {
    // In a chroot the root is no mount point, and the mount that it lies in is out of reach from
    // there.
    let here = File::open("/")?;
    leave_chroot()?;
    sys::mount(Path::new("none"), Path::new("/"), "", libc::MS_REC | libc::MS_PRIVATE)?;
    sys::change_root(&here)
}

/// A command with mounts of its own.
fn apart(command: &[&str]) -> Outcome {
    let folder = std::env::current_dir()?;
    sys::unshare(libc::CLONE_NEWNS)?;
    keep_mounts_here()?;
    let (path, arguments) = command.split_first().ok_or("no command")?;
    Err(Command::new(path).args(arguments).current_dir(folder).exec().into())
}

/// The root becomes that of the namespace, which is a mount point whatever root this process was
/// started with. The namespace must be its own: the machine's files are in sight until it has
/// another root.
fn leave_chroot() -> io::Result<()> {
    sys::enter_namespace(&File::open("/proc/self/ns/mnt")?)
}

/// Makes `root`, a mount point, the root of the namespace, and everything else go.
fn become_root(root: &Path) -> Outcome {
    let root = doing("open", root, File::open(root))?;
    leave_chroot()?;
    sys::change_folder(&root)?;
    let old = Path::new("old");
    doing("create", old, fs::create_dir(old))?;
    doing("pivot_root to", old, sys::pivot_root(Path::new("."), old))?;
    std::env::set_current_dir("/")?;
    doing("unmount", Path::new("/old"), sys::unmount(Path::new("/old"), libc::MNT_DETACH))?;
    Ok(fs::remove_dir("/old")?)
}

/// Whether a guest can be built here, by what it takes: namespaces, a mount, another root. Only a
/// right that is missing is an answer; whatever else goes wrong is an error that tests are to fail
/// with.
fn probe(folder: &Path) -> Outcome {
    let missing = |error: &io::Error| {
        matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES | libc::ENOSYS))
    };
    let mount = || sys::mount(Path::new("none"), folder, "tmpfs", 0);
    for (what, result) in [("namespaces", separate()), ("mounts", mount())] {
        if let Err(error) = result {
            eprintln!("needs the right to make {what} of its own ({error})");
            std::process::exit(if missing(&error) { 2 } else { 1 });
        }
    }
    become_root(folder)
}

/// The guest's first process: builds the root, drops everything else, and becomes init.
fn inside(spec: &str) -> Outcome {
    sys::die_with_parent()?;
    let text = spec;
    let spec: Spec = serde_json::from_str(spec)?;
    let root = spec.root.as_path();
    if !root.join("proc").exists() {
        build_root(&spec)?;
        if let Some(path) = &spec.init {
            return Err(become_copy(root, path, text));
        }
    }
    for mount in &spec.mounts {
        add_mount(root, mount)?;
    }
    become_root(root)?;
    prove_isolation(&spec)?;
    if let Some(arguments) = &spec.agent_as_init {
        say("ready 0")?;
        return Err(Command::new("/bin/qga").args(arguments).exec().into());
    }
    // A signal that came before this would be lost: process 1 has no default actions.
    sys::block_signals();
    say("ready 0")?;
    be_init()
}

/// Goes on as a copy of this program that lies at `path` in the guest, where /proc/1/exe shows it.
fn become_copy(root: &Path, path: &Path, spec: &str) -> Box<dyn std::error::Error> {
    let copy = root.join(path.strip_prefix("/").unwrap_or(path));
    let copied = copy.parent().map_or(Ok(()), fs::create_dir_all);
    let copied = copied.and_then(|()| fs::copy("/proc/self/exe", &copy));
    match copied {
        Ok(_) => Command::new(copy).args(["inside", spec]).exec().into(),
        Err(error) => format!("copy itself to {}: {error}", copy.display()).into(),
    }
}

/// A tmpfs with what every guest has: the agent, a shell for stubs, /proc, /dev and /run of its
/// own.
fn build_root(spec: &Spec) -> Outcome {
    let root = spec.root.as_path();
    let none = Path::new("none");
    doing("mount a tmpfs on", root, sys::mount(none, root, "tmpfs", 0))?;
    for folder in ["proc", "dev", "run", "sbin", "bin", "tmp", "var", "mnt", "etc"] {
        fs::create_dir(root.join(folder))?;
    }
    symlink("/run", root.join("var/run"))?;
    doing("mount", &root.join("proc"), sys::mount(none, &root.join("proc"), "proc", 0))?;
    doing("mount", &root.join("run"), sys::mount(none, &root.join("run"), "tmpfs", 0))?;
    // As init systems mount it: not everybody's, as tmpfs would be by itself.
    fs::set_permissions(root.join("run"), fs::Permissions::from_mode(0o755))?;
    fs::create_dir(root.join(AGENT_FOLDER.trim_start_matches('/')))?;
    for (name, minor) in [("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)] {
        sys::make_device(&root.join("dev").join(name), 1, minor)?;
    }
    let agent = root.join("bin/qga");
    doing("copy", &spec.agent, fs::copy(&spec.agent, &agent))?;
    fs::set_permissions(agent, fs::Permissions::from_mode(0o755))?;
    let busybox = program("busybox").ok_or("busybox is missing (package busybox-static)")?;
    fs::copy(busybox, root.join("bin/busybox"))?;
    symlink("busybox", root.join("bin/sh"))?;
    share_counters(root)?;
    for (path, status) in &spec.programs {
        // One that succeeds is obeyed: process 1 goes down, as far as it is seen from inside.
        let obeyed = if *status == 0 { "kill -USR1 1\n" } else { "" };
        let body = format!("echo \"$0${{*:+ }}$*\" >>/run/spawned\n{obeyed}exit {status}");
        add_script(root, path, &body)?;
    }
    for (path, body) in &spec.scripts {
        add_script(root, path, body)?;
    }
    Ok(())
}

/// A build that counts what it runs has its counters in a file in memory (cargo xtask coverage).
fn share_counters(root: &Path) -> Outcome {
    let Some(counters) = std::env::var_os("QGA_COUNTERS").map(PathBuf::from) else { return Ok(()) };
    let at = root.join(counters.strip_prefix("/")?);
    fs::create_dir_all(at.parent().ok_or("counters without a folder")?)?;
    doing("create", &at, File::create(&at))?;
    Ok(doing("mount", &at, sys::mount(&counters, &at, "", libc::MS_BIND))?)
}

fn add_script(root: &Path, path: &str, body: &str) -> Outcome {
    let path = root.join(path.trim_start_matches('/'));
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(&path, format!("#!/bin/sh\n{body}\n"))?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

fn add_mount(root: &Path, mount: &Mount) -> Outcome {
    let inside = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
    let at = inside(&mount.at);
    doing("create", &at, fs::create_dir_all(&at))?;
    let result = match mount.kind.as_str() {
        "bind" => sys::mount(&inside(&mount.from), &at, "", libc::MS_BIND),
        kind => sys::mount(&mount.from, &at, kind, 0),
    };
    Ok(doing("mount", &at, result)?)
}

/// What the test checks from outside, seen from inside.
fn prove_isolation(spec: &Spec) -> Outcome {
    if std::process::id() != 1 {
        return Err("this is no process namespace of its own".into());
    }
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let places: Vec<&PathBuf> = spec.mounts.iter().map(|mount| &mount.at).collect();
    for line in table.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let (device, place) = (fields[2], unescaped(fields[4]));
        let known = places.iter().any(|at| place == at.as_os_str().as_bytes());
        if !device.starts_with("0:") && !known {
            return Err(format!("a foreign filesystem is in sight: {line}").into());
        }
    }
    // The root must be the tmpfs of this jail, not anything of the machine's.
    let root = fs::metadata("/")?.dev();
    if libc::major(root) != 0 {
        return Err("the root lies on a device".into());
    }
    Ok(())
}

/// A field of mountinfo without its octal escapes.
fn unescaped(field: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = field.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(escaped) if byte == b'\\' => (out.push(escaped), rest = &after[3..]),
            _ => (out.push(byte), rest = after),
        };
    }
    out
}

/// An init that reaps its children and writes down the signals that it gets, which are blocked. At
/// SIGUSR1 it seems to go down, as sysvinit does: it shows the runlevel 0 in its command line.
fn be_init() -> Outcome {
    let mut log = File::options().append(true).create(true).open("/run/init-signals")?;
    loop {
        match sys::next_signal() {
            libc::SIGCHLD => sys::reap(),
            libc::SIGUSR1 => change_command_line("init [0]")?,
            signal => writeln!(log, "{signal}")?,
        }
    }
}

/// Overwrites the beginning of this process's command line.
fn change_command_line(words: &str) -> Outcome {
    // proc_pid_stat(5): the name in brackets is field 2, `arg_start` field 48.
    let stat = fs::read_to_string("/proc/self/stat")?;
    let rest = stat.rsplit(')').next().ok_or("no name in stat")?;
    let start: u64 = rest.split_whitespace().nth(45).ok_or("no arg_start in stat")?.parse()?;
    let memory = File::options().write(true).open("/proc/self/mem")?;
    Ok(memory.write_all_at(words.as_bytes(), start)?)
}

/// Runs a command in the jail whose process 1 is `pid`.
fn enter(pid: &str, without_reboot: bool, command: &[&str]) -> Outcome {
    sys::die_with_parent()?;
    let open = |name: &str| File::open(format!("/proc/{pid}/ns/{name}"));
    let (pids, mounts) = (open("pid")?, open("mnt")?);
    sys::enter_namespace(&pids)?;
    sys::enter_namespace(&mounts)?;
    std::env::set_current_dir(AGENT_FOLDER)?;
    if without_reboot {
        sys::drop_capability(CAP_SYS_BOOT)?;
    }
    let (path, arguments) = command.split_first().ok_or("no command")?;
    let mut child = Command::new(path);
    child.args(arguments).env_clear().env("TZ", "UTC");
    let mut child = child.spawn().map_err(|error| format!("{path}: {error}"))?;
    say(&format!("pid {}", child.id()))?;
    let status = child.wait()?;
    Ok(say(&ended(status))?)
}

/// The right to call reboot(2) (linux/capability.h).
const CAP_SYS_BOOT: i32 = 22;
