//! The files that outlive an agent: the handle number and the frozen mark, in directories that only
//! root or this user can have made or can write to. Each is locked for life, so that two agents
//! never share one. Files are replaced by renaming, so that they are whole at any moment.
//!
//! Without `-t` the directories are `/run/qga` and `/dev/.qga`; the state goes to the first, the
//! mark to both. With `-t` the state goes there, the mark as well if that is in memory; and the
//! mark goes to the other two under a name that comes from the directory's own.

mod claim;
mod trust;

pub use claim::Refused;

use crate::fd::Fd;
use crate::path::PathBuffer;
use crate::sys;
use claim::{Key, claim};
use core::ffi::CStr;
use core::mem::ManuallyDrop;
use linux_raw_sys::general::S_IFDIR;
use qga_core::Errno;
use qga_core::limits::MARK_PLACES_MAX;
use rustix::fs::OFlags;
use trust::{
    UNTRUSTED, create, directory, filesystem, found_or_made, in_memory, keeps_what_is_in_it,
    of_what_is_open, open_old, rename, trusted, unlink,
};

const STATE: &CStr = c"qga.state";
const STATE_NEW: &CStr = c"qga.state.new";

/// The place of `-t`.
const NAMED: usize = 0;
/// The first usual place; the second is the one after it.
const FIRST: usize = 1;
/// The place of the reference agent's files, as of this one's in former times.
const REFERENCE: usize = 3;
const _: () = assert!(MARK_PLACES_MAX == 4);

/// Where the state usually is.
pub const USUAL_DIR: &CStr = c"/run/qga";
/// The usual places, each after the directory that it lies in.
static USUAL: [(&CStr, &CStr); 2] = [(c"/run", USUAL_DIR), (c"/dev", c"/dev/.qga")];

/// The directories of the state.
pub struct StateDir {
    /// Open for as long as the process lives, but for [`REFERENCE`].
    places: [Option<ManuallyDrop<Fd>>; MARK_PLACES_MAX],
    /// What the mark is called in the usual places.
    key: Key,
    /// The file whose bytes are locked, in one of the directories; open for as long as the process
    /// lives.
    lock: Option<ManuallyDrop<Fd>>,
    /// What is wrong with one of them. It is said when nothing is frozen: standard error may be a
    /// file on a disk.
    pub refused: Refused,
    /// That of `-t`.
    named: Option<&'static CStr>,
    /// Whether there is a directory, and nobody else has one of them.
    usable: bool,
}

/// Whether the directory of `path` is in memory, so that a file can be made there while disks are
/// frozen.
pub fn is_beside_memory(path: &CStr, room: &mut PathBuffer) -> bool {
    let path = path.to_bytes();
    let slash = path.iter().rposition(|&byte| byte == b'/');
    let parent = slash.map_or(&b"."[..], |at| &path[..=at]);
    room.path(parent).and_then(directory).is_ok_and(|dir| in_memory(&dir))
}

impl StateDir {
    /// No directory yet.
    pub const fn none() -> Self {
        StateDir {
            places: [const { None }; MARK_PLACES_MAX],
            key: Key::NONE,
            lock: None,
            refused: Refused::nothing(),
            named: None,
            usable: false,
        }
    }

    /// Takes the directory `path`, and the usual ones, for this process alone. `false` when `path`,
    /// or without one each of the usual ones, cannot be trusted or written to, or an agent that
    /// lives has one of them; why stands in `refused`. Who `waits` does so for the end of that
    /// agent.
    #[inline(never)]
    pub fn open(
        &mut self,
        path: Option<&'static CStr>,
        room: &mut PathBuffer,
        waits: bool,
    ) -> bool {
        self.named = path;
        self.usable = self.take(path, room, waits);
        self.usable
    }

    fn take(&mut self, path: Option<&'static CStr>, room: &mut PathBuffer, waits: bool) -> bool {
        let Self { places, key, refused, lock, .. } = self;
        if let Some(path) = path
            && places[NAMED].is_none()
        {
            let dir = trust::named_directory(path, room);
            let dir = claim(refused, path, dir, key, lock, waits);
            // Without a name nobody could tell whose mark lies in a usual place.
            let is_named = dir.as_ref().is_some_and(|dir| key.take(dir, room));
            places[NAMED] = dir.map(ManuallyDrop::new);
            if !is_named {
                return places[NAMED].is_some();
            }
        }
        let named = places[NAMED].as_ref().map_or(0, |dir| filesystem(dir));
        for (place, &(parent, usual)) in places[FIRST..REFERENCE].iter_mut().zip(&USUAL) {
            if place.is_some() {
                // From a try that ended at the other one. The lock is held still.
                continue;
            }
            // An initramfs may not have the parent yet.
            let within = found_or_made(parent, OFlags::empty(), 0o755);
            let within = within.and_then(|dir| keeps_what_is_in_it(&dir));
            let dir = within.and_then(|()| {
                let dir = found_or_made(usual, OFlags::NOFOLLOW, 0o700)?;
                // What fills or covers one filesystem does so to all that is on it: a second place
                // there costs two descriptors for nothing.
                if filesystem(&dir) == named { Err(Errno::EXIST) } else { Ok(dir) }
            });
            let subject = if within.is_ok() { usual } else { parent };
            *place = claim(refused, subject, dir, key, lock, waits).map(ManuallyDrop::new);
            if refused.is_held() {
                refused.path = path.unwrap_or(usual);
                return false;
            }
        }
        if path.is_none() {
            let dir = directory(c"/var/run").or_else(|_| directory(c"/run"));
            let dir = dir.ok().filter(|dir| trusted(dir, S_IFDIR).is_ok());
            places[REFERENCE] = dir.map(ManuallyDrop::new);
        }
        let found = self.places[..REFERENCE].iter().any(Option::is_some);
        if found {
            self.refused.only_untrusted(path);
        }
        found
    }

