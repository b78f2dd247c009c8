//! THE TABLE: every command, one row each. guest-info, the frozen gate and dispatch derive from it.

use super::{
    Call, Command, Done, Later, Needs, Nothing, cpus, disks, diskstats, errand, exec, file,
    filesystems, fsfreeze, hotplug, info, keys, memory, network, passwords, power, suspend, sync,
    system, time, trim, users,
};
use crate::error::Raised;
use crate::json::text::is_named;
use crate::limits::SUSPEND_MS_MAX;
use crate::platform::{
    Disks, Exec, Files, Freeze, Network, Platform, Power, Replace, Settings, Texts, Trim,
    WallClock, offers,
};
use crate::response::{Cursor, Failed};
use crate::rules::GIVEN;
use crate::state::State;
use crate::writer::Writer;

/// Reads the arguments of a command, runs it, begins the response.
pub type Run<P> = for<'c, 'o, 'w> fn(Call<'c, 'o, 'w, P>) -> Done<P>;

/// One command.
pub struct Row<P: Platform> {
    /// What the schema says of it.
    pub command: Command,
    /// What it does.
    pub run: Run<P>,
}

/// The table, for one platform.
pub struct Table<P>(core::marker::PhantomData<P>);

/// A row. What a guest does not have is not compiled into it, its name neither.
macro_rules! row {
    (Nothing, $name:literal $(.$flag:ident())*, $run:expr) => {
        Row { command: Command::new($name, Needs::Nothing)$(.$flag())*, run: $run }
    };
    ($subject:ident::$needs:ident, $family:ident, $name:literal $(.$flag:ident())*, $run:expr) => {
        row!(@ <P as $subject>::$needs, $family, $name $(.$flag())*, $run)
    };
    ($needs:ident, $name:literal $(.$flag:ident())*, $run:expr) => {
        row!(@ <P as $needs>::OFFERED, $needs, $name $(.$flag())*, $run)
    };
    (@ $offered:expr, $needs:ident, $name:literal $(.$flag:ident())*, $run:expr) => {
        Row {
            command: Command::new(if $offered { $name } else { "" }, Needs::$needs)$(.$flag())*,
            run: if $offered { $run } else { absent },
        }
    };
}

