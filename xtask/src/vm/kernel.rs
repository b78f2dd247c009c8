//! Debian's kernels and busybox, unpacked into a cache (never installed): paths out.
//!
//! Module order comes from each module's own `depends=` record, so neither depmod nor modprobe is
//! needed, here or in the guest.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{ElseSay, Result, command, install, paths, progress};

/// A bootable kernel and the directory of its modules.
pub struct Kernel {
    pub image: PathBuf,
    modules: PathBuf,
}

/// Debian's cloud kernel, or the one for every machine, downloaded at the first call.
pub fn kernel(every_driver: bool) -> Result<Kernel> {
    let (name, package) = match every_driver {
        true => ("kernel-generic", "linux-image-amd64"),
        false => ("kernel", "linux-image-cloud-amd64"),
    };
    let directory = unpacked(name, || {
        // The package that carries the name is empty and depends on the current version.
        let dependencies = install::dependencies(package)?;
        dependencies
            .into_iter()
            .filter(|package| package.starts_with("linux-image-"))
            .map(Ok)
            .collect()
    })?;
    let image = first_entry(&directory.join("boot"), "vmlinuz-")?;
    let merged = directory.join("usr/lib/modules");
    let modules = if merged.is_dir() { merged } else { directory.join("lib/modules") };
    Ok(Kernel { image, modules: first_entry(&modules, "")? })
}

/// The statically linked busybox, downloaded at the first call.
pub fn busybox() -> Result<PathBuf> {
    let directory = unpacked("busybox", || Ok(vec!["busybox-static".to_owned()]))?;
    ["bin/busybox", "usr/bin/busybox"]
        .map(|name| directory.join(name))
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| format!("no busybox in {}", directory.display()))
}

impl Kernel {
    /// The wanted modules and everything they depend on, in the order in which to load them:
    /// pairs of name and contents. A module that is built into the kernel is left out.
    pub fn modules(&self, wanted: &[&str]) -> Result<Vec<(String, Vec<u8>)>> {
        let files = paths::files(&self.modules)?;
        let built_in = fs::read_to_string(self.modules.join("modules.builtin")).unwrap_or_default();
        let built_in: Vec<String> = built_in.lines().map(|l| module_name(Path::new(l))).collect();
        let mut ordered = Vec::new();
        for name in wanted {
            add_module(name, &files, &built_in, &mut ordered)?;
        }
        Ok(ordered)
    }
}

/// Adds `name` after its dependencies. A module graph has no cycles: the kernel could not load it.
fn add_module(
    name: &str,
    files: &[PathBuf],
    built_in: &[String],
    ordered: &mut Vec<(String, Vec<u8>)>,
) -> Result<()> {
    let known = ordered.iter().any(|(done, _)| done == name);
    if known || built_in.iter().any(|module| module == name) {
        return Ok(());
    }
    let file = files
        .iter()
        .find(|file| module_name(file) == name)
        .ok_or_else(|| format!("the kernel has no module {name}"))?;
    let contents = read_module(file)?;
    for dependency in depends(&contents) {
        add_module(&dependency, files, built_in, ordered)?;
    }
    ordered.push((name.to_owned(), contents));
    Ok(())
}

/// A module's name: the file's name without its endings, dashes as underscores.
fn module_name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.split(".ko").next().unwrap_or_default().replace('-', "_")
}

fn read_module(file: &Path) -> Result<Vec<u8>> {
    let tool = match file.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => return paths::read(file),
    };
    let tools = [("xz", "xz-utils"), ("zstd", "zstd")];
    install::commands(&tools.map(|pair| if pair.0 == tool { pair } else { tools[0] }))?;
    Ok(command::output(Command::new(tool).arg("-dc").arg(file))?.stdout)
}

/// The modules that this one's `.modinfo` section says it depends on.
fn depends(module: &[u8]) -> Vec<String> {
    let key = b"\0depends=";
    let Some(at) = module.windows(key.len()).position(|window| window == key) else {
        return Vec::new();
    };
    let record = module[at + key.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    let record = String::from_utf8_lossy(record);
    record.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

/// The cache directory `name` with these packages unpacked in it. Safe against other processes
/// that want the same at the same time, and against a run that was interrupted half way.
pub(super) fn unpacked(
    name: &str,
    packages: impl FnOnce() -> Result<Vec<String>>,
) -> Result<PathBuf> {
    let cache = paths::cache();
    let directory = cache.join(name);
    paths::make(&cache)?;
    let lock = cache.join("lock");
    let lock_file = File::create(&lock).else_say_of("cannot make", &lock)?;
    lock_file.lock().else_say_of("cannot lock", &lock)?;
    if directory.is_dir() {
        return Ok(directory);
    }
    let partial = cache.join(format!("{name}.partial"));
    let _ = fs::remove_dir_all(&partial);
    let packages = packages()?;
    let names: Vec<&str> = packages.iter().map(String::as_str).collect();
    if names.is_empty() {
        return Err(format!("apt knows no package for the virtual machine's {name}"));
    }
    install::unpack(&names, &partial)?;
    fs::rename(&partial, &directory).else_say_of("cannot rename", &partial)?;
    progress::say(&format!("unpacked into {}", directory.display()));
    Ok(directory)
}

fn first_entry(directory: &Path, prefix: &str) -> Result<PathBuf> {
    let named = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
    };
    let found = paths::entries(directory)?.into_iter().find(named);
    found.ok_or_else(|| format!("nothing named {prefix}* in {}", directory.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn module_records_are_understood() {
        assert_eq!(module_name(Path::new("kernel/fs/nls/nls-cp437.ko.xz")), "nls_cp437");
        assert_eq!(depends(b"x\0depends=virtio,virtio-ring\0y"), ["virtio", "virtio_ring"]);
        assert!(depends(b"x\0depends=\0y").is_empty());
        assert!(depends(b"nothing").is_empty());
    }
}
