//! A guest that has nothing but a clock: no command but the few that need nothing, and what the
//! traits say for it.

use qga_core::internals::command::Table;
use qga_core::platform::Keeps;
use qga_core::platform::{
    About, Absent, Access, Clock, Exec, Exit, Files, Freeze, Level, Log, Mode, OpenOptions, Packed,
    Power, Signal, Standard, WallClock,
};
use qga_core::platform::{FreezeStatus, Freezing, Reason, Task};
use qga_core::{Agent, Errno, Step};
use qga_sim::Sim;

/// A guest without anything.
struct Bare;

impl Clock for Bare {
    fn now_ms(&mut self) -> u64 {
        5
    }
}

qga_core::absent!(Bare: Files, Freeze, Power, Log, WallClock, Texts, Network, Tasks, Disks, Exec,
    Settings, Trim, Programs, Replace);

/// A guest that can end itself, in the one way that is left when it has nothing else.
#[derive(Default)]
struct Ends {
    ended: Vec<Mode>,
}

impl Clock for Ends {
    fn now_ms(&mut self) -> u64 {
        5
    }
}

impl Power for Ends {
    const OFFERED: bool = true;

    fn reboot(&mut self, mode: Mode) -> Result<(), Errno> {
        self.ended.push(mode);
        Err(Errno::PERM)
    }
}

qga_core::absent!(Ends: Files, Freeze, Log, WallClock, Texts, Network, Tasks, Disks, Exec,
    Settings, Trim, Programs, Replace);

