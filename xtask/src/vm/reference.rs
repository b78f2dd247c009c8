//! Debian's own guest agent with the libraries it needs, unpacked and never installed (its package
//! brings a service): for comparisons on this machine and in the virtual machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::kernel::unpacked;
use crate::{Result, command, install};

/// The reference agent's program and the directories of libraries that it runs with.
pub struct Reference {
    pub program: PathBuf,
    library_path: Option<String>,
}

/// The reference agent: the installed one when there is one, else Debian's package, unpacked.
pub fn reference() -> Result<Reference> {
    if let Some(program) = install::find_command("qemu-ga") {
        return Ok(Reference { program, library_path: None });
    }
    let directory = unpacked("reference", || {
        // The C library's own packages are on every Debian system.
        install::with_libraries(&["qemu-guest-agent"], &["libc6", "libgcc-s1", "libcrypt1"])
    })?;
    let program = directory.join("usr/sbin/qemu-ga");
    if !program.is_file() {
        return Err(format!("the package qemu-guest-agent brought no {}", program.display()));
    }
    let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
    let libraries = ["lib", "usr/lib"].map(|name| directory.join(name).join(&multiarch));
    let library_path = libraries.map(|path| path.display().to_string()).join(":");
    Ok(Reference { program, library_path: Some(library_path) })
}

impl Reference {
    /// A command that runs the reference agent on this machine.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(path) = &self.library_path {
            command.env("LD_LIBRARY_PATH", path);
        }
        command
    }

    /// Every file that it needs to run elsewhere (itself, loader, libraries): pairs of the path
    /// there and the file here.
    pub fn files(&self) -> Result<Vec<(String, PathBuf)>> {
        let mut command = Command::new("ldd");
        if let Some(path) = &self.library_path {
            command.env("LD_LIBRARY_PATH", path);
        }
        let libraries = libraries(command.arg(&self.program))?;
        let own = ("/usr/sbin/qemu-ga".to_owned(), self.program.clone());
        let libraries = libraries.into_iter().map(|path| (place_in_guest(&path), path));
        Ok(std::iter::once(own).chain(libraries).collect())
    }
}

/// The shared libraries of a program that this `ldd` is called for, the loader included.
pub fn libraries(ldd: &mut Command) -> Result<Vec<PathBuf>> {
    let text = command::text(ldd)?;
    if let Some(line) = text.lines().find(|line| line.contains("not found")) {
        return Err(format!("a program lacks a library: {}", line.trim()));
    }
    // `libc.so.6 => /lib/.../libc.so.6 (0x...)`, `/lib64/ld-linux-x86-64.so.2 (0x...)`, and the
    // vdso, which is no file and so has no path.
    let path =
        |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from);
    Ok(text.lines().filter_map(path).collect())
}

/// Libraries all go where Debian's loader looks; the loader itself goes where the program says.
fn place_in_guest(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with("ld-linux") {
        return path.display().to_string();
    }
    format!("/lib/{}-linux-gnu/{name}", std::env::consts::ARCH)
}
