//! Paths for the kernel: bytes in, the same with a NUL after them out, in one buffer that is always
//! there, so that a path takes no stack.

use core::ffi::CStr;
use qga_core::Errno;
use qga_core::limits::PATH_BYTES_MAX;

/// Room for one path.
pub struct PathBuffer([u8; PATH_BYTES_MAX + 1]);

impl PathBuffer {
    /// An empty one; all zero.
    pub const fn new() -> Self {
        PathBuffer([0; PATH_BYTES_MAX + 1])
    }

    /// All of it, for a path that the kernel gives.
    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// `path`, ended by a NUL. Errors: ENAMETOOLONG, and ENOENT for a path with a NUL in it, as the
    /// kernel says of a name that cannot be.
    #[inline(always)]
    pub fn path(&mut self, path: &[u8]) -> Result<&CStr, Errno> {
        self.put(path)?;
        // SAFETY: `put` has written so many bytes, the last of them a NUL, and none before it.
        Ok(unsafe { CStr::from_bytes_with_nul_unchecked(self.0.get_unchecked(..=path.len())) })
    }

    /// The path that was put there last.
    pub fn found(&self) -> &CStr {
        // SAFETY: it is never without a NUL: all zero at first, and `put` leaves one.
        unsafe { CStr::from_ptr(self.0.as_ptr().cast()) }
    }

    /// By itself, because a result with a path in it goes through memory.
    #[inline(never)]
    fn put(&mut self, path: &[u8]) -> Result<(), Errno> {
        let place = self.0.get_mut(..path.len() + 1).ok_or(Errno::NAMETOOLONG)?;
        for (place, &byte) in place.iter_mut().zip(path) {
            if byte == 0 {
                return Err(Errno::NOENT);
            }
            *place = byte;
        }
        if let Some(last) = place.last_mut() {
            *last = 0;
        }
        Ok(())
    }
}

impl Default for PathBuffer {
    fn default() -> Self {
        PathBuffer::new()
    }
}