fn ask<P: qga_core::platform::Platform>(platform: &mut P, request: &str) -> String {
    let mut agent: Box<Agent<P, 4096, 4096>> = Box::default();
    agent.start(platform).expect("a start");
    assert!(matches!(agent.step(platform), Step::Receive));
    agent.space()[..request.len()].copy_from_slice(request.as_bytes());
    agent.received(request.len());
    let mut output = Vec::new();
    loop {
        match agent.step(platform) {
            Step::Receive => return String::from_utf8(output).expect("text"),
            Step::Transmit => {
                output.extend_from_slice(agent.pending());
                agent.sent(agent.pending().len());
            }
            Step::Continue => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn only_what_needs_nothing_is_offered() {
    let offered = |name: &str| Table::find(&Bare, name.as_bytes()).is_some();
    let names: Vec<&str> = Table::<Sim>::rows().map(|row| row.command.name).collect();
    let found: Vec<&str> = names.iter().copied().filter(|name| offered(name)).collect();
    assert_eq!(found, ["guest-sync-delimited", "guest-sync", "guest-ping", "guest-info"]);
    let reply = ask(&mut Bare, "{\"execute\": \"guest-info\"}");
    for name in names {
        assert_eq!(reply.contains(&format!("\"{name}\"")), found.contains(&name), "{name}");
    }
    let reply = ask(&mut Bare, "{\"execute\": \"guest-file-open\"}");
    assert!(reply.contains("CommandNotFound"), "{reply}");
}

#[test]
fn a_guest_that_only_ends_is_asked_to_end() {
    let mut guest = Ends::default();
    let reply =
        ask(&mut guest, "{\"execute\": \"guest-shutdown\", \"arguments\": {\"mode\": \"halt\"}}");
    assert_eq!(guest.ended, [Mode::Halt]);
    assert_eq!(
        reply,
        "{\"error\": {\"class\": \"GenericError\", \"desc\": \"failed to shutdown: /sbin/halt: No such file or \
         directory; /sbin/shutdown: No such file or directory; init: not known to be the machine's; reboot(2): \
         Operation not permitted\"}}\n"
    );
}

#[test]
fn what_a_guest_without_it_says() {
    const NOT: Errno = Errno::OPNOTSUPP;
    let guest = &mut Bare;
    let options =
        OpenOptions { access: Access::Read, create: false, truncate: false, append: false };
    assert_eq!(guest.open(b"/x", options).map(drop), Err(NOT));
    assert_eq!(guest.load_state(&mut [0; 9]), Err(Errno::NOENT));
    assert_eq!(guest.save_state(b"x"), Ok(()));
    assert_eq!(guest.now_ns(), Err(NOT));
    assert_eq!(guest.set_ns(0), Err(NOT));
    assert_eq!(guest.rtc(), Err(NOT));
    assert_eq!(guest.set_rtc(&qga_core::formats::calendar::date(0)), Err(NOT));
    guest.log(Level::Error, &[qga_core::phrase!("nobody hears it")]);
    assert_eq!(guest.mounts().map(drop), Err(NOT));
    assert_eq!(guest.inspect(b"/"), Err(NOT));
    assert_eq!(guest.open_mount(b"/").map(drop), Err(NOT));
    assert_eq!(guest.create_mark(0).map(drop), Err(NOT));
    assert_eq!(guest.publish_mark(0), Err(NOT));
    assert_eq!(guest.open_mark(0).map(drop), Err(Errno::NOENT));
    assert_eq!(guest.remove_mark(0), Err(Errno::NOENT));
    assert_eq!(guest.boot_id(&mut [0; 36]), Err(NOT));
    assert_eq!(guest.start_program(&[c"/bin/x"]), Err(Errno::NOENT));
    assert_eq!(guest.program_exit().map(|exit| exit == Exit::Status(0)), None);
    assert_eq!(guest.program_output(&mut [0; 9]), 0);
    assert!(!guest.is_script(c"/sbin/poweroff"));
    assert!(!guest.is_init());
    assert_eq!(guest.about(About::Status, &mut [0; 9]), Err(NOT));
    assert_eq!(guest.signal_init(15), Err(NOT));
    assert_eq!(guest.may_reboot(), Ok(()));
    guest.signal_all(Signal::Kill);
    assert!(!guest.processes_remain());
    assert_eq!(guest.unmount(b"/"), Err(NOT));
    assert_eq!(guest.remount_read_only(b"/"), Err(NOT));
    assert_eq!(guest.reboot(Mode::Halt), Err(NOT));
    assert_eq!(
        [Level::Error, Level::Warning, Level::Info].map(|level| level.name().to_string()),
        ["error", "warning", "info"]
    );
}

/// What a guest says that starts no programs but has the trait.
struct Idle;

impl Exec for Idle {
    type Pipe = ();
    type Memory = Keeps<0>;
}

#[test]
fn a_guest_without_programs_starts_none() {
    const NOT: Errno = Errno::OPNOTSUPP;
    let (guest, pipe) = (&mut Idle, ());
    assert!(!guest.offers("guest-exec"));
    assert_eq!(guest.nothing(), Err(NOT));
    assert_eq!(guest.memory(), Err(NOT));
    assert_eq!(guest.pipe(), Err(NOT));
    assert_eq!(guest.enlarge(&pipe, 9), Err(NOT));
    assert_eq!(guest.put_into_pipe(&pipe, b"x"), Err(NOT));
    assert_eq!(guest.put_into_memory(&pipe, 0, b"x"), Err(NOT));
    assert_eq!(guest.watch(&pipe), Err(NOT));
    let standard = Standard { input: &pipe, output: &pipe, error: &pipe, report: &pipe };
    assert_eq!(guest.spawn(0, standard, 9, &mut |_, _| Ok(())), Err(NOT));
    let packed = Packed { path: 0, words: 0, variables: None };
    assert_eq!(guest.execute(&[], packed), Err(NOT));
    assert_eq!(guest.search_path(), None);
    assert_eq!(guest.report(&pipe), Err(NOT));
    assert!(!guest.is_readable());
    assert_eq!(guest.keep(&pipe, &pipe, 9), Err(NOT));
    assert_eq!(guest.discard(&pipe), Err(NOT));
    assert_eq!(guest.kept(&pipe, 0, &mut [0; 9]), 0);
    assert_eq!(guest.ended(0), None);
    assert!(!Exec::offers(&Bare, "guest-exec"));
    assert_eq!(Exec::memory(&mut Bare).map(|memory: Absent| match memory {}), Err::<(), _>(NOT));
}

#[test]
fn without_a_freezer_nothing_is_frozen() {
    let nothing = &mut ();
    assert!(!Freezing::<Bare>::is_frozen(nothing));
    assert_eq!(Freezing::<Bare>::status(nothing), FreezeStatus::Thawed);
    assert!(Freezing::<Bare>::scratch(nothing).is_empty());
    Freezing::<Bare>::restore(nothing, &mut Bare);
    Freezing::<Bare>::freeze(nothing, &mut Bare, None, None);
    Freezing::<Bare>::thaw(nothing, &mut Bare, Reason::Over);
    Freezing::<Bare>::run(nothing, &mut Bare, Task::Thaw, None);
    Freezing::<Bare>::follow(nothing, &mut Bare);
    assert!(!Freezing::<Bare>::is_under_way(nothing));
    assert_eq!(Freezing::<Bare>::next_ms(nothing), u64::MAX);
    assert_eq!(Freezing::<Bare>::outcome(nothing).ok(), Some(0));
    assert!(!Freezing::<Bare>::holds(nothing));
}

/// What can be opened but not frozen: a freezer's own calls, as a guest without the trait answers
/// them.
struct Opens;

impl qga_core::platform::Hooks for Opens {}

impl Freeze for Opens {
    type Table = qga_core::platform::Absent;
    type Filesystem = ();
    type Mark = qga_core::platform::Absent;
    type Freezer = ();
}

#[test]
fn what_cannot_freeze_cannot_thaw() {
    assert!(!Opens.offers("guest-fsfreeze-freeze"));
    assert_eq!(Opens.freeze(&()), Err(Errno::OPNOTSUPP));
    assert_eq!(Opens.thaw(&()), Err(Errno::OPNOTSUPP));
}
