//! What outlives an agent, as data: what it saves and what others put there come in, what the next
//! one finds goes out: the saved state, the frozen mark in two places in memory, the identity of
//! the boot.
//!
//! A place can be full, be covered by another mount, or hold something that an agent must not
//! trust.

use crate::random::Random;
use qga_core::Errno;
use qga_core::internals::mark::MAGIC;
use std::cell::RefCell;
use std::rc::{Rc, Weak};

/// The bytes of a mark, which stay for those that have it open when it is replaced or removed.
pub(crate) type MarkBytes = Rc<RefCell<Vec<u8>>>;

/// In how many places marks can lie.
pub const PLACES: usize = 2;

/// A place for marks.
#[derive(Debug)]
pub struct Place {
    /// How large a mark may become before the place is full.
    pub bytes_max: usize,
    /// Why no mark can be begun in it: no more files (ENOSPC), a folder of that name (EEXIST), no
    /// such place (EOPNOTSUPP).
    pub create_error: Option<Errno>,
    /// What has the mark's name is nothing that an agent may trust: a link, a FIFO, somebody else's
    /// file. It is as if it were not there until a mark takes its name.
    pub planted: bool,
    mark: Option<MarkBytes>,
    begun: Option<MarkBytes>,
    /// Another mount is over it: the agent that holds it open goes on, the next one finds an empty
    /// place.
    covered: bool,
}

impl Place {
    fn new() -> Self {
        Place {
            bytes_max: usize::MAX,
            create_error: None,
            planted: false,
            mark: None,
            begun: None,
            covered: false,
        }
    }
}

/// What outlives an agent.
#[derive(Debug)]
pub struct Store {
    /// The saved state, if there is one.
    pub state: Option<Vec<u8>>,
    /// Which boot this is; the guest reboots by changing it.
    pub boot_id: [u8; 36],
    /// Where marks lie; what is written first is in the first.
    pub places: [Place; PLACES],
    /// How many marks were begun in this guest.
    pub marks_begun: usize,
    /// The lock of the agent that lives, if one does.
    lock: Weak<()>,
}

impl Store {
    pub(crate) fn new(random: &mut Random) -> Self {
        let mut boot_id = [b'-'; 36];
        for (at, digit) in boot_id.iter_mut().enumerate() {
            if ![8, 13, 18, 23].contains(&at) {
                *digit = b"0123456789abcdef"[random.below(16) as usize];
            }
        }
        let places = std::array::from_fn(|_| Place::new());
        Store { state: None, boot_id, places, marks_begun: 0, lock: Weak::new() }
    }

    /// The frozen mark that speaks: the first that an agent like this one wrote, else the first.
    pub fn mark(&self) -> Option<Vec<u8>> {
        let marks: Vec<_> = (0..PLACES).filter_map(|place| self.mark_in(place)).collect();
        let ours = marks.iter().find(|mark| mark.starts_with(MAGIC));
        ours.or(marks.first()).cloned()
    }

    /// The frozen mark in one place.
    pub fn mark_in(&self, place: usize) -> Option<Vec<u8>> {
        self.open_mark(place).ok().map(|bytes| bytes.borrow().clone())
    }

    /// Whether there is a frozen mark in force.
    pub fn is_marked(&self) -> bool {
        (0..PLACES).any(|place| self.open_mark(place).is_ok())
    }

    /// Puts a mark in force as the only one, or removes all, as somebody who is not this agent.
    pub fn set_mark(&mut self, bytes: Option<&[u8]>) {
        self.places.iter_mut().for_each(|place| place.mark = None);
        self.set_mark_in(0, bytes);
    }

    /// Puts a mark in force in one place, or removes it from there, as somebody who is not this
    /// agent.
    pub fn set_mark_in(&mut self, place: usize, bytes: Option<&[u8]>) {
        self.places[place].mark = bytes.map(|bytes| Rc::new(RefCell::new(bytes.to_vec())));
        self.places[place].planted = false;
    }

    /// Mounts something over a place. The agent that runs holds the place open and goes on.
    pub fn cover(&mut self, place: usize) {
        self.places[place].covered = true;
    }

    /// Whoever has the state directory is killed.
    pub(crate) fn release(&mut self) {
        self.lock = Weak::new();
    }

    /// An agent takes the state directory for itself; what it gets is the lock, which ends with it.
    /// Errors: EBUSY, an agent that lives has it.
    pub(crate) fn claim(&mut self) -> Result<Rc<()>, Errno> {
        if self.lock.strong_count() > 0 {
            return Err(Errno::BUSY);
        }
        let lock = Rc::new(());
        self.lock = Rc::downgrade(&lock);
        self.look_anew();
        Ok(lock)
    }

    /// An agent starts: it sees what is mounted over the places by now.
    fn look_anew(&mut self) {
        for place in self.places.iter_mut().filter(|place| place.covered) {
            *place = Place::new();
        }
    }

    pub(crate) fn begin_mark(&mut self, place: usize) -> Result<MarkBytes, Errno> {
        let place = &mut self.places[place];
        if let Some(errno) = place.create_error {
            return Err(errno);
        }
        self.marks_begun += 1;
        Ok(Rc::clone(place.begun.insert(MarkBytes::default())))
    }

    pub(crate) fn publish_mark(&mut self, place: usize) -> Result<(), Errno> {
        let place = &mut self.places[place];
        place.mark = Some(place.begun.take().ok_or(Errno::NOENT)?);
        place.planted = false;
        Ok(())
    }

    pub(crate) fn open_mark(&self, place: usize) -> Result<MarkBytes, Errno> {
        let trusted = self.places[place].mark.as_ref().filter(|_| !self.places[place].planted);
        trusted.map(Rc::clone).ok_or(Errno::NOENT)
    }

    pub(crate) fn remove_mark(&mut self, place: usize) -> Result<(), Errno> {
        let place = &mut self.places[place];
        place.begun = None;
        place.planted = false;
        place.mark.take().map(drop).ok_or(Errno::NOENT)
    }

    pub(crate) fn load(&self, into: &mut [u8]) -> Result<usize, Errno> {
        let state = self.state.as_ref().ok_or(Errno::NOENT)?;
        let len = state.len().min(into.len());
        into[..len].copy_from_slice(&state[..len]);
        Ok(len)
    }
}
