//! Where things are: the repository, its build output, the agent, the caches.

use std::env;
use std::path::{Path, PathBuf};

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
    match env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => root().join(directory),
        None => root().join("target"),
    }
}

/// The agent's release binary: `$QGA_BIN` when that is set, else what `cargo build --release` at
/// the root makes. It need not exist yet; see [`crate::build::release`].
pub fn agent() -> PathBuf {
    match env::var_os("QGA_BIN") {
        Some(path) => PathBuf::from(path),
        None => target().join("release/qga"),
    }
}

/// Where unpacked Debian packages are kept between runs. Nothing in it is installed.
pub fn cache() -> PathBuf {
    root().join("target/vm")
}
