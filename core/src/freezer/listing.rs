//! What is to be frozen: the mount table comes in, one entry and one record of the mark for each
//! local superblock go out, held open wherever a path leads to it. What no path leads to goes into
//! the log, or is an error.

use super::failure::UNKNOWN;
use super::stack::height;
use super::telling::tell_about;
use super::wanted::Wanted;
use super::worker::hold;
use super::{Freezer, GONE, HIDDEN, Marks};
use crate::errno::Errno;
use crate::lines::Lines;
use crate::mark::{self, Record, RecordState};
use crate::mountinfo::{Local, each_local, local};
use crate::platform::{Clock, Device, Failure, Freeze, Level, Log, Place, Strings, What};

impl<F> Freezer<F> {
    /// Puts every freezable local filesystem that is wanted into `entries` and into the mark, each
    /// after what it lies on, and else in mount order: the table is read once for each height at
    /// which something lies. What is hidden is in the log then, and the first of it in `subject`,
    /// with the reason in `hidden`.
    pub(super) fn list<P: Freeze<Filesystem = F> + Clock + Log>(
        &mut self,
        platform: &mut P,
        mark: &mut Marks<P::Mark>,
        only: Option<Strings<'_>>,
    ) -> Result<(), Failure> {
        let mut wanted = Wanted::new(only)?;
        let marked = |errno| Failure(What::Mark, Some(errno));
        let mut record = self.begin_mark(platform, mark)?;
        let Self { entries, subject, line, record: second_line, strict, hidden, .. } = self;
        *hidden = None;
        let unread = |errno| Failure(What::Table, Some(errno));
        let mut level = 0;
        while level != usize::MAX {
            let mut next_level = usize::MAX;
            // Not by `each_local`, which `find` goes through in the middle of this.
            let mut lines = Lines::new(platform.mounts().map_err(unread)?, b'\n', line);
            while let Some(line) = lines.line() {
                let Some(mount) = local(line) else { continue };
                let Local { superblock, path, .. } = mount;
                let listed = entries.iter().any(|entry| entry.place.superblock == superblock);
                if listed || !wanted.takes(platform, second_line, &mount).map_err(unread)? {
                    continue;
                }
                let height = height(platform, superblock, record, path);
                if height > level {
                    next_level = next_level.min(height);
                    continue;
                }
                // It was said when its turn was: now it would freeze before what lies on it.
                if height < level && hidden.is_some() {
                    continue;
                }
                let opened = reach(platform, &mount, record).or_else(|errno| {
                    // Its place in the order is this one all the same.
                    find(platform, second_line, superblock, record)
                        .map_err(|other| if other.is_short() { other } else { errno })
                });
                let is_hidden = opened.as_ref().err().is_some_and(|&errno| is_hidden(errno));
                match opened {
                    Ok(filesystem) => {
                        let text = Record { state: RecordState::Listed, superblock, path };
                        let place =
                            Place { superblock, record, frozen: false, busy: false, unsure: false };
                        record += text.append(|bytes| mark.append(bytes)).map_err(marked)?;
                        hold(platform, entries, place, filesystem)?;
                    }
                    // Nobody writes to it.
                    Err(_) if is_hidden && mount.read_only => {}
                    Err(errno) => {
                        if hidden.is_none() || !is_hidden {
                            mark::show(path, subject);
                        }
                        if !is_hidden || *strict {
                            let what = if is_hidden { What::Hidden } else { What::Open };
                            return Err(Failure(what, Some(errno)));
                        }
                        hidden.get_or_insert(errno);
                        platform.log_of(Level::Warning, &[HIDDEN.phrase(), phrase!(" ")], path);
                    }
                }
            }
            lines.ended().map_err(unread)?;
            level = next_level;
        }
        self.say_missing(platform, &wanted)
    }

    /// What was named and is no filesystem's first mount goes into the log, or is an error.
    #[inline(never)]
    fn say_missing<P: Freeze<Filesystem = F> + Log>(
        &mut self,
        platform: &mut P,
        wanted: &Wanted<'_>,
    ) -> Result<(), Failure> {
        let mut from = 0;
        while let Some((number, len)) = wanted.missing(from, &mut self.line) {
            let path = self.line.get(..len).unwrap_or(&[]);
            if self.strict {
                mark::show(path, &mut self.subject);
                return Err(Failure(What::Unknown, Some(Errno::NOENT)));
            }
            platform.log_of(Level::Warning, &[UNKNOWN.phrase(), phrase!(" ")], path);
            from = number + 1;
        }
        Ok(())
    }
}

/// Opens a superblock at the first place where it is mounted and a path leads to it. Errors:
/// [`GONE`] when it is mounted nowhere; EBUSY when each of its places is hidden; why the table or
/// its last place cannot be read. A worker tells about it by `key`.
pub(super) fn find<P: Freeze + Clock>(
    platform: &mut P,
    line: &mut [u8],
    superblock: Device,
    key: u64,
) -> Result<P::Filesystem, Errno> {
    let mut found = Err(GONE);
    each_local(platform, line, &mut |platform, mount| {
        if mount.superblock == superblock {
            found = reach(platform, &mount, key).map_err(not_gone);
        }
        found.is_err()
    })
    .map_err(not_gone)
    .and(found)
}

/// Why something cannot be read that is there.
fn not_gone(errno: Errno) -> Errno {
    if matches!(errno, GONE | Errno::NOENT | Errno::NOTDIR) { Errno::BUSY } else { errno }
}

/// Opens a filesystem where it is mounted. Errors: EBUSY when the path leads elsewhere;
/// ENAMETOOLONG when it is not known whole; why it cannot be looked at or opened.
pub(super) fn reach<P: Freeze + Clock>(
    platform: &mut P,
    mount: &Local<'_>,
    key: u64,
) -> Result<P::Filesystem, Errno> {
    if mount.cut {
        return Err(Errno::NAMETOOLONG);
    }
    tell_about(platform, What::Open, key, mount.path);
    let inode = platform.inspect(mount.path)?;
    if inode.plain && mount.is_on(inode) {
        let filesystem = platform.open_mount(mount.path)?;
        // Since the look it may have been unmounted: then this is what it was mounted on.
        if mount.is_on(platform.inspect_open(&filesystem)?) {
            return Ok(filesystem);
        }
    }
    Err(Errno::BUSY)
}

/// Whether no path leads to a filesystem that is there: another mount covers it, or its place is
/// hidden by one or by rights.
fn is_hidden(errno: Errno) -> bool {
    matches!(errno, Errno::BUSY | Errno::NOENT | Errno::NOTDIR | Errno::ACCES)
}
