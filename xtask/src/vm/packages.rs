//! A Debian package's name in, its files and those of its libraries in the initramfs out: other
//! inits than busybox' shell for the virtual machine. Unpacked into the cache, never installed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::initramfs::Initramfs;
use super::kernel::unpacked;
use crate::{ElseSay, Result, install, paths};

/// What no guest of ours needs and what would take its memory.
const LEFT_OUT: [&str; 7] = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/bash-completion",
    "usr/share/zsh",
    "usr/share/info",
    "usr/lib/x86_64-linux-gnu/gconv",
];

/// Adds the files of a package and of the libraries behind it.
pub(super) fn add(archive: &mut Initramfs, name: &str) -> Result<()> {
    let directory = unpacked(&format!("package-{name}"), || install::with_libraries(&[name], &[]))?;
    let place = |entry: &DirEntry| -> PathBuf {
        entry.path().iter().skip(directory.iter().count()).collect()
    };
    let is_left_out =
        |entry: &DirEntry| LEFT_OUT.iter().any(|name| place(entry) == Path::new(name));
    let entries = WalkDir::new(&directory).min_depth(1).into_iter();
    for entry in entries.filter_entry(|entry| !is_left_out(entry)) {
        let entry = entry.else_say_of("cannot list", &directory)?;
        let (path, place) = (entry.path(), place(&entry).display().to_string());
        if entry.file_type().is_dir() {
            archive.directory(&place);
        } else if entry.path_is_symlink() {
            let target = fs::read_link(path).else_say_of("cannot look at", path)?;
            archive.symlink(&place, &target.display().to_string());
        } else {
            let found = entry.metadata().else_say_of("cannot look at", path)?;
            archive.file(&place, &paths::read(path)?, found.permissions().mode() & 0o777);
        }
    }
    Ok(())
}
