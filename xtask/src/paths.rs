//! Where things are: the repository, its build output, the agent, the caches. Files and folders
//! with their names in every error.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::{ElseSay, Result};

/// The root of the repository (the directory that holds `core`, `tests`, `xtask` ...).
pub fn root() -> PathBuf {
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run_from = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    // A binary that was carried elsewhere still finds the clone that it is run from.
    let manifest = match run_from {
        Some(directory) if !built_from.exists() => directory,
        _ => built_from.to_path_buf(),
    };
    manifest.parent().map(Path::to_path_buf).unwrap_or(manifest)
}

/// Cargo's output directory of the root workspace.
pub fn target() -> PathBuf {
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// The agent's release binary: `$QGA_BIN` when that is set, else what `cargo build --release` at
/// the root makes. It need not exist yet; see [`crate::build::release`].
pub fn agent() -> PathBuf {
    env::var_os("QGA_BIN").map_or_else(|| target().join("release/qga"), PathBuf::from)
}

/// Where unpacked Debian packages are kept between runs. Nothing in it is installed.
pub fn cache() -> PathBuf {
    root().join("target/vm")
}

pub fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).else_say_of("cannot read", file)
}

/// A whole file of text.
pub fn text(file: &Path) -> Result<String> {
    fs::read_to_string(file).else_say_of("cannot read", file)
}

pub fn write(file: &Path, contents: impl AsRef<[u8]>) -> Result<()> {
    fs::write(file, contents).else_say_of("cannot write", file)
}

/// Writes a program's whole file, unless it stands there.
pub fn write_program(file: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(file).ok().as_deref() == Some(text) {
        return Ok(());
    }
    write(file, text)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).else_say_of("cannot write", file)
}

/// A file's size, symbolic links followed.
pub fn bytes(file: &Path) -> Result<u64> {
    Ok(fs::metadata(file).else_say_of("cannot look at", file)?.len())
}

/// Makes a folder and those that it lies in, unless they are there.
pub fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).else_say_of("cannot make", folder)
}

/// Makes a folder with nothing in it.
pub fn make_empty(folder: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(folder);
    make(folder)
}

/// All that is no folder in a folder and in those in it, in the order of their names; links are not
/// followed.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = WalkDir::new(folder).sort_by_file_name().into_iter();
    let files = entries.filter(|entry| !entry.as_ref().is_ok_and(|e| e.file_type().is_dir()));
    files.map(|entry| Ok(entry.else_say_of("cannot list", folder)?.into_path())).collect()
}

/// What lies in a folder.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).else_say_of("cannot list", folder)?;
    entries.map(|entry| Ok(entry.else_say_of("cannot list", folder)?.path())).collect()
}
