//! A Debian package's name in, its files and those of its libraries in the initramfs out: other
//! inits than busybox' shell for the virtual machine. Unpacked into the cache, never installed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

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
    let mut pending = vec![directory.clone()];
    while let Some(folder) = pending.pop() {
        for path in paths::entries(&folder)? {
            let place = path.strip_prefix(&directory).map_err(|error| error.to_string())?;
            if !LEFT_OUT.iter().any(|left_out| place == Path::new(left_out)) {
                add_entry(archive, &path, place, &mut pending)?;
            }
        }
    }
    Ok(())
}

fn add_entry(
    archive: &mut Initramfs,
    path: &Path,
    place: &Path,
    folders: &mut Vec<std::path::PathBuf>,
) -> Result<()> {
    let found = fs::symlink_metadata(path).else_say_of("cannot look at", path)?;
    let place = place.display().to_string();
    if found.is_dir() {
        archive.directory(&place);
        folders.push(path.to_path_buf());
    } else if found.is_symlink() {
        let target = fs::read_link(path).else_say_of("cannot look at", path)?;
        archive.symlink(&place, &target.display().to_string());
    } else {
        archive.file(&place, &paths::read(path)?, found.permissions().mode() & 0o777);
    }
    Ok(())
}
