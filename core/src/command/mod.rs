//! THE TABLE: every command, one row each. guest-info, the frozen gate and dispatch derive from it.
//!
//! A command is a typed function: its argument struct mirrors the schema, its signature names the
//! platform traits and the part of the agent's state that it may touch. [`Call`] does the rest: it reads
//! the arguments, runs the function, writes the value.

pub mod file;
pub mod fsfreeze;
pub mod info;
pub mod power;
pub mod sync;
pub mod time;

use crate::error::{Error, Raised, Slot};
use crate::freezer::Freezing;
use crate::handle::Handles;
use crate::json::{read, text::is_named, write::Writer};
use crate::platform::{Files, Freeze, Platform, Power, WallClock};
use crate::response::{List, RETURN, ReadBytes};
use crate::shutdown::{Progress, Shutdown};
use serde::{Deserialize, Serialize};

/// One command.
pub struct Row<P: Platform> {
    /// Its name in the schema.
    pub name: &'static str,
    /// Whether it may run while filesystems are frozen.
    pub while_frozen: bool,
    /// Whether success is answered (`success-response` in the schema).
    pub replies: bool,
    /// Whether what it is given or gives may be a secret: frame and window are wiped after it.
    pub secret: bool,
    /// What of the guest it needs.
    pub needs: Needs,
    /// Reads the arguments, runs the command, begins the response.
    pub run: for<'c, 'o, 'w> fn(Call<'c, 'o, 'w, P>) -> Result<Reply<P>, Raised>,
}

/// The trait that a command needs, apart from those that every guest has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// None.
    Nothing,
    /// [`Files`].
    Files,
    /// [`Freeze`].
    Freeze,
    /// [`Power`].
    Power,
    /// [`WallClock`].
    WallClock,
}

impl<P: Platform> Row<P> {
    /// Whether it is guest-sync or guest-sync-delimited, with which a client begins.
    pub fn is_sync(&self) -> bool {
        self.needs == Needs::Nothing && self.name.as_bytes().get(6) == Some(&b's')
    }

    /// Whether this guest has what it needs. Where the traits' answers are constants, so is this.
    pub fn is_offered(&self, platform: &P) -> bool {
        match self.needs {
            Needs::Nothing => true,
            Needs::Files => Files::offers(platform, self.name),
            Needs::Freeze => Freeze::offers(platform, self.name),
            Needs::Power => Power::offers(platform, self.name),
            Needs::WallClock => WallClock::offers(platform, self.name),
        }
    }
}

/// The table, for one platform.
pub struct Table<P>(core::marker::PhantomData<P>);

impl<P: Platform> Table<P> {
    /// Every command of the schema that this agent knows, in the schema's order.
    #[rustfmt::skip]
    pub const ROWS: &'static [Row<P>] = &[
        Row { name: "guest-sync-delimited", while_frozen: true, replies: true, secret: false, needs: Needs::Nothing,
            run: |call| call.delimited(sync::sync) },
        Row { name: "guest-sync", while_frozen: true, replies: true, secret: false, needs: Needs::Nothing,
            run: |call| call.value(|_, _, arguments| Ok(sync::sync(arguments))) },
        Row { name: "guest-ping", while_frozen: true, replies: true, secret: false, needs: Needs::Nothing,
            run: |call| call.value(|_, _, arguments| sync::ping(arguments)) },
        Row { name: "guest-get-time", while_frozen: false, replies: true, secret: false, needs: Needs::WallClock,
            run: |call| call.value(|p, _, arguments| time::get(p, arguments)) },
        Row { name: "guest-info", while_frozen: true, replies: true, secret: false, needs: Needs::Nothing,
            run: |call| call.rows(info::list()) },
        Row { name: "guest-shutdown", while_frozen: false, replies: false, secret: false, needs: Needs::Power,
            run: |call| call.later(|p, state, arguments| power::shutdown(p, &mut state.shutdown, arguments), power::poll) },
        Row { name: "guest-file-open", while_frozen: false, replies: true, secret: false, needs: Needs::Files,
            run: |call| call.value(|p, state, arguments| file::open(p, &mut state.files, arguments)) },
        Row { name: "guest-file-close", while_frozen: false, replies: true, secret: false, needs: Needs::Files,
            run: |call| call.value(|p, state, arguments| file::close(p, &mut state.files, arguments)) },
        Row { name: "guest-file-read", while_frozen: false, replies: true, secret: true, needs: Needs::Files,
            run: |call| call.bytes(|state, arguments| file::read(&mut state.files, arguments), file::read_bytes) },
        Row { name: "guest-file-write", while_frozen: false, replies: true, secret: true, needs: Needs::Files,
            run: |call| call.value(|_, state, arguments| file::write(&mut state.files, arguments)) },
        Row { name: "guest-file-seek", while_frozen: false, replies: true, secret: false, needs: Needs::Files,
            run: |call| call.value(|_, state, arguments| file::seek(&mut state.files, arguments)) },
        Row { name: "guest-file-flush", while_frozen: false, replies: true, secret: false, needs: Needs::Files,
            run: |call| call.value(|_, state, arguments| file::flush(&mut state.files, arguments)) },
        Row { name: "guest-fsfreeze-status", while_frozen: true, replies: true, secret: false, needs: Needs::Freeze,
            run: |call| call.value(|_, state, arguments| Ok(fsfreeze::status::<P>(&state.freezer, arguments))) },
        Row { name: "guest-fsfreeze-freeze", while_frozen: false, replies: true, secret: false, needs: Needs::Freeze,
            run: |call| call.value(|p, state, arguments| fsfreeze::freeze(p, &mut state.freezer, arguments)) },
        Row { name: "guest-fsfreeze-thaw", while_frozen: true, replies: true, secret: false, needs: Needs::Freeze,
            run: |call| call.value(|p, state, arguments| fsfreeze::thaw(p, &mut state.freezer, arguments)) },
    ];

    /// The row of a command that this guest offers, by its name as written between the quotes.
    #[inline(never)]
    pub fn find(platform: &P, name: &[u8]) -> Option<&'static Row<P>> {
        Self::ROWS.iter().find(|row| row.is_offered(platform) && is_named(name, row.name))
    }
}

