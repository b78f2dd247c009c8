//! What every test of the binary needs: where the binary is, how a skip is counted, and the rooms
//! that start an agent, talk to it, look at it from outside and lock it into a guest of its own.

pub mod agent;
pub mod compare;
pub mod connection;
pub mod conversations;
pub mod copy;
pub mod counters;
pub mod disk;
pub mod fire;
pub mod fire_errnos;
pub mod fire_filter;
pub mod fire_freeze;
pub mod fire_oracle;
pub mod fire_wire;
pub mod fuse;
pub mod guest;
pub mod hanging;
pub mod jail;
pub mod machine;
pub mod play;
pub mod pty;
pub mod requests;
pub mod sys;

pub use xtask::commands::{COMMANDS, LISTS, NEWER, OF_LINUX, SETS_TIME};

use std::io::Write;
use std::path::{Path, PathBuf};

/// The project's root folder.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the project").into()
}

/// The agent under test: `QGA_BIN`, or what `cargo build --release` at the root makes.
pub fn binary() -> PathBuf {
    let path = match std::env::var_os("QGA_BIN") {
        Some(path) => PathBuf::from(path),
        None => repository().join("target/release/qga"),
    };
    assert!(
        path.is_file(),
        "no agent at {}: run `cargo build --release` in {} first, or name another in QGA_BIN",
        path.display(),
        repository().display()
    );
    path
}

/// Counts a test that cannot run here: prints it, and appends it to the file named by
/// `QGA_SKIPPED_FILE` so that whoever started the tests can name it in the summary.
pub fn skip(name: &str, reason: &str) {
    println!("SKIPPED: {name}: {reason}");
    if let Some(path) = std::env::var_os("QGA_SKIPPED_FILE") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(&path);
        let written =
            file.and_then(|mut file| file.write_all(format!("{name}: {reason}\n").as_bytes()));
        written.unwrap_or_else(|error| panic!("QGA_SKIPPED_FILE {}: {error}", path.display()));
    }
}

/// Whether the tests run as root, which real mounts and namespaces need.
pub fn is_root() -> bool {
    // SAFETY: geteuid has no arguments and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Where a program is, searched in PATH and the folders of administrators' programs.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path.split(':').chain(["/usr/local/sbin", "/usr/sbin", "/sbin"]);
    folders.map(|folder| Path::new(folder).join(name)).find(|path| path.is_file())
}

/// Waits until it holds. Panics, saying `what` does not, after a time that is long for any machine.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "{what}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}
