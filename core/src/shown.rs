//! As much of a path as an error keeps: a path in, its beginning out. Plain bytes, which a worker
//! can tell.

use crate::bytes::copy;
use crate::limits::PATH_SHOWN_BYTES;
use core::ops::Deref;

/// The beginning of a path. All zero when new.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    len: usize,
    bytes: [u8; PATH_SHOWN_BYTES],
}

impl Shown {
    /// None.
    pub const fn new() -> Self {
        Shown { len: 0, bytes: [0; PATH_SHOWN_BYTES] }
    }
}

impl Default for Shown {
    fn default() -> Self {
        Shown::new()
    }
}

impl Deref for Shown {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }
}

/// Puts the beginning of a path into `shown`.
pub fn show(path: &[u8], shown: &mut Shown) {
    shown.len = copy(&mut shown.bytes, path);
}
