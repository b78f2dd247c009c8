//! Makes sure that what a task needs is there: commands in, an error that names packages out.
//!
//! Missing packages are installed by apt as root, after one line that says so. What would change
//! the machine beyond a tool (a kernel, the reference agent with its service) is only downloaded
//! and unpacked into a directory of ours.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Result, progress};

/// Where `command` is, looked up in `$PATH` and in the administrator's directories, which an
/// ordinary user's path lacks on Debian.
pub fn find_command(command: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let administrator = ["/usr/sbin", "/sbin", "/usr/bin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(administrator)
        .map(|directory| directory.join(command))
        .find(|file| file.is_file())
}

/// Makes sure that each command exists; pairs of command and the Debian package that brings it.
pub fn commands(needs: &[(&str, &str)]) -> Result<()> {
    let mut missing: Vec<&str> = needs
        .iter()
        .filter(|(command, _)| find_command(command).is_none())
        .map(|(_, package)| *package)
        .collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    apt_install(&missing)?;
    match needs.iter().find(|(command, _)| find_command(command).is_none()) {
        None => Ok(()),
        Some((command, package)) => {
            Err(format!("package {package} is installed but brought no command {command}"))
        }
    }
}

/// Makes sure that Python can make virtual environments, which Debian packs apart.
pub fn python_venv() -> Result<()> {
    commands(&[("python3", "python3")])?;
    let mut probe = Command::new("python3");
    let probe = probe.args(["-c", "import ensurepip, venv"]);
    if run(probe).is_ok() { Ok(()) } else { apt_install(&["python3-venv"]) }
}

/// Makes sure that a rustup component (rustfmt, clippy ...) is there: `probe` is the cargo
/// subcommand that shows it.
pub fn rust_component(component: &str, probe: &str) -> Result<()> {
    let found = crate::build::cargo()
        .args([probe, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if found.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    progress::say(&format!("installing the Rust component {component} with rustup"));
    run(Command::new("rustup").args(["component", "add", component]))
        .map_err(|error| format!("the Rust component {component} is missing: {error}"))
}

/// Makes sure that a cargo subcommand of this major version is there: installed by cargo otherwise.
pub fn cargo_command(name: &str, version: &str) -> Result<()> {
    let word = name.strip_prefix("cargo-").unwrap_or(name);
    let found = crate::build::cargo().args([word, "--version"]).output();
    // "cargo-fuzz 0.13.1"
    let is_right = found.is_ok_and(|output| {
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let given = said.split_whitespace().nth(1).unwrap_or_default();
        output.status.success()
            && given
                .strip_prefix(version)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    });
    if is_right {
        return Ok(());
    }
    progress::say(&format!("installing {name} {version} with cargo, which takes some minutes"));
    let wanted = format!("^{version}");
    let mut install = crate::build::cargo();
    install.args(["install", "--locked", "--force", "--version", &wanted, name]);
    // A target folder or flags of ours are none of the tool's business.
    run(install.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS"))
        .map_err(|error| format!("{name} is missing and cannot be installed: {error}"))
}

/// Downloads Debian packages and unpacks them into `into` without installing anything. Needs no
/// root, except to fetch apt's package lists when there are none.
pub fn unpack(packages: &[&str], into: &Path) -> Result<()> {
    if find_command("apt-get").is_none() || find_command("dpkg-deb").is_none() {
        return Err(format!(
            "need the Debian package(s) {}, but there is no apt-get here",
            packages.join(" ")
        ));
    }
    apt_lists(packages)?;
    let download = into.join("download");
    fs::create_dir_all(&download)
        .map_err(|error| format!("cannot make {}: {error}", download.display()))?;
    progress::say(&format!(
        "downloading {} (unpacked under {}, not installed)",
        packages.join(" "),
        into.display()
    ));
    let fetch = || {
        let mut apt = Command::new("apt-get");
        // Without this option apt warns that its own user may not write here.
        apt.args(["-q", "-o", "APT::Sandbox::User=root", "download"]).args(packages);
        run(apt.current_dir(&download))
    };
    // A list that is older than the archive names files which are gone: then update once.
    if let Err(first) = fetch() {
        apt_update(packages).map_err(|second| format!("{first}; {second}"))?;
        fetch()?;
    }
    let files = fs::read_dir(&download).map_err(|error| format!("{error}"))?;
    for file in files.flatten().map(|entry| entry.path()) {
        if file.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg-deb").arg("-x").arg(&file).arg(into))?;
        }
    }
    fs::remove_dir_all(&download)
        .map_err(|error| format!("cannot remove {}: {error}", download.display()))
}

/// The packages that `package` directly depends on, as apt knows them.
pub fn dependencies(package: &str) -> Result<Vec<String>> {
    apt_lists(&[package])?;
    let output = Command::new("apt-cache")
        .args(["depends", "--important", package])
        .output()
        .map_err(|error| format!("cannot run apt-cache: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .map(str::to_owned)
        .collect())
}

/// What `package` and everything behind it directly depends on, by package, as apt knows it.
pub fn all_dependencies(package: &str) -> Result<BTreeMap<String, Vec<String>>> {
    apt_lists(&[package])?;
    let output = Command::new("apt-cache")
        .args(["depends", "--recurse", "--important", package])
        .output()
        .map_err(|error| format!("cannot run apt-cache: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut of = String::new();
    // A package's name begins its line; what it depends on stands below, after `Depends:` or `PreDepends:`.
    for line in text.lines() {
        match line.trim().trim_start_matches('|').split_once("Depends: ") {
            Some(("" | "Pre", name)) => all.entry(of.clone()).or_default().push(name.to_owned()),
            _ if !line.starts_with(' ') => line.clone_into(&mut of),
            _ => {}
        }
    }
    Ok(all)
}

/// Whether this process may install packages and mount filesystems.
pub fn is_root() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| {
        let line = status.lines().find(|line| line.starts_with("Uid:"));
        line.and_then(|line| line.split_whitespace().nth(2)) == Some("0")
    })
}

fn apt_install(packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    if find_command("apt-get").is_none() {
        return Err(format!("missing on this machine, please install (Debian's names): {names}"));
    }
    if !is_root() {
        return Err(format!(
            "missing packages: {names}; as root: apt-get install -y --no-install-recommends {names}"
        ));
    }
    apt_lists(packages)?;
    progress::say(&format!("installing with apt-get: {names}"));
    let install = || {
        let mut apt = Command::new("apt-get");
        apt.args(["-q", "install", "-y", "--no-install-recommends"]).args(packages);
        run(apt.env("DEBIAN_FRONTEND", "noninteractive"))
    };
    if let Err(first) = install() {
        apt_update(packages).map_err(|second| format!("{first}; {second}"))?;
        install()?;
    }
    Ok(())
}

/// A fresh Debian image comes without package lists: fetch them when the first package is unknown.
fn apt_lists(packages: &[&str]) -> Result<()> {
    let known = packages.iter().all(|package| {
        let output = Command::new("apt-cache").args(["policy", package]).output();
        output.is_ok_and(|output| {
            let text = String::from_utf8_lossy(&output.stdout);
            text.lines()
                .any(|line| line.trim().starts_with("Candidate:") && !line.contains("(none)"))
        })
    });
    if known { Ok(()) } else { apt_update(packages) }
}

fn apt_update(packages: &[&str]) -> Result<()> {
    if !is_root() {
        return Err(format!(
            "apt has no (or old) package lists, needed for: {}; as root: apt-get update",
            packages.join(" ")
        ));
    }
    progress::say("fetching the package lists (apt-get update)");
    run(Command::new("apt-get").args(["-q", "update"]))
}

/// Runs a command quietly; on failure its last lines are in the error.
pub fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(8)..].join("\n    ");
    Err(format!("{program} failed ({}):\n    {tail}", output.status))
}
