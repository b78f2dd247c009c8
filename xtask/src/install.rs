//! Makes sure that what a task needs is there: commands in, an error that names packages out.
//!
//! Missing packages are installed by apt as root, after one line that says so. What would change
//! the machine beyond a tool (a kernel, the reference agent with its service) is only downloaded
//! and unpacked into a directory of ours.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{run, text};
use crate::{ElseSay, Result, build, paths, progress};

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

/// A cargo subcommand of this major version, in a folder of the project's own: installed by cargo
/// unless it is there.
pub fn cargo_command(name: &str, version: &str) -> Result<PathBuf> {
    let folder = paths::target().join("tools").join(format!("{name}-{version}"));
    let program = folder.join("bin").join(name);
    if program.is_file() {
        return Ok(program);
    }
    let place = folder.display();
    progress::say(&format!("cargo installs {name} {version} in {place}, which takes some minutes"));
    let mut install = build::cargo();
    install.args(["install", "--locked", "--version", &format!("^{version}"), name, "--root"]);
    // A target folder or flags of ours are none of the tool's business.
    run(install.arg(&folder).env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS"))
        .else_say(format!("{name} is missing and cannot be installed"))?;
    Ok(program)
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
    paths::make(&download)?;
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
    again_with_new_lists(packages, fetch)?;
    for file in paths::entries(&download)? {
        if file.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg-deb").arg("-x").arg(&file).arg(into))?;
        }
    }
    fs::remove_dir_all(&download).else_say_of("cannot remove", &download)
}

/// The packages that `package` directly depends on, as apt knows them.
pub fn dependencies(package: &str) -> Result<Vec<String>> {
    Ok(all_dependencies(package)?.remove(package).unwrap_or_default())
}

/// These packages, and every library that they or one of those depend on, but for those `left_out`.
pub fn with_libraries(packages: &[&str], left_out: &[&str]) -> Result<Vec<String>> {
    let mut found: Vec<String> = packages.iter().map(|name| (*name).to_owned()).collect();
    let mut all = BTreeMap::new();
    for package in packages {
        all.append(&mut all_dependencies(package)?);
    }
    let mut next = 0;
    while let Some(name) = found.get(next) {
        let libraries: Vec<String> = all.get(name).into_iter().flatten().cloned().collect();
        for name in libraries {
            let is_library = name.starts_with("lib") || name == "zlib1g";
            if is_library && !left_out.contains(&name.as_str()) && !found.contains(&name) {
                found.push(name);
            }
        }
        next += 1;
    }
    Ok(found)
}

/// What `package` and everything behind it directly depends on, by package, as apt knows it.
pub fn all_dependencies(package: &str) -> Result<BTreeMap<String, Vec<String>>> {
    apt_lists(&[package])?;
    let mut list = Command::new("apt-cache");
    let text = text(list.args(["depends", "--recurse", "--important", package]))?;
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut of = String::new();
    // A package's name begins its line; what it depends on stands below, after `Depends:` or
    // `PreDepends:`.
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
    nix::unistd::geteuid().is_root()
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
    again_with_new_lists(packages, install)
}

/// A list that is older than the archive names files which are gone: then update once.
fn again_with_new_lists(packages: &[&str], work: impl Fn() -> Result<()>) -> Result<()> {
    work().or_else(|first| {
        apt_update(packages).map_err(|second| format!("{first}; {second}"))?;
        work()
    })
}

/// A fresh Debian image comes without package lists: fetch them when the first package is unknown.
fn apt_lists(packages: &[&str]) -> Result<()> {
    let known = packages.iter().all(|package| {
        text(Command::new("apt-cache").args(["policy", package])).is_ok_and(|text| {
            let mut lines = text.lines().map(str::trim);
            lines.any(|line| line.starts_with("Candidate:") && !line.contains("(none)"))
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
