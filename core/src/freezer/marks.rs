//! The frozen mark in several places in memory: one place may be full when a freeze begins, or
//! covered by another mount when the next agent looks. What is written goes to each place, the
//! first of them first; what is read comes from the mark that is ahead.

use crate::errno::Errno;
use crate::limits::MARK_PLACES_MAX;
use crate::mark::{self, Head, Phase, RecordState, Shown};
use crate::platform::Freeze;
use embedded_io::{Read, Seek, Write};

/// What was found in the places of the mark, the least telling first: where there are several, the
/// last counts. One that cannot be read may be anything, so it counts more than one without a list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Found {
    /// No mark.
    Nothing,
    /// One of an earlier boot.
    Stale,
    /// One that no agent like this one wrote.
    Foreign,
    /// One that cannot be read: why stands in [`Marks::failed`].
    Unread,
    /// One of this boot, by an agent like this one.
    Ours,
}

/// The marks of one freeze, open.
pub(super) struct Marks<M> {
    open: [Option<M>; MARK_PLACES_MAX],
    /// What there is.
    pub found: Found,
    /// What the agent was doing, as the one says that is ahead.
    pub phase: Phase,
    /// Why a place that might have taken a mark, or one that might have one, did not do.
    pub failed: Errno,
}

impl<M> Marks<M>
where
    M: Read<Error = Errno> + Write<Error = Errno> + Seek<Error = Errno>,
{
    const NONE: Self = Marks {
        open: [const { None }; MARK_PLACES_MAX],
        found: Found::Nothing,
        phase: Phase::Freezing,
        failed: Errno::OPNOTSUPP,
    };

    /// Begins new marks, wherever that can be done. If it is nowhere, writing to them says why.
    pub fn create<P: Freeze<Mark = M>>(platform: &mut P) -> Self {
        let mut marks = Self::NONE;
        for (place, open) in marks.open.iter_mut().enumerate() {
            match platform.create_mark(place) {
                Ok(mark) => *open = Some(mark),
                Err(Errno::OPNOTSUPP) => {}
                Err(errno) => marks.failed = errno,
            }
        }
        marks
    }

    /// Appends to each mark that is begun. A place that cannot take it is left out. Errors: there
    /// is no other.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.put(None, bytes)
    }

    /// Writes to each mark: appends to those that are begun, or overwrites `at` there in those in
    /// force.
    fn put(&mut self, at: Option<u64>, bytes: &[u8]) -> Result<(), Errno> {
        let (mut result, mut failed) = (Err(self.failed), Ok(()));
        for open in &mut self.open {
            let Some(mark) = open else { continue };
            match mark::put(mark, at, bytes) {
                Ok(()) => result = Ok(()),
                Err(errno) => {
                    failed = Err(errno);
                    if at.is_none() {
                        *open = None;
                    }
                }
            }
        }
        match at {
            Some(_) => failed,
            None => result.or(failed),
        }
    }

    /// Puts them in force. Errors: no place could take one, or an older mark cannot be removed from
    /// a place that could not: it would speak for this freeze.
    pub fn publish<P: Freeze<Mark = M>>(&mut self, platform: &mut P) -> Result<(), Errno> {
        let mut in_force = false;
        for (place, open) in self.open.iter_mut().enumerate() {
            if open.is_some() {
                match platform.publish_mark(place) {
                    Ok(()) => {
                        in_force = true;
                        continue;
                    }
                    Err(errno) => self.failed = errno,
                }
                *open = None;
            }
            match platform.remove_mark(place) {
                // A directory of that name is no mark.
                Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => {}
                Err(errno) => return Err(errno),
            }
        }
        if in_force { Ok(()) } else { Err(self.failed) }
    }

    /// Opens the marks of this boot that were written by an agent like this one, and says what else
    /// was found.
    pub fn open<P: Freeze<Mark = M>>(platform: &mut P) -> Self {
        let mut marks = Self::NONE;
        for (place, open) in marks.open.iter_mut().enumerate() {
            let head = platform.open_mark(place).and_then(|mut mark| {
                let boot = boot(platform);
                let head = mark::read_head(&mut mark, &boot)?;
                Ok((head, mark))
            });
            let found = match head {
                Ok((Head::Ours(phase), mark)) => {
                    // Of two the first is ahead, if any: it is written first.
                    if marks.found != Found::Ours {
                        marks.phase = phase;
                    }
                    *open = Some(mark);
                    Found::Ours
                }
                Ok((Head::Foreign, _)) => Found::Foreign,
                Ok((Head::Stale, _)) => Found::Stale,
                Err(Errno::NOENT) => Found::Nothing,
                Err(errno) => {
                    marks.failed = errno;
                    Found::Unread
                }
            };
            marks.found = marks.found.max(found);
        }
        marks
    }

    /// What there is. Its descriptors are closed before anything else wants one.
    #[inline(never)]
    pub fn found<P: Freeze<Mark = M>>(platform: &mut P) -> Found {
        Self::open(platform).found
    }

    /// Puts the beginning of the path in the record `at` of what there is into `shown`.
    #[inline(never)]
    pub fn show<P: Freeze<Mark = M>>(platform: &mut P, at: u64, shown: &mut Shown) {
        Self::open(platform).show_record(at, shown);
    }

    /// Removes all marks, the last first: the one that is ahead is the last that is left.
    pub fn remove<P: Freeze<Mark = M>>(platform: &mut P) {
        for place in (0..MARK_PLACES_MAX).rev() {
            let _ = platform.remove_mark(place);
        }
    }

    /// The one that is ahead; after [`Marks::open`] it stands at its first record.
    pub fn into_ahead(mut self) -> Option<M> {
        self.open.iter_mut().find_map(Option::take)
    }

    /// Records the phase in each. Errors: one of them cannot be written, so that it stays behind
    /// the others.
    pub fn set_phase(&mut self, phase: Phase) -> Result<(), Errno> {
        self.put(Some(mark::PHASE_AT), &[phase as u8])
    }

    /// Notes what became of the filesystem whose record begins `at` there. Errors: as
    /// [`Marks::set_phase`].
    pub fn set_record(&mut self, at: u64, state: RecordState) -> Result<(), Errno> {
        self.put(Some(at), &[state as u8])
    }

    /// Puts the beginning of the path in the record `at` there into `shown`, for an error text.
    pub fn show_record(&mut self, at: u64, shown: &mut Shown) {
        mark::show_record(self.open.iter_mut().flatten().next(), at, shown);
    }
}

/// The boot that the guest is in, if that is known.
pub fn boot<P: Freeze>(platform: &mut P) -> [u8; 36] {
    let mut id = mark::NO_BOOT;
    if platform.boot_id(&mut id).is_err() {
        id = mark::NO_BOOT;
    }
    id
}
