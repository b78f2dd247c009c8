//! The guest's files: a small tree in memory, gone with the machine.
//!
//! [`tree`] is the tree and what is open, [`store`] the bytes of its files, [`fifo`] those of its
//! pipes; [`preset`] and [`archive`] are what is there from the start. This file puts them behind
//! the core's traits.

pub mod archive;
pub mod fifo;
pub mod preset;
pub mod store;
pub mod tree;

use crate::single::Single;
use embedded_io::{ErrorType, Read, Seek, SeekFrom, Write};
use qga_core::Errno;
use qga_core::platform::OpenOptions;
use tree::{Open, Tree};

/// The tree of the guest. All zero until [`start`].
static TREE: Single<Tree> = Single::new(Tree::new());

/// Plants the tree: what every guest has, and the files of the hypervisor's cpio archive (none if
/// empty). Errors: those of [`archive::plant`]; what was planted before stays.
pub fn start(archive: &[u8]) -> Result<(), Errno> {
    with(preset::plant)?;
    with(|tree| archive::plant(tree, archive))
}

/// Opens a file.
pub fn open(path: &[u8], options: OpenOptions) -> Result<File, Errno> {
    with(|tree| tree.open(path, options)).map(File)
}

fn with<R>(run: impl FnOnce(&mut Tree) -> Result<R, Errno>) -> Result<R, Errno> {
    // Nothing that runs inside calls back, so the tree is always to be had.
    TREE.with(run).unwrap_or(Err(Errno::BUSY))
}

/// An open file; closed when dropped.
#[derive(Debug)]
pub struct File(Open);

impl Drop for File {
    fn drop(&mut self) {
        let _ = TREE.with(|tree| tree.close(self.0));
    }
}

impl ErrorType for File {
    type Error = Errno;
}

impl Read for File {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        with(|tree| tree.read(self.0, into))
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        with(|tree| tree.write(self.0, bytes))
    }

    fn flush(&mut self) -> Result<(), Errno> {
        Ok(())
    }
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> Result<u64, Errno> {
        with(|tree| tree.seek(self.0, to))
    }
}
