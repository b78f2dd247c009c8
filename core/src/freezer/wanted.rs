//! Which filesystems a freeze is for: the mount points that a client has named in, whether a mount
//! is one of them out, and in the end which of them were none.
//!
//! As in the reference a filesystem is known by where it was mounted first, and by that place
//! letter for letter: whoever names another mount of it names nothing.

use crate::bytes::put;
use crate::errno::Errno;
use crate::limits::FROZEN_MAX;
use crate::mountinfo::{Local, each_local};
use crate::platform::{Failure, Freeze, Strings, What};

/// What has been named, if not everything is meant, and what of it was found.
pub(super) struct Wanted<'a> {
    names: Option<Strings<'a>>,
    /// A bit for each name.
    found: [u64; FROZEN_MAX / 64],
}

impl<'a> Wanted<'a> {
    /// These, or everything. Errors: more than could be frozen.
    #[inline(never)]
    pub(super) fn new(names: Option<Strings<'a>>) -> Result<Self, Failure> {
        if names.is_some_and(|names| names.iter().count() > FROZEN_MAX) {
            return Err(Failure(What::TooMany, None));
        }
        Ok(Wanted { names, found: [0; FROZEN_MAX / 64] })
    }

    /// Whether a mount is wanted. Errors: the mount table cannot be read.
    #[inline(never)]
    pub(super) fn takes<P: Freeze>(
        &mut self,
        platform: &mut P,
        line: &mut [u8],
        mount: &Local<'_>,
    ) -> Result<bool, Errno> {
        if self.names.is_none() {
            return Ok(true);
        }
        if !self.name(mount.path, false) || !is_first(platform, line, mount)? {
            return Ok(false);
        }
        Ok(self.name(mount.path, true))
    }

    /// Whether this path was named; if it `is_one` of a filesystem, that is kept in mind.
    fn name(&mut self, path: &[u8], is_one: bool) -> bool {
        let mut named = false;
        for (number, name) in self.names.unwrap_or(Strings::NONE).iter().enumerate() {
            if name.eq(path.iter().copied()) {
                named = true;
                if let Some(bits) = self.found.get_mut(number / 64) {
                    *bits |= u64::from(is_one) << (number % 64);
                }
            }
        }
        named
    }

    /// Puts the first name at `from` or after it that was none into `path`: its number, and how
    /// long it is.
    #[inline(never)]
    pub(super) fn missing(&self, from: usize, path: &mut [u8]) -> Option<(usize, usize)> {
        let names = self.names.unwrap_or(Strings::NONE).iter().enumerate();
        let (number, name) = names.skip(from).find(|(number, _)| {
            let bits = self.found.get(number / 64).copied().unwrap_or(0);
            bits >> (number % 64) & 1 == 0
        })?;
        let mut len = 0;
        for byte in name {
            put(path, &mut len, u32::from(byte));
        }
        Some((number, len.min(path.len())))
    }
}

/// Whether a filesystem was mounted here before it was mounted anywhere else.
fn is_first<P: Freeze>(
    platform: &mut P,
    line: &mut [u8],
    mount: &Local<'_>,
) -> Result<bool, Errno> {
    let mut is_first = false;
    each_local(platform, line, &mut |_, other| {
        is_first = other.id == mount.id;
        other.superblock != mount.superblock
    })?;
    Ok(is_first)
}
