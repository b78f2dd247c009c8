//! The words of a program: what a request says of it in; out, in one room, what execve(2) wants,
//! and one after the other the paths at which the program may be.
//!
//! ```text
//!  | shell | words ... | null | variables ... | null |  texts, each with a NUL  | a path |
//! ```

use crate::bytes::{copy, put};
use crate::errno::Errno;
use crate::json::lists::Strings;
use crate::limits::PROGRAM_FOLDERS;
use crate::platform::{Exec, Packed};

/// What runs a file that is no program and names none (execvp(3)).
const SHELL: &[u8] = b"/bin/sh";

/// The variable that says where else.
const SEARCH_VARIABLE: &[u8] = b"PATH=";

const POINTER_BYTES: usize = size_of::<usize>();

/// A program as somebody asks for it.
#[derive(Clone, Copy)]
pub struct Program<'a> {
    /// Its path, or a name to look for. The program's first word is the same.
    pub path: &'a [u8],
    /// The words after that.
    pub arguments: Strings<'a>,
    /// Its environment; without one it has the agent's.
    pub variables: Option<Strings<'a>>,
    /// Where the agent would look for it.
    pub search: Option<&'static [u8]>,
}

/// Where in the room what lies.
struct Places {
    packed: Packed,
    /// The folders to look in, if they are those of the program's own environment.
    search: Option<(usize, usize)>,
    shell: usize,
}

impl Program<'_> {
    /// Room enough for all of it; where it is not touched it costs nothing.
    pub fn room_bytes(&self) -> usize {
        let variables = self.variables.unwrap_or(Strings::NONE);
        let pointers = self.arguments.count_max() + variables.count_max() + 4;
        let texts = SHELL.len() + self.path.len() + self.arguments.bytes_max();
        let search = self.search().len() + variables.bytes_max() + self.path.len();
        pointers * POINTER_BYTES + texts + variables.bytes_max() + search + 4
    }

    fn search(&self) -> &'static [u8] {
        self.search.unwrap_or(PROGRAM_FOLDERS)
    }

    /// Becomes the program, in a child. Errors: as execvp(3): where it is not there, or may not be
    /// executed, it may be in the next folder; any other error is that of the program.
    pub fn become_it<P: Exec>(&self, platform: &mut P, room: &mut [u8]) -> Result<(), Errno> {
        let mut places = self.pack(room);
        let (mut next, mut failed) = (Some(0), Errno::NOENT);
        while let Some(start) = next {
            next = self.candidate(room, &places, start);
            let errno = match platform.execute(room, places.packed) {
                // A script that does not say what runs it.
                Err(Errno::NOEXEC) => return self.run_by_shell(platform, room, &mut places),
                Ok(()) => return Ok(()),
                Err(errno) => errno,
            };
            match errno {
                Errno::ACCES => failed = errno,
                Errno::NOENT | Errno::STALE | Errno::NOTDIR | Errno::NODEV | Errno::TIMEDOUT => {
                    if failed != Errno::ACCES {
                        failed = errno;
                    }
                }
                _ => return Err(errno),
            }
        }
        Err(failed)
    }

    /// The shell takes the place of the program, and that of the program's path.
    fn run_by_shell<P: Exec>(
        &self,
        platform: &mut P,
        room: &mut [u8],
        places: &mut Places,
    ) -> Result<(), Errno> {
        let (shell, script) = (places.shell, places.packed.path);
        point(room, 0, Some(shell));
        point(room, POINTER_BYTES, Some(script));
        places.packed.path = shell;
        places.packed.words = 0;
        platform.execute(room, places.packed)
    }

    /// Packs all that is known from the beginning.
    #[inline(never)]
    fn pack(&self, room: &mut [u8]) -> Places {
        let variables = self.variables.unwrap_or(Strings::NONE);
        let pointers = self.arguments.count_max() + variables.count_max() + 4;
        let mut text = pointers * POINTER_BYTES;
        // Before the words there is room for the shell's.
        let words = POINTER_BYTES;
        let mut pointer = words;
        let mut search = None;
        point_next(room, &mut pointer, text);
        put_text(room, &mut text, self.path.iter().copied());
        for word in self.arguments.iter() {
            point_next(room, &mut pointer, text);
            put_text(room, &mut text, word);
        }
        pointer += POINTER_BYTES;
        let environment = pointer;
        for variable in variables.iter() {
            point_next(room, &mut pointer, text);
            let start = text;
            put_text(room, &mut text, variable);
            let written = room.get(start..text).unwrap_or(&[]);
            if search.is_none() && written.starts_with(SEARCH_VARIABLE) {
                search = Some((start + SEARCH_VARIABLE.len(), text - 1));
            }
        }
        let shell = text;
        put_text(room, &mut text, SHELL.iter().copied());
        let variables = self.variables.map(|_| environment);
        Places { packed: Packed { path: text, words, variables }, search, shell }
    }

    /// Writes the path of the program in the folder that stands at `start` of those to look in, or
    /// its own; where the next one stands, if there is one.
    #[inline(never)]
    fn candidate(&self, room: &mut [u8], places: &Places, start: usize) -> Option<usize> {
        let (front, path) = room.split_at_mut_checked(places.packed.path).unwrap_or_default();
        let searched = !self.path.is_empty() && self.path.iter().all(|&byte| byte != b'/');
        let all = match places.search {
            _ if !searched => &[],
            Some((start, end)) => front.get(start..end).unwrap_or(&[]),
            None => self.search(),
        };
        let rest = all.get(start..).unwrap_or(&[]);
        let end = rest.iter().position(|&byte| byte == b':');
        let folder = rest.get(..end.unwrap_or(rest.len())).unwrap_or(&[]);
        let mut len = copy(path, folder);
        // No folder is the present one.
        if len > 0 {
            put(path, &mut len, b'/'.into());
        }
        len += copy(path.get_mut(len..).unwrap_or(&mut []), self.path);
        put(path, &mut len, 0);
        end.map(|end| start + end + 1)
    }
}

/// Writes the address of what lies at `to`, or none.
fn point(room: &mut [u8], at: usize, to: Option<usize>) {
    let address = to.map_or(0, |to| room.as_ptr().addr().wrapping_add(to));
    if let Some(place) = room.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *place = address.to_ne_bytes();
    }
}

#[inline(never)]
fn point_next(room: &mut [u8], at: &mut usize, to: usize) {
    point(room, *at, Some(to));
    *at += POINTER_BYTES;
}

/// Writes a text, ended by a NUL. There is none in it: see [`crate::json::text`].
fn put_text(room: &mut [u8], at: &mut usize, text: impl Iterator<Item = u8>) {
    for byte in text {
        put(room, at, byte.into());
    }
    put(room, at, 0);
}