impl<P: Platform> Table<P> {
    /// Every command of the schema that this agent knows. A row takes room also where its command
    /// is absent: a guest that lets nobody change it has none of those for that.
    pub fn rows() -> impl Iterator<Item = &'static Row<P>> {
        let changes: &'static [Row<P>] = const {
            assert!(Self::FIRST.len() + Self::CHANGES.len() <= GIVEN as usize);
            let is_changed = P::HOTPLUG
                || P::SUSPEND
                || P::PASSWORDS
                || P::KEYS
                || <P as Trim>::OFFERED
                || <P as Exec>::OFFERED;
            if is_changed { Self::CHANGES } else { &[] }
        };
        Self::FIRST.iter().chain(changes)
    }

    /// The first schema, and what the guest says of itself, in the schema's order.
    #[rustfmt::skip]
    const FIRST: &'static [Row<P>] = &[
        row!(Nothing, "guest-sync-delimited".while_frozen(), |call| call.delimited(sync::sync)),
        row!(Nothing, "guest-sync".while_frozen(), |call| call.value(|_, _, arguments| Ok(sync::sync(arguments)))),
        row!(Nothing, "guest-ping".while_frozen(), |call| call.value(|_, _, arguments| sync::ping(arguments))),
        row!(WallClock, "guest-get-time", |call| call.value(|p, _, arguments| time::get(p, arguments))),
        row!(WallClock::SETS, SetTime, "guest-set-time", |call| call.value(|p, state, arguments| time::set(p, &mut state.list, arguments))),
        row!(Nothing, "guest-info".while_frozen(), |call| call.pieces(|_, Nothing {}, _| Ok(()), Self::list_piece)),
        row!(Power, "guest-shutdown".silent().takes_time(),
            |call| call.later(|p, state, arguments| power::shutdown(p, &mut state.shutdown, arguments), Later { poll: power::poll, finish: None, alone: Some(power::poll) })),
        row!(Files, "guest-file-open", |call| call.value(|p, state, arguments| file::open(p, &mut state.files, arguments))),
        row!(Files, "guest-file-close", |call| call.value(|p, state, arguments| file::close(p, &mut state.files, arguments))),
        row!(Files, "guest-file-read".secret(),
            |call| call.pieces(|state, arguments, cursor| file::read(&mut state.files, arguments, cursor), file::read_piece)),
        row!(Files, "guest-file-write".secret(), |call| call.value(|_, state, arguments| file::write(&mut state.files, arguments))),
        row!(Files, "guest-file-seek", |call| call.value(|_, state, arguments| file::seek(&mut state.files, arguments))),
        row!(Files, "guest-file-flush", |call| call.value(|_, state, arguments| file::flush(&mut state.files, arguments))),
        row!(Freeze, "guest-fsfreeze-status".while_frozen(),
            |call| call.value(|_, state, arguments| Ok(fsfreeze::status::<P>(&mut state.freezer, arguments)))),
        row!(Freeze, "guest-fsfreeze-freeze".takes_time(), freeze),
        row!(Freeze, "guest-fsfreeze-freeze-list".takes_time(), freeze_list),
        row!(Freeze, "guest-fsfreeze-thaw".while_frozen().takes_time(), thaw),
        row!(Texts::INFO, Info, "guest-get-host-name", |call| call.list(system::host_name_piece)),
        row!(Texts::INFO, Info, "guest-get-osinfo", |call| call.list(system::osinfo_piece)),
        row!(Texts::INFO, Info, "guest-get-timezone", |call| call.list(system::timezone_piece)),
        row!(Texts::LOAD, Load, "guest-get-load", |call| call.list(system::load_piece)),
        row!(Texts::USERS, Users, "guest-get-users", |call| call.list(users::piece)),
        row!(Texts::CPUS, Cpus, "guest-get-vcpus", |call| call.list(cpus::vcpus_piece)),
        row!(Texts::LOAD, Load, "guest-get-cpustats", |call| call.list(cpus::cpustats_piece)),
        row!(Texts::MEMORY, Memory, "guest-get-memory-blocks", |call| call.list(memory::blocks_piece)),
        row!(Texts::MEMORY, Memory, "guest-get-memory-block-info", |call| call.list(memory::block_info_piece)),
        row!(Disks, "guest-get-diskstats", |call| call.list(diskstats::piece)),
        row!(Disks, "guest-get-disks".takes_time(), |call| call.task(disks::disks)),
        row!(Disks, "guest-get-fsinfo".takes_time(), |call| call.task(filesystems::fsinfo)),
        row!(Network, "guest-network-get-interfaces", |call| call.list(network::interfaces_piece)),
        row!(Network, "guest-network-get-route", |call| call.list(network::route_piece)),
    ];

    /// What changes the guest.
    #[rustfmt::skip]
    const CHANGES: &'static [Row<P>] = &[
        row!(Exec, "guest-exec-status".secret(),
            |call| call.pieces(|state, arguments, cursor| exec::status(&mut state.exec, arguments, cursor), exec::status_piece)),
        row!(Exec, "guest-exec".secret().takes_time(),
            |call| call.later(|p, state, arguments| exec::start(p, &mut state.exec, state.list.room(), arguments), Later { poll: exec::poll, finish: Some(exec::started_piece), alone: None })),
        row!(Trim, "guest-fstrim".takes_time(),
            |call| call.later_deep(|p, state, arguments| trim::begin(p, state, arguments), Later { poll: errand::poll, finish: Some(trim::piece), alone: Some(errand::leave) })),
        row!(Settings::SUSPEND, Suspend, "guest-suspend-disk".silent().takes_time(), |call| suspend(call, &suspend::DISK)),
        row!(Settings::SUSPEND, Suspend, "guest-suspend-ram".silent().takes_time(), |call| suspend(call, &suspend::RAM)),
        row!(Settings::SUSPEND, Suspend, "guest-suspend-hybrid".silent().takes_time(), |call| suspend(call, &suspend::HYBRID)),
        row!(Replace::PASSWORDS, Passwords, "guest-set-user-password".secret().takes_time(), |call| call.errand(passwords::set_user_password, errand())),
        row!(Replace::KEYS, Keys, "guest-ssh-get-authorized-keys".takes_time(), |call| call.errand(keys::get, Later { alone: Some(errand::give_up), ..errand() })),
        row!(Replace::KEYS, Keys, "guest-ssh-add-authorized-keys".takes_time(), |call| call.errand(keys::add, errand())),
        row!(Replace::KEYS, Keys, "guest-ssh-remove-authorized-keys".takes_time(), |call| call.errand(keys::remove, errand())),
        row!(Settings::HOTPLUG, Hotplug, "guest-set-vcpus".takes_time(), |call| call.errand(hotplug::set_vcpus, errand())),
        row!(Settings::HOTPLUG, Hotplug, "guest-set-memory-blocks".takes_time(), |call| call.errand(hotplug::set_memory_blocks, errand())),
    ];

    /// A piece of guest-info, which lists this table.
    fn list_piece(
        platform: &mut P,
        state: &mut State<P>,
        cursor: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Result<bool, Failed> {
        let command = Self::rows().nth(cursor.outer).map(|row| &row.command);
        info::piece(platform, state, cursor, out, command)
    }

    /// The row of a command that this guest offers, and its number, by its name as written between
    /// the quotes.
    #[inline(never)]
    pub fn find(platform: &P, name: &[u8]) -> Option<(u32, &'static Row<P>)> {
        let is = |command| offers(platform, command) && is_named(name, command.name);
        (0..).zip(Self::rows()).find(|(_, row)| is(&row.command))
    }
}