    /// In a worker: lets every agent see that it is there.
    pub fn show_worker(&self) {
        if let Some(lock) = &self.lock {
            // One before it may linger.
            sys::locks::share_byte(lock, self.key.of_workers());
        }
    }

    /// Whether a worker is there, of this agent or of one that is gone.
    pub fn has_worker(&self) -> bool {
        let holder = |lock: &ManuallyDrop<Fd>| sys::locks::lock_holder(lock, self.key.of_workers());
        self.lock.as_ref().is_some_and(|lock| holder(lock).is_ok_and(|holder| holder.is_some()))
    }

    /// Looks for a directory once more if there is none yet: a guest without one has no state, and
    /// may get one later. Errors: why there is none.
    #[inline(never)]
    pub fn ensure(&mut self, room: &mut PathBuffer, waits: bool) -> Result<(), Errno> {
        if self.usable {
            return Ok(());
        }
        self.forget_reference();
        self.refused = Refused::nothing();
        if self.open(self.named, room, waits) { Ok(()) } else { Err(self.refused.reason()) }
    }

    /// Where the state is.
    fn state(&self) -> Option<&Fd> {
        self.places[..REFERENCE].iter().flatten().next().map(|dir| &**dir)
    }

    /// Whatever lies in the reference agent's place from now on is not this agent's.
    fn forget_reference(&mut self) {
        drop(self.places[REFERENCE].take().map(ManuallyDrop::into_inner));
    }

    /// A place, and what a mark is called there.
    fn place(&self, at: usize) -> Option<(&Fd, &Key)> {
        let key = if at == NAMED || at == REFERENCE { &Key::NONE } else { &self.key };
        Some((self.places.get(at)?.as_ref()?, key))
    }

    /// Opens a file that is there already; what no agent has written is as if it were not there,
    /// and is said.
    fn old(&self, dir: &Fd, name: &CStr, flags: OFlags) -> Result<Fd, Errno> {
        open_old(dir, name, flags).map_err(|errno| {
            if errno != UNTRUSTED {
                return errno;
            }
            self.refused.ignored();
            Errno::NOENT
        })
    }

    /// Reads the state into `into`, or that of the reference agent; ENOENT when there is none.
    pub fn load(&mut self, into: &mut [u8]) -> Result<u32, Errno> {
        let read = |dir| self.old(dir, STATE, OFlags::RDONLY);
        let mut file = self.state().ok_or(Errno::NOENT).and_then(read);
        if let (Err(Errno::NOENT), Some(reference)) = (&file, &self.places[REFERENCE]) {
            // Whatever keeps this one from reading it: it is another agent's.
            file = read(reference).map_err(|_| Errno::NOENT);
        }
        if self.open_mark(REFERENCE).is_err() {
            // What the reference writes there from now on is its own.
            self.forget_reference();
        }
        file?.get(into).map_err(of_what_is_open)
    }

    /// Replaces the state.
    pub fn save(&self, state: &[u8]) -> Result<(), Errno> {
        let dir = self.state().ok_or(Errno::NOENT)?;
        let file = create(dir, STATE_NEW)?;
        let written = file.put(state)?;
        if written as usize != state.len() {
            return Err(Errno::NOSPC);
        }
        rename(dir, STATE_NEW, STATE)
    }

    /// Begins a new mark. Errors: EOPNOTSUPP in a place that is not in memory.
    pub fn create_mark(&self, at: usize) -> Result<Fd, Errno> {
        match self.place(at) {
            Some((dir, key)) if at != REFERENCE && in_memory(dir) => create(dir, key.begun()),
            _ => Err(Errno::OPNOTSUPP),
        }
    }

    /// Puts the new mark in force.
    pub fn publish_mark(&self, at: usize) -> Result<(), Errno> {
        let (dir, key) = self.place(at).ok_or(Errno::NOENT)?;
        rename(dir, key.begun(), key.name())
    }

    /// Opens the mark, for reading and, where it can be, for recording progress.
    pub fn open_mark(&self, at: usize) -> Result<Fd, Errno> {
        let (dir, key) = self.place(at).ok_or(Errno::NOENT)?;
        let flags = if in_memory(dir) { OFlags::RDWR } else { OFlags::RDONLY };
        self.old(dir, key.name(), flags)
    }

    /// Removes the mark, and one that was begun.
    pub fn remove_mark(&mut self, at: usize) -> Result<(), Errno> {
        let (dir, key) = self.place(at).ok_or(Errno::NOENT)?;
        if in_memory(dir) {
            let _ = unlink(dir, key.begun());
        } else {
            // On a disk that others have frozen removing would wait, even for what is not there.
            open_old(dir, key.name(), OFlags::RDONLY)?;
        }
        let removed = unlink(dir, key.name());
        if at == REFERENCE {
            self.forget_reference();
        }
        removed
    }
}
