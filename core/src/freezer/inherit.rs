//! What an agent takes over from one before it: the mark comes in, the filesystems that it lists as frozen are
//! held open again. What cannot be read or found counts as frozen still, and as an error.

use super::listing::find;
use super::{Entry, Found, Freezer, GONE, Marks, NO_LIST, is_no_more_than_gone};
use crate::errno::Errno;
use crate::limits::SPARE_DESCRIPTORS;
use crate::lines::Lines;
use crate::mark::{self, Phase, Row, RowState};
use crate::platform::{Freeze, Log};

impl<F> Freezer<F> {
    /// Takes over from an agent before this one, if its mark is there: see the head of this file.
    pub fn restore<P: Freeze<Filesystem = F> + Log>(&mut self, platform: &mut P) {
        let (found, phase) = {
            let marks = Marks::open(platform);
            (marks.found, marks.phase)
        };
        match found {
            Found::Nothing => return,
            Found::Stale => return self.forget(platform),
            _ => {}
        }
        self.frozen = true;
        self.inherited = true;
        self.listless = found == Found::Foreign;
        if found == Found::Ours && phase != Phase::Frozen {
            // A failure stays on record: the status says so.
            let _ = self.thaw_recorded(platform);
        } else {
            // Descriptors are held from now on, as by the agent that froze; what is gone is an error.
            let missing = self.inherit(platform);
            self.failed = missing.is_some_and(|errno| errno != NO_LIST);
            if missing.is_some_and(Errno::is_short) {
                // The channel, its client and a thaw need some: else nobody could ask for that.
                for _ in 0..SPARE_DESCRIPTORS {
                    drop(self.entries.pop());
                }
            }
        }
    }

    /// Takes over what the mark of an earlier agent lists and this one does not hold yet, as far as it can be
    /// found. Returns why something could not, if so: it is looked for again then.
    pub(super) fn inherit<P: Freeze<Filesystem = F>>(&mut self, platform: &mut P) -> Option<Errno> {
        let missing = match self.inherit_rows(platform) {
            // What else it listed nobody knows any more; what is held is ours all the same.
            Some(NO_LIST) if self.entries.iter().any(|entry| entry.frozen) => Some(GONE),
            missing => missing,
        };
        self.inherited = missing.is_some();
        missing
    }

    fn inherit_rows<P: Freeze<Filesystem = F>>(&mut self, platform: &mut P) -> Option<Errno> {
        mark::show(b"what the frozen mark lists", &mut self.subject);
        let marks = Marks::open(platform);
        if marks.found == Found::Unread {
            return Some(marks.failed);
        }
        let Some(mark) = marks.into_ahead() else { return Some(NO_LIST) };
        let mut missing = None;
        // Why the last row without a result could not be found, and where it is.
        let mut unsure_missing: Option<(Errno, u64)> = None;
        let mut at = mark::HEAD_BYTES as u64;
        let mut lines = Lines::new(mark, mark::ROW_END, &mut self.row);
        loop {
            let line = match lines.line() {
                Ok(Some(line)) => line,
                Ok(None) => {
                    let Some((errno, _)) = unsure_missing else { return missing };
                    if is_no_more_than_gone(missing) {
                        mark::show(b"what the frozen mark lists", &mut self.subject);
                        return Some(errno);
                    }
                    return missing;
                }
                Err(errno) => {
                    // Which of those without a result is the last one is not known: next time anew.
                    self.entries.clear();
                    return Some(errno);
                }
            };
            let row_at = at;
            at += line.len() as u64 + 1;
            let Some(row) = Row::parse(line).filter(|row| row.state != RowState::NotOurs) else {
                continue;
            };
            let unsure = row.state == RowState::Listed;
            if unsure {
                // Freezing went from the last row to the first: of those without a result only the last
                // one can have been frozen before the agent was killed. Those before it get their result: as the
                // last such row, after another kill, one would be taken for frozen. Those that are held get it
                // from the thaw.
                if let Some((_, at)) = unsure_missing.take() {
                    let _ = Marks::open(platform).set_row(at, RowState::NotOurs);
                }
                for entry in self.entries.iter_mut().filter(|entry| entry.unsure) {
                    entry.frozen &= entry.row >= row_at;
                }
            }
            if self.entries.iter().any(|entry| entry.row == row_at) {
                continue;
            }
            match find(platform, &mut self.line, row.superblock) {
                Ok(filesystem) => {
                    let superblock = row.superblock;
                    let (frozen, busy) = (true, false);
                    let entry = Entry { superblock, filesystem, row: row_at, frozen, busy, unsure };
                    // As many fit as were frozen.
                    let _ = self.entries.push(entry);
                }
                Err(errno) if unsure => unsure_missing = Some((errno, row_at)),
                Err(errno) if is_no_more_than_gone(missing) => {
                    mark::show(row.path, &mut self.subject);
                    missing = Some(errno);
                }
                Err(_) => {}
            }
        }
    }
}
