//! Compiling for targets without an operating system: their names go in, a way to a library for
//! them comes out. The toolchain has it, or rustup brings it, or Debian's compiler builds it from
//! source.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

use crate::{Result, command, install, paths, progress};

/// Where a target's core comes from.
#[derive(Clone)]
pub enum Way {
    /// The toolchain has it.
    Installed,
    /// It is built from source by this compiler.
    FromSource(PathBuf),
}

/// How long rustup may take to bring libraries.
const RUSTUP_S_MAX: &str = "120";

/// What was found for each list of targets: to look again would take minutes where there is none.
static FOUND: Mutex<BTreeMap<String, Result<Way>>> = Mutex::new(BTreeMap::new());

/// Finds a way for these targets, or says why there is none.
pub fn way(targets: &[&str]) -> Result<Way> {
    let mut found = FOUND.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    found.entry(targets.join(" ")).or_insert_with(|| look(targets)).clone()
}

fn look(targets: &[&str]) -> Result<Way> {
    // rustup can say that it has a target whose folder is gone, so the folder decides.
    if installed(targets) || (rustup(targets) && installed(targets)) {
        return Ok(Way::Installed);
    }
    debian().map(Way::FromSource).map_err(|error| error.replace('\n', "; "))
}

impl Way {
    /// Makes a cargo command go this way.
    pub fn apply(&self, cargo: &mut Command) {
        if let Way::FromSource(rustc) = self {
            // Of the source, its own lock file names packages that are not needed for core.
            cargo.arg("-Zbuild-std=core").env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
        }
    }
}

/// The folder of the toolchain that cargo uses here.
pub fn sysroot() -> Result<PathBuf> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "sysroot"]).current_dir(paths::root());
    Ok(PathBuf::from(command::text(&mut rustc)?.trim()))
}

fn installed(targets: &[&str]) -> bool {
    let Ok(sysroot) = sysroot() else { return false };
    let libraries = sysroot.join("lib/rustlib");
    targets.iter().all(|target| libraries.join(target).join("lib").is_dir())
}

fn rustup(targets: &[&str]) -> bool {
    progress::say(&format!(
        "the toolchain lacks a target: rustup target add {}",
        targets.join(" ")
    ));
    let mut rustup = Command::new("timeout");
    rustup.args([RUSTUP_S_MAX, "rustup", "target", "add"]).args(targets);
    command::run(rustup.current_dir(paths::root())).is_ok()
}

/// Unpacks Debian's rustc with its own source of core and what it links with; a wrapper that runs
/// it.
fn debian() -> Result<PathBuf> {
    let into = paths::target().join("targets/debian");
    let wrapper = into.join("rustc");
    if command::run(Command::new(&wrapper).arg("-vV")).is_ok() {
        return Ok(wrapper);
    }
    // A C library and a linker are here already: these tests are compiled.
    let packages = install::with_libraries(&["rustc-web", "rust-web-src"], &["libc6"])?;
    let names: Vec<&str> = packages.iter().map(String::as_str).collect();
    install::unpack(&names, &into)?;
    let root = into.display();
    let script = format!(
        "#!/bin/sh\nLD_LIBRARY_PATH={root}/usr/lib/x86_64-linux-gnu:{root}/lib/x86_64-linux-gnu \
         exec {root}/usr/bin/rustc \"$@\"\n"
    );
    paths::write_program(&wrapper, &script)?;
    command::run(Command::new(&wrapper).arg("-vV")).map(|()| wrapper)
}