/// An errand that answers, and is followed to its end when nobody waits for it any more.
const fn errand<P: Platform>() -> Later<P> {
    Later { poll: errand::poll, finish: Some(errand::piece), alone: Some(errand::poll_alone) }
}

/// guest-suspend-*.
#[inline(never)]
fn suspend<P: Platform>(call: Call<'_, '_, '_, P>, mode: &'static suspend::Mode) -> Done<P> {
    let begin = |platform: &mut P, state: &mut State<P>, Nothing {}| {
        errand::begin(platform, state, SUSPEND_MS_MAX, &mut |platform, desk| {
            errand::ended(suspend::suspend(platform, mode, desk), desk)
        })
    };
    let poll = errand::poll_silent;
    call.later(begin, Later { poll, finish: None, alone: Some(errand::poll_alone) })
}

/// guest-fsfreeze-freeze.
fn freeze<P: Platform>(call: Call<'_, '_, '_, P>) -> Done<P> {
    let begin = |platform: &mut P, state: &mut State<P>, all: fsfreeze::FreezeAll| {
        fsfreeze::freeze(platform, &mut state.freezer, all)
    };
    call.later(begin, freezing())
}

/// guest-fsfreeze-freeze-list.
fn freeze_list<P: Platform>(call: Call<'_, '_, '_, P>) -> Done<P> {
    let begin = |platform: &mut P, state: &mut State<P>, list: fsfreeze::FreezeList<'_>| {
        fsfreeze::freeze_list(platform, &mut state.freezer, list)
    };
    call.later(begin, freezing())
}

/// guest-fsfreeze-thaw.
fn thaw<P: Platform>(call: Call<'_, '_, '_, P>) -> Done<P> {
    let begin = |platform: &mut P, state: &mut State<P>, Nothing {}| {
        fsfreeze::thaw(platform, &mut state.freezer);
        Ok(())
    };
    call.later(begin, freezing())
}

/// What freezes or thaws, and answers how many.
const fn freezing<P: Platform>() -> Later<P> {
    Later { poll: fsfreeze::poll, finish: Some(fsfreeze::count), alone: None }
}

/// In the place of a command that this guest cannot have: [`Table::find`] does not find it.
fn absent<P: Platform>(_: Call<'_, '_, '_, P>) -> Done<P> {
    Err(Raised)
}
