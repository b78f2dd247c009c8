//! Files in, an initramfs out: the "newc" cpio archive that the kernel unpacks at boot
//! (kernel: Documentation/driver-api/early-userspace/buffer-format.rst).
//!
//! The archive is not compressed: under emulation the guest unpacks slower than QEMU copies.

use std::collections::BTreeSet;
use std::io::Write;

use cpio::newc::{Builder, trailer};

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const FIFO: u32 = 0o010_000;
const SYMLINK: u32 = 0o120_000;

/// An initramfs under construction. Parent directories are made as needed.
#[derive(Default)]
pub struct Initramfs {
    bytes: Vec<u8>,
    inode: u32,
    directories: BTreeSet<String>,
}

impl Initramfs {
    /// Adds a regular file with these permission bits; `path` with or without a leading slash.
    pub fn file(&mut self, path: &str, contents: &[u8], mode: u32) {
        self.parents(path);
        self.entry(path, REGULAR | mode, contents);
    }

    /// Adds an empty directory.
    pub fn directory(&mut self, path: &str) {
        let path = path.trim_matches('/');
        self.parents(path);
        if self.directories.insert(path.to_owned()) {
            self.entry(path, DIRECTORY | 0o755, b"");
        }
    }

    /// Adds a named pipe with these permission bits.
    pub fn fifo(&mut self, path: &str, mode: u32) {
        self.parents(path);
        self.entry(path, FIFO | mode, b"");
    }

    /// Adds a symbolic link at `path` that leads to `target`.
    pub fn symlink(&mut self, path: &str, target: &str) {
        self.parents(path);
        self.entry(path, SYMLINK | 0o777, target.as_bytes());
    }

    /// Ends the archive and yields its bytes.
    pub fn finish(mut self) -> Vec<u8> {
        trailer(&mut self.bytes).expect("memory takes what is written");
        self.bytes
    }

    fn parents(&mut self, path: &str) {
        let path = path.trim_matches('/');
        for (end, _) in path.match_indices('/') {
            let parent = &path[..end];
            if self.directories.insert(parent.to_owned()) {
                self.entry(parent, DIRECTORY | 0o755, b"");
            }
        }
    }

    fn entry(&mut self, path: &str, mode: u32, contents: &[u8]) {
        self.inode += 1;
        let links = if mode & 0o170_000 == DIRECTORY { 2 } else { 1 };
        let size = u32::try_from(contents.len()).expect("an initramfs file is under 4 GiB");
        let header = Builder::new(path.trim_matches('/')).ino(self.inode).mode(mode).nlink(links);
        let mut entry = header.write(&mut self.bytes, size);
        let written = entry.write_all(contents).and_then(|()| entry.finish().map(drop));
        written.expect("memory takes what is written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_aligned_and_parents_come_first() {
        let mut archive = Initramfs::default();
        archive.file("/a/b/c", b"hello", 0o644);
        archive.symlink("a/link", "b/c");
        let bytes = archive.finish();
        assert_eq!(bytes.len() % 4, 0);
        let text = String::from_utf8(bytes).unwrap();
        let at = |name: &str| text.find(name).unwrap();
        assert!(at("a\0") < at("a/b\0") && at("a/b\0") < at("a/b/c\0"));
        assert!(at("a/b/c\0") < at("hello") && at("hello") < at("TRAILER!!!\0"));
        assert_eq!(text.matches("070701").count(), 5);
    }
}
