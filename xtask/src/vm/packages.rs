//! A Debian package's name in, its files and those of its libraries in the initramfs out: other inits than
//! busybox' shell for the virtual machine. Unpacked into the cache, never installed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::initramfs::Initramfs;
use super::kernel::{self, unpacked};
use crate::{Result, install};

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
    let directory = unpacked(&format!("package-{name}"), || with_libraries(name))?;
    let mut pending = vec![directory.clone()];
    while let Some(folder) = pending.pop() {
        let entries =
            fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in entries.flatten() {
            let path = entry.path();
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
    let failed = |error| format!("{}: {error}", path.display());
    let found = fs::symlink_metadata(path).map_err(failed)?;
    let place = place.display().to_string();
    if found.is_dir() {
        archive.directory(&place);
        folders.push(path.to_path_buf());
    } else if found.is_symlink() {
        let target = fs::read_link(path).map_err(failed)?;
        archive.symlink(&place, &target.display().to_string());
    } else {
        archive.file(&place, &kernel::read(path)?, found.permissions().mode() & 0o777);
    }
    Ok(())
}

/// The package, and every library that it or one of those depends on.
fn with_libraries(name: &str) -> Result<Vec<String>> {
    let all = install::all_dependencies(name)?;
    let mut found = vec![name.to_owned()];
    let mut next = 0;
    while next < found.len() {
        let of_this = all.get(&found[next]).into_iter().flatten();
        let new: Vec<String> = of_this
            .filter(|dependency| dependency.starts_with("lib") && !found.contains(dependency))
            .cloned()
            .collect();
        found.extend(new);
        next += 1;
    }
    Ok(found)
}
