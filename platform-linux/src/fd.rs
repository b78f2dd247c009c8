//! An open file descriptor: closed when dropped, understood by rustix, and by the core through
//! embedded-io.
//!
//! The type is our own because rustix' asserts at every use that a descriptor is not -1, which the
//! compiler cannot see there. Here it can: the number is never negative.

use crate::errno::errno;
use core::num::NonZeroI32;
use embedded_io::{ErrorType, Read, Seek, SeekFrom, Write};
use qga_core::Errno;
use rustix::fd::{AsFd, BorrowedFd};

/// An open file: the complement of its number, which is negative and so never 0. That there may be
/// none then takes no memory of its own, and less code.
pub struct Fd(NonZeroI32);

impl Fd {
    /// Takes a descriptor over.
    ///
    /// # Safety
    /// `number` is not negative, is open, and nobody else closes it.
    pub const unsafe fn from_raw(number: i32) -> Self {
        // SAFETY: the caller's promise: only -1 would give 0.
        Fd(unsafe { NonZeroI32::new_unchecked(!number) })
    }

    /// The number.
    pub fn raw(&self) -> i32 {
        !self.0.get()
    }

    /// Reads what there is (read(2)): how many bytes, at most 2 GiB.
    pub fn get(&self, into: &mut [u8]) -> Result<u32, Errno> {
        rustix::io::read(self, into).map(|len| len as u32).map_err(errno)
    }

    /// Writes as much as fits (write(2)).
    pub fn put(&self, bytes: &[u8]) -> Result<u32, Errno> {
        rustix::io::write(self, bytes).map(|len| len as u32).map_err(errno)
    }

    /// Gives the descriptor up without closing it.
    pub fn keep_open(self) {
        core::mem::forget(self);
    }

    /// Closes it and says what that found (close(2)): EIO, ENOSPC, EDQUOT. It is closed all the
    /// same.
    pub fn close(self) -> Result<(), Errno> {
        let number = self.raw();
        self.keep_open();
        // SAFETY: the descriptor was this value's alone, and the value is gone.
        match unsafe { rustix::io::try_close(number) } {
            Ok(()) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(errno(error)),
        }
    }
}

impl Drop for Fd {
    // Called, it takes less room in the many places where it happens.
    #[inline(never)]
    fn drop(&mut self) {
        // SAFETY: the descriptor is this value's alone, and the value is going.
        unsafe { rustix::io::close(self.raw()) }
    }
}

impl AsFd for Fd {
    #[inline(always)]
    fn as_fd(&self) -> BorrowedFd<'_> {
        // Not by `borrow_raw`: it asserts that the number is not -1, which the compiler can see
        // only where it puts the call in line. SAFETY: the type is a number and nothing else
        // (`repr(transparent)`), not negative by the invariant, and the descriptor stays open while
        // `self` is borrowed.
        unsafe { core::mem::transmute::<i32, BorrowedFd<'_>>(self.raw()) }
    }
}

impl ErrorType for Fd {
    type Error = Errno;
}

impl Read for Fd {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        self.get(into).map(|len| len as usize)
    }
}

impl Write for Fd {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        self.put(bytes).map(|len| len as usize)
    }

    fn flush(&mut self) -> Result<(), Errno> {
        Ok(())
    }
}

impl Seek for Fd {
    fn seek(&mut self, to: SeekFrom) -> Result<u64, Errno> {
        let to = match to {
            SeekFrom::Start(offset) => rustix::fs::SeekFrom::Start(offset),
            SeekFrom::Current(offset) => rustix::fs::SeekFrom::Current(offset),
            SeekFrom::End(offset) => rustix::fs::SeekFrom::End(offset),
        };
        rustix::fs::seek(self, to).map_err(errno)
    }
}
