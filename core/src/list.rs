//! Texts of the guest, whole or line by line, and what a list needs between two pieces of its
//! reply: the text that it is read from, and room for what it has read.

use crate::errno::Errno;
use crate::limits::{ELEMENTS_BYTES, LIST_BYTES, SYSFS_PATH_BYTES_MAX};
use crate::lines::{Scan, read};
use crate::platform::{Dump, Network, Room, Texts};
use crate::writer::Writer;

/// A list on its way into a reply. One at a time: replies come one after the other.
#[repr(C)]
pub struct List<P: Texts + Network> {
    scan: Scan,
    text: Option<P::Text>,
    /// Where the interfaces stand, and the addresses of one of them.
    pub links: P::Dump,
    /// As above.
    pub addresses: P::Dump,
    room: P::Room,
    /// What of the memory that the last lists took was not given back yet.
    used: Used,
}

/// Parts of memory, one after the other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Used {
    Nothing,
    Room,
    RoomAndWindow,
}

impl<P: Texts + Network> List<P> {
    /// Whether lists are read here, and not only by copies of the agent.
    pub const READ: bool = P::INFO || P::USERS || P::LOAD || P::CPUS || P::MEMORY;

    /// None. All zero.
    pub const NEW: Self = List {
        scan: Scan::new(0),
        text: None,
        links: P::Dump::NEW,
        addresses: P::Dump::NEW,
        room: P::Room::NEW,
        used: Used::Nothing,
    };

    /// Begins a list that is read from the text `path`, line by line. Errors: the text cannot be
    /// opened.
    pub fn open(&mut self, platform: &mut P, path: &[u8]) -> Result<(), Errno> {
        self.scan = Scan::new(b'\n');
        self.text = None;
        self.text = Some(platform.text(path)?);
        Ok(())
    }

    /// The next line of it. After the last one [`List::ended`] says whether it was that.
    pub fn line(&mut self) -> Option<&mut [u8]> {
        self.used = Used::RoomAndWindow;
        let Self { scan, text, room, .. } = self;
        let (room, _) = halves(room.bytes());
        scan.line(text.as_mut()?, room)
    }

    /// Whether there is no next line because the text has ended. Errors: those of reading.
    pub fn ended(&self) -> Result<(), Errno> {
        self.scan.ended()
    }

    /// Its room, for a list that is not read from one text.
    pub fn room(&mut self) -> &mut [u8] {
        self.used = Used::RoomAndWindow;
        halves(self.room.bytes()).0
    }

    /// The same, for a list that a copy of the agent makes: for a line of a text, for what is kept
    /// in mind of it, and [`ELEMENTS_BYTES`]. Most of that is not touched in the agent itself.
    pub fn rooms(&mut self) -> [&mut [u8]; 3] {
        let (room, line) = halves(self.room.bytes());
        let (elements, known) = room.split_at_mut_checked(ELEMENTS_BYTES).unwrap_or_default();
        [line, known, elements]
    }

    /// Keeps in mind whose numbers were in the list, in its room: there are none yet.
    pub fn forget(&mut self) {
        if let Some(count) = self.room().first_chunk_mut() {
            *count = 0u32.to_ne_bytes();
        }
    }

    /// Whether a number was not in the list yet; now it is.
    pub fn is_new(&mut self, number: u32) -> bool {
        is_new(self.room(), number)
    }

    /// The memory that lists took, part by part, when none is on its way any more: what they were
    /// read into, and, of the window that is handed in, what an ordinary reply leaves alone. Its
    /// content does not matter.
    pub fn reclaim<'w>(&'w mut self, window: &'w mut [u8]) -> Option<&'w mut [u8]> {
        match self.used {
            Used::Nothing => None,
            Used::RoomAndWindow => {
                self.used = Used::Room;
                Some(window)
            }
            Used::Room => {
                self.used = Used::Nothing;
                Some(self.room.bytes())
            }
        }
    }

    /// The list has ended, or nobody waits for it any more.
    pub fn close(&mut self) {
        self.text = None;
        self.links.close();
        self.addresses.close();
    }
}

/// The room of lists, and what is left for those that copies make.
#[inline(never)]
fn halves(room: &mut [u8]) -> (&mut [u8], &mut [u8]) {
    let len = room.len().min(LIST_BYTES);
    room.split_at_mut_checked(len).unwrap_or_default()
}

/// Whether a number was not among those kept in `room` yet; now it is. More than fit are all new.
#[inline(never)]
pub fn is_new(room: &mut [u8], number: u32) -> bool {
    // How many there are stands before them.
    let (places, _) = room.as_chunks_mut();
    let Some((count, places)) = places.split_first_mut() else { return true };
    let known = u32::from_ne_bytes(*count);
    let number = number.to_ne_bytes();
    if places.iter().take(known as usize).any(|place| *place == number) {
        return false;
    }
    if let Some(place) = places.get_mut(known as usize) {
        *place = number;
        *count = (known + 1).to_ne_bytes();
    }
    true
}

/// Reads a short text whole. Errors: it cannot be opened or read; EOVERFLOW for one that fills
/// `into`, and so may be longer.
#[inline(never)]
pub fn whole<'b, P: Texts>(
    platform: &mut P,
    path: &[u8],
    into: &'b mut [u8],
) -> Result<&'b mut [u8], Errno> {
    let mut text = platform.text(path)?;
    let mut len = 0;
    while let Some(free) = into.get_mut(len..).filter(|free| !free.is_empty()) {
        match read(&mut text, free)? {
            0 => return into.get_mut(..len).ok_or(Errno::OVERFLOW),
            more => len += more as usize,
        }
    }
    Err(Errno::OVERFLOW)
}

/// Reads a short text whole, whose path has a number in it: `before`, the number, `after`. Errors:
/// as [`whole`].
#[inline(never)]
pub fn numbered<'b, P: Texts>(
    platform: &mut P,
    before: &str,
    number: u64,
    after: &str,
    into: &'b mut [u8],
) -> Result<&'b [u8], Errno> {
    let mut path = [0; SYSFS_PATH_BYTES_MAX];
    let mut path = Writer::new(&mut path);
    path.ascii(before);
    path.unsigned(number);
    path.ascii(after);
    whole(platform, path.written(), into).map(|text| &*text)
}
