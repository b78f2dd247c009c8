//! The fuzz targets: any bytes in, a panic out if the core, or the console driver, does
//! with them what it must not do.
//!
//! The logic is here, without libFuzzer, so that the corpus is replayed by the ordinary tests
//! (tests/tests/corpus.rs) and a finding by `cargo run --bin TARGET FILE...`.

#![deny(unsafe_code)]

pub mod base64;
pub mod device_tree;
pub mod formats;
pub mod framer;
mod input;
pub mod mark;
pub mod mountinfo;
pub mod options;
pub mod request;
pub mod session;
pub mod slow;
pub mod state;
pub mod strict;
mod talk;
pub mod virtio_console;

use std::path::PathBuf;

/// A target's name, which is also its folder in the corpus, and what it does with one input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 12] = [
    ("framer", framer::run),
    ("request", request::run),
    ("session", session::run),
    ("virtio_console", virtio_console::run),
    ("base64", base64::run),
    ("mountinfo", mountinfo::run),
    ("mark", mark::run),
    ("state", state::run),
    ("options", options::run),
    ("device_tree", device_tree::run),
    ("slow", slow::run),
    ("formats", formats::run),
];

/// Runs `target` on each file named on the command line, and on each file of the folders named
/// there.
pub fn replay(target: fn(&[u8])) -> std::io::Result<()> {
    let mut paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            let entries: Result<Vec<_>, _> = std::fs::read_dir(path)?.collect();
            paths.extend(entries?.into_iter().map(|entry| entry.path()));
            continue;
        }
        println!("{}", path.display());
        target(&std::fs::read(path)?);
    }
    Ok(())
}