/// What outlives a request: everything that commands may change. In this order what every start writes to lies
/// together; the freezer's own order goes on so.
#[repr(C)]
pub struct State<P: Platform> {
    /// The open files.
    pub files: Handles<P::File>,
    /// A shutdown under way.
    pub shutdown: Shutdown,
    /// The frozen filesystems.
    pub freezer: P::Freezer,
}

impl<P: Platform> State<P> {
    /// The state of an agent that has done nothing.
    pub const fn new() -> Self {
        State { files: Handles::new(), freezer: P::Freezer::NEW, shutdown: Shutdown::new() }
    }
}

impl<P: Platform> Default for State<P> {
    fn default() -> Self {
        State::new()
    }
}

/// The arguments of a command that has none.
#[derive(Deserialize)]
pub struct Nothing {}

/// Asks how work that takes longer is getting on.
pub type Poll<P> = for<'s> fn(&mut P, &'s mut State<P>) -> Progress<'s>;

/// How a command's response goes on. It fits two registers, as does the result around it.
pub enum Reply<P: Platform> {
    /// It is written.
    Value,
    /// A list of this kind.
    Rows(&'static List<P>),
    /// The bytes that [`Call::wanted`] says, read so.
    Bytes(ReadBytes<P>),
    /// The work has begun; ask again.
    Later(Poll<P>),
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
    /// For [`Reply::Bytes`]: which handle, and how many bytes of it.
    pub wanted: &'o mut (i64, u64),
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

    /// A command without arguments that returns a list.
    fn rows(self, list: &'static List<P>) -> Done<P> {
        let Nothing {} = read::from_text(self.arguments, self.slot)?;
        Ok(Reply::Rows(list))
    }

    /// A command that returns bytes: `run` says of what and how many, `read` reads them.
    fn bytes<A: Deserialize<'c>>(
        self,
        run: impl FnOnce(&'c mut State<P>, A) -> Result<(i64, u64), Error<'c>>,
        read: ReadBytes<P>,
    ) -> Done<P> {
        match run(self.state, read::from_text(self.arguments, self.slot)?) {
            Ok(wanted) => {
                *self.wanted = wanted;
                Ok(Reply::Bytes(read))
            }
            Err(error) => Err(self.slot.raise(&error)),
        }
    }

    /// A command that takes its time: `run` begins it, `poll` follows it.
    fn later<A: Deserialize<'c>>(
        self,
        run: impl FnOnce(&'c mut P, &'c mut State<P>, A) -> Result<(), Error<'c>>,
        poll: Poll<P>,
    ) -> Done<P> {
        match run(self.platform, self.state, read::from_text(self.arguments, self.slot)?) {
            Ok(()) => Ok(Reply::Later(poll)),
            Err(error) => Err(self.slot.raise(&error)),
        }
    }
}
