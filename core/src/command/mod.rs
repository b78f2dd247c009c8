//! Calling a command: the text of its arguments in, its typed function run, its value or the way to
//! the rest of its reply out. Which commands there are says [`Table`].
//!
//! A command is a typed function: its argument struct mirrors the schema, its signature names the
//! platform traits and the part of the agent's state that it may touch. [`Call`] does the rest: it
//! reads the arguments, runs the function, writes the value.

pub mod cpus;
pub mod disks;
pub mod diskstats;
pub mod errand;
pub mod exec;
pub mod file;
pub mod filesystems;
pub mod fsfreeze;
pub mod hotplug;
pub mod info;
pub mod keys;
mod listing;
mod making;
pub mod memory;
pub mod network;
pub mod passwords;
pub mod power;
mod schema;
mod seconds;
pub mod suspend;
pub mod sync;
pub mod system;
mod table;
pub mod time;
pub mod trim;
pub mod users;

use errand::Desk;
pub(crate) use listing::left_out;
pub use schema::{Command, Needs};
pub use table::{Row, Table};

use crate::error::{Error, Raised, Slot};
use crate::json::read;
use crate::limits::ERRAND_MS_MAX;
use crate::platform::Platform;
use crate::response::{Cursor, Piece, RETURN};
use crate::shutdown::Progress;
use crate::state::State;
use crate::task::Make;
use crate::writer::Writer;
use serde::{Deserialize, Serialize};

/// The arguments of a command that has none.
#[derive(Deserialize)]
pub struct Nothing {}

/// Asks how work that takes longer is getting on.
pub type Poll<P> = for<'s> fn(&mut P, &'s mut State<P>) -> Progress<'s>;

/// Work that takes longer. All zero for none, but for `poll`.
pub struct Later<P: Platform> {
    /// How it is getting on.
    pub poll: Poll<P>,
    /// Writes what came of it, if success has a reply.
    pub finish: Option<Piece<P>>,
    /// How it goes on when nobody waits for it any more, if the agent is still to follow it.
    pub alone: Option<Poll<P>>,
}

/// How a command's response goes on.
pub enum Reply<P: Platform> {
    /// It is written.
    Value,
    /// The rest comes in pieces of this kind, from [`Call::cursor`] on.
    Pieces(Piece<P>),
    /// The work has begun; ask again.
    Later(Later<P>),
}

/// One command being called.
pub struct Call<'c, 'o, 'w, P: Platform> {
    /// The guest.
    pub platform: &'c mut P,
    /// The agent's state.
    pub state: &'c mut State<P>,
    /// The text of the arguments.
    pub arguments: &'c mut [u8],
    /// Where an error goes.
    pub slot: &'o Slot<'c>,
    /// Where the response goes; [`RETURN`] stands there already.
    pub out: &'o mut Writer<'w>,
    /// For [`Reply::Pieces`]: where they begin.
    pub cursor: &'o mut Cursor,
}

type Done<P> = Result<Reply<P>, Raised>;

impl<'c, P: Platform> Call<'c, '_, '_, P> {
    /// A command that returns a value.
    fn value<A: Deserialize<'c>, R: Serialize>(
        self,
        run: impl FnOnce(&'c mut P, &'c mut State<P>, A) -> Result<R, Error<'c>>,
    ) -> Done<P> {
        let arguments = read::from_text(self.arguments, self.slot)?;
        let value = match run(self.platform, self.state, arguments) {
            Ok(value) => value,
            Err(error) => return Err(self.slot.raise(&error)),
        };
        value.serialize(self.out)?;
        Ok(Reply::Value)
    }

    /// The same after a 0xFF, by which a client finds the reply in a stream it does not know.
    fn delimited<A: Deserialize<'c>, R: Serialize>(self, run: impl FnOnce(A) -> R) -> Done<P> {
        let value = run(read::from_text(self.arguments, self.slot)?);
        self.out.rewind(0);
        self.out.raw(&[0xFF]);
        self.out.ascii(RETURN);
        value.serialize(self.out)?;
        Ok(Reply::Value)
    }

    /// A command whose reply has no bound: `run` says where it begins, `piece` writes it.
    fn pieces<A: Deserialize<'c>>(
        self,
        run: impl FnOnce(&'c mut State<P>, A, &mut Cursor) -> Result<(), Error<'c>>,
        piece: Piece<P>,
    ) -> Done<P> {
        *self.cursor = Cursor::new();
        match run(self.state, read::from_text(self.arguments, self.slot)?, self.cursor) {
            Ok(()) => Ok(Reply::Pieces(piece)),
            Err(error) => Err(self.slot.raise(&error)),
        }
    }

    /// The same of a command without arguments, whose pieces begin by themselves.
    #[inline(never)]
    fn list(self, piece: Piece<P>) -> Done<P> {
        self.pieces(|_, Nothing {}, _| Ok(()), piece)
    }

    /// A list that a copy of the agent makes.
    #[inline(never)]
    fn task(self, make: Make<P>) -> Done<P> {
        let begin = |platform: &mut P, state: &mut State<P>, Nothing {}| {
            making::begin(platform, state, make)
        };
        let later =
            Later { poll: making::poll, finish: Some(making::piece), alone: Some(making::cancel) };
        self.later(begin, later)
    }

    /// A command that a copy of the agent carries out.
    fn errand<A: Deserialize<'c>>(
        self,
        run: impl Fn(&mut P, &A, &mut Desk<'_>) -> Result<(), Raised>,
        later: Later<P>,
    ) -> Done<P> {
        let Call { platform, state, arguments, slot, .. } = self;
        let arguments: A = apart(arguments, slot)?;
        let begun = errand::begin(platform, state, ERRAND_MS_MAX, &mut |platform, desk| {
            errand::ended(run(platform, &arguments, desk), desk)
        });
        begun.map(|()| Reply::Later(later)).map_err(|error| slot.raise(&error))
    }

    /// A command that takes its time: `run` begins it.
    fn later<A: Deserialize<'c>>(
        self,
        run: impl FnOnce(&'c mut P, &'c mut State<P>, A) -> Result<(), Error<'c>>,
        later: Later<P>,
    ) -> Done<P> {
        match run(self.platform, self.state, read::from_text(self.arguments, self.slot)?) {
            Ok(()) => Ok(Reply::Later(later)),
            Err(error) => Err(self.slot.raise(&error)),
        }
    }

    /// The same of a command that goes deep into the stack.
    fn later_deep<A: Deserialize<'c>>(
        self,
        run: impl FnOnce(&'c mut P, &'c mut State<P>, A) -> Result<(), Error<'c>>,
        later: Later<P>,
    ) -> Done<P> {
        match run(self.platform, self.state, apart(self.arguments, self.slot)?) {
            Ok(()) => Ok(Reply::Later(later)),
            Err(error) => Err(self.slot.raise(&error)),
        }
    }
}

/// Reads arguments; what that takes of the stack is free again before a command runs.
#[inline(never)]
fn apart<'c, A: Deserialize<'c>>(text: &'c mut [u8], slot: &Slot<'c>) -> Result<A, Raised> {
    read::from_text(text, slot)
}
