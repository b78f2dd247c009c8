//! What the client knows: what it has opened, read and written comes in; how each request on a file
//! must be answered goes out, or nothing where that cannot be known. Invariant: no handle is given
//! out twice.

use crate::guest::PATHS;
use qga_sim::World;

/// An open file.
#[derive(Clone, Copy, Debug)]
pub struct OpenFile {
    /// Its handle.
    pub handle: i64,
    /// Its path, as a place in [`PATHS`].
    pub path: usize,
    /// How it was opened.
    pub mode: Mode,
    /// Where it stands; not known after a reply that was lost.
    pub position: Option<u64>,
}

/// The meaning of an fopen(3) mode, read by other rules than the core's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mode {
    /// Whether it can be read from.
    pub reads: bool,
    /// Whether it can be written to.
    pub writes: bool,
    /// Whether a missing file is made.
    pub creates: bool,
    /// Whether the file is emptied.
    pub empties: bool,
    /// Whether writes go to the end.
    pub appends: bool,
}

impl Mode {
    /// The meaning of a mode, if it has one.
    pub fn new(text: &str) -> Option<Mode> {
        let both = text.contains('+');
        let first = text.chars().next()?;
        "rwa".contains(first).then_some(Mode {
            reads: both || first == 'r',
            writes: both || first != 'r',
            creates: first != 'r',
            empties: first == 'w',
            appends: first == 'a',
        })
    }
}

/// What kind of file a path leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Bytes.
    Regular,
    /// A pipe: what comes out of it is not foretold.
    Fifo,
    /// /dev/full.
    Full,
    /// A folder.
    Folder,
    /// None that could be opened.
    Closed,
}

/// The kind of file behind [`PATHS`].
pub fn kind(path: usize) -> Kind {
    match PATHS[path] {
        "/d/fifo" => Kind::Fifo,
        "/dev/full" => Kind::Full,
        "/d" => Kind::Folder,
        "/d/denied/x" | "/d/missing/x" => Kind::Closed,
        _ => Kind::Regular,
    }
}

/// What is known.
#[derive(Debug)]
pub struct Model {
    /// The files that the client opened.
    pub files: Vec<OpenFile>,
    /// Every handle ever given out is below this.
    pub next_handle: i64,
    /// Whether no other handles are open than these.
    pub complete: bool,
    /// What each file must hold.
    contents: [Option<Vec<u8>>; PATHS.len()],
}

impl Model {
    /// What a client knows of a guest that it has not spoken to.
    pub fn new(world: &World) -> Self {
        let contents = PATHS.map(|path| world.files.bytes(path));
        Model { files: Vec::with_capacity(8), next_handle: 1000, complete: true, contents }
    }

    /// The file of a handle.
    pub fn file(&mut self, handle: i64) -> Option<&mut OpenFile> {
        self.files.iter_mut().find(|file| file.handle == handle)
    }

    /// What a file must hold.
    pub fn content(&self, path: usize) -> Option<&[u8]> {
        self.contents[path].as_deref()
    }

    /// Takes over what a file holds, after something of which the outcome is not known.
    pub fn look_again(&mut self, world: &World, path: usize) {
        self.contents[path] = world.files.bytes(PATHS[path]);
    }

    /// The same for all files.
    pub fn look_at_all(&mut self, world: &World) {
        (0..PATHS.len()).for_each(|path| self.look_again(world, path));
    }

    /// Whether opening must work, as far as that is known; no call fails by the plan.
    pub fn opens(&self, path: usize, mode: Mode) -> Option<bool> {
        Some(match kind(path) {
            Kind::Closed => false,
            Kind::Full => true,
            Kind::Folder => !mode.writes,
            Kind::Fifo if mode.writes && !mode.reads => {
                let reader = |file: &OpenFile| file.path == path && file.mode.reads;
                let found = self.files.iter().any(reader);
                return (found || self.complete).then_some(found);
            }
            Kind::Fifo => true,
            Kind::Regular if PATHS[path] == "/d/read-only" => !mode.writes,
            Kind::Regular => mode.creates || self.contents[path].is_some(),
        })
    }

    /// A new handle: never one that was given out before.
    pub fn opened(&mut self, handle: i64, path: usize, mode: Mode) {
        assert!(handle >= self.next_handle, "handle {handle} was given out before");
        self.next_handle = handle + 1;
        let position = (kind(path) == Kind::Regular).then_some(0);
        if position.is_some() && (mode.empties || self.contents[path].is_none()) {
            self.contents[path] = Some(Vec::new());
        }
        self.files.push(OpenFile { handle, path, mode, position });
    }

    /// How many bytes a write of `len` must take, with room for `free` more on the disk; nothing
    /// for one that must fail, or of which the outcome is not known.
    pub fn takes(&self, file: &OpenFile, len: usize, free: u64) -> Option<Result<usize, ()>> {
        if len == 0 {
            return Some(Ok(0));
        }
        if !file.mode.writes {
            return Some(Err(()));
        }
        let at = match kind(file.path) {
            Kind::Full => return Some(Err(())),
            Kind::Regular if file.mode.appends => self.contents[file.path].as_ref()?.len() as u64,
            Kind::Regular => file.position?,
            _ => return None,
        };
        const LARGEST: u64 = 64 * 1024 * 1024;
        let room = self.contents[file.path].as_ref()?.len() as u64 + free;
        let end = at.saturating_add(len as u64).min(room).min(LARGEST);
        Some(if end > at { Ok((end - at) as usize) } else { Err(()) })
    }

    /// These bytes were written.
    pub fn wrote(&mut self, handle: i64, bytes: &[u8]) {
        let Some(file) = self.files.iter_mut().find(|file| file.handle == handle) else { return };
        let Some(content) = &mut self.contents[file.path] else { return };
        let at = if file.mode.appends { Some(content.len() as u64) } else { file.position };
        let (Some(at), false) = (at, bytes.is_empty()) else { return };
        let (at, end) = (at as usize, at as usize + bytes.len());
        if content.len() < end {
            content.resize(end, 0);
        }
        content[at..end].copy_from_slice(bytes);
        file.position = Some(end as u64);
    }

    /// What a read of `count` bytes must give, if that is known: the bytes and whether the end was
    /// met.
    pub fn gives(&self, file: &OpenFile, count: usize) -> Option<(&[u8], bool)> {
        let content = self.contents[file.path].as_deref()?;
        let start = usize::try_from(file.position?).unwrap_or(usize::MAX).min(content.len());
        let end = start.saturating_add(count).min(content.len());
        Some((&content[start..end], end - start < count))
    }

    /// Where a seek must lead; nothing when it must fail.
    pub fn leads(&self, file: &OpenFile, offset: i64, whence: u8) -> Option<Option<u64>> {
        let from = match whence {
            0..=2 if kind(file.path) != Kind::Regular => return None,
            0 => 0,
            1 => i64::try_from(file.position?).ok()?,
            2 => self.contents[file.path].as_ref()?.len() as i64,
            _ => return Some(None),
        };
        Some(from.checked_add(offset).and_then(|at| u64::try_from(at).ok()))
    }

    /// Compares a file with what it must hold.
    pub fn compare(&self, world: &World, path: usize) {
        let same = world.files.look(PATHS[path], |bytes| self.content(path) == Some(bytes));
        let same = same.unwrap_or(self.content(path).is_none());
        assert!(same, "{} does not hold what was written to it", PATHS[path]);
    }
}
