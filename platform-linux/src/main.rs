//! The binary `qga`: from the kernel's entry to the loop. Options, state, signals, then
//! [`qga_linux::run`].

#![no_std]
#![no_main]

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char};
use qga_core::limits::ABANDONED_MAX;
use qga_core::platform::{Level, Log as _};
use qga_core::text::Phrase;
use qga_core::writer::Writer;
use qga_core::{Agent, Errno, Rule, phrase};
use qga_linux::config;
use qga_linux::daemon;
use qga_linux::fd::Fd;
use qga_linux::options::usage::USAGE;
use qga_linux::options::wrong::WRONG;
use qga_linux::options::{
    self, Action, DEADLINE, EXCLUDED, Options, TIMEOUT, UNREACHABLE, Words, Wrong,
};
use qga_linux::path::PathBuffer;
use qga_linux::platform::{Children, Linux, LogFile, START_MS_MAX, Worker};
use qga_linux::print::{LINE_BYTES_MAX, STDERR, STDOUT, complain, line};
use qga_linux::run::{LinuxAgent, RETRY, run, stop};
use qga_linux::signals::Signals;
use qga_linux::state_dir::{StateDir, is_beside_memory};
use qga_linux::sys;
// Linked for its symbols: the compiler calls them.
use qga_mem as _;

/// Memory that one thread uses, from one place.
struct Owned<T>(UnsafeCell<T>);

// SAFETY: the program has one thread, and `entry` is the only one to look inside, once.
unsafe impl<T> Sync for Owned<T> {}

/// All memory that is neither stack nor constant. The agent stands first: see the order of its
/// fields. It begins a page (link.ld), so that which of them share one does not hang on the size of
/// the code.
#[repr(C)]
struct Memory {
    agent: LinuxAgent,
    // What an agent needs at its start shares a page with the end of what stands before it: these,
    // and the beginning of the path.
    options: Options,
    path: PathBuffer,
    line: [u8; LINE_BYTES_MAX],
    children: Children,
    config: config::Text,
}

static MEMORY: Owned<Memory> = Owned(UnsafeCell::new(Memory {
    agent: Agent::new(),
    options: Options::new(),
    path: PathBuffer::new(),
    line: [0; LINE_BYTES_MAX],
    children: Children::NONE,
    config: config::Text::new(),
}));

/// Where the kernel enters: the stack holds the number of arguments, then the lists (System V ABI,
/// "Process Initialization").
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() -> ! {
    core::arch::naked_asm!("xor ebp, ebp", "mov rdi, rsp", "and rsp, -16", "call {}", "ud2",
        sym entry)
}

/// # Safety
/// `stack` is what the kernel left.
unsafe extern "C" fn entry(stack: *const usize) -> ! {
    // SAFETY: the number of arguments is the first word, the list of them begins at the second and
    // ends with a null pointer, the environment begins after that.
    let (count, list) = unsafe { (*stack, stack.wrapping_add(1).cast::<*const c_char>()) };
    let environment = list.wrapping_add(count + 1).cast::<*const u8>();
    // SAFETY: the kernel's list, which lives as long as the process.
    let words = unsafe { Words::new(list, count) };
    // SAFETY: this function runs once, on the only thread, so this is the only reference. The black
    // box keeps the compiler from writing the full address into each access, which is longer.
    let Memory { agent, options, path, line, children, config } =
        unsafe { &mut *core::hint::black_box(MEMORY.0.get()) };
    if let Err(wrong) = understand(words, options, config, environment) {
        explain(wrong, options);
    }
    if options.action == Action::Run {
        start(agent, options, path, line, children, environment)
    }
    print(agent, options, words.are_of(b"qemu-ga"))
}

/// Reads the command line, and before it counts the file that it names. Errors: what is wrong with
/// one of them.
#[inline(never)]
fn understand(
    words: Words,
    options: &mut Options,
    text: &'static mut config::Text,
    environment: *const *const u8,
) -> Result<(), Wrong> {
    options::parse(words, options)?;
    if options.action == Action::Run
        && let Err(errno) = qga_linux::process::block_signals()
    {
        fail(phrase!("cannot take over the signals"), None, errno)
    }
    if cfg!(feature = "config") && options.action == Action::Run {
        // SAFETY: it is the one that the kernel handed over.
        let text = match unsafe { config::load(text, options, environment) } {
            Ok(text) => text,
            Err(errno) => {
                let path = options.config.unwrap_or(c"").to_bytes();
                let hint = match errno {
                    Errno::PERM => phrase!("others may write to it: chown root, chmod go-w"),
                    Errno::FBIG => phrase!("16 KiB at most"),
                    _ => Phrase::NONE,
                };
                complain(phrase!("cannot read the configuration"), path, errno, hint);
                end(1)
            }
        };
        options.forget_lists();
        config::parse(text, options)?;
        options.action = Action::Run;
        options::parse(words, options)?;
    }
    options.check()
}

/// Ends with the process, as all below do: the kernel closes what is open.
fn start(
    agent: &mut LinuxAgent,
    options: &Options,
    path: &'static mut PathBuffer,
    line: &'static mut [u8; LINE_BYTES_MAX],
    children: &'static mut Children,
    environment: *const *const u8,
) -> ! {
    if let Err(errno) = qga_linux::standard::fill_standard() {
        fail(phrase!("cannot fill the standard descriptors"), None, errno);
    }
    let is_init = rustix::process::getpid().is_init();
    let is_daemon = options.is_daemon() && !is_init;
    let started_by = if is_daemon { Some(detach()) } else { None };
    let inherited = qga_linux::process::settle();
    let mut linux = Linux {
        path,
        line,
        state: StateDir::none(),
        log: LogFile::new(options.text(b'l')),
        verbose: options.is_on(b'v'),
        excluded: options.text(EXCLUDED).map_or(b"", CStr::to_bytes),
        hook: options.hook(),
        is_init,
        inherited,
        environment,
        helper: None,
        children,
        readable: false,
        abandoned: [0; ABANDONED_MAX],
        left: 0,
        worker: Worker::NONE,
        started_by,
        channel: [-1; 2],
    };
    if cfg!(feature = "config") && options.is_on(b'D') {
        linux.log = LogFile::new(None);
        restrict(agent, &mut linux, options);
        print(agent, options, false)
    }
    let found = open_state(&mut linux, options.text(b't'));
    let signals = match Signals::take_over() {
        Ok(signals) => signals,
        Err(errno) => fail(phrase!("cannot take over the signals"), None, errno),
    };
    agent.refuse_unreachable(options.text(UNREACHABLE) == Some(c"fail"));
    if let Some(ms_max) = options.ms(DEADLINE) {
        agent.limit_steps(ms_max);
    }
    agent.limit_freezes(options.ms(TIMEOUT));
    if let Err(errno) = agent.start(&mut linux) {
        stop(agent, &mut linux, &signals);
        fail(phrase!("cannot read or write the state file qga.state"), options.text(b't'), errno);
    }
    // A frozen filesystem lets nobody create a file, for ever, and only this agent can thaw it: the
    // log waits.
    if agent.may_write() {
        open_log(&mut linux, options, found);
    }
    restrict(agent, &mut linux, options);
    let pid_file = if is_daemon { take_pid_file(agent, &mut linux, options) } else { None };
    let status = run(agent, &mut linux, options, &signals);
    linux.say_lost();
    if let Some(path) = pid_file.filter(|_| agent.may_write()) {
        let _ = rustix::fs::unlink(path);
    }
    end(status)
}

/// Goes on in the background: who waits there.
fn detach() -> Fd {
    match daemon::detach() {
        Ok(waits) => waits,
        Err(errno) => fail(phrase!("cannot go on in the background"), None, errno),
    }
}

/// Opens the log, and says what is wrong with the state directory, if there is one.
fn open_log(linux: &mut Linux, options: &Options, found: bool) {
    linux.state.refused.explain();
    if !found {
        linux.log(Level::Warning, &[phrase!("serving without")]);
    }
    if let Err(errno) = linux.log.open(START_MS_MAX) {
        refuse(phrase!("cannot open the log file"), options.text(b'l'), errno);
        if !linux.is_init {
            sys::process::exit(1)
        }
    }
}

/// Has the lists of commands count.
fn restrict(agent: &mut LinuxAgent, linux: &mut Linux, options: &Options) {
    for rule in [Rule::Block, Rule::Allow] {
        options.lists(rule).for_each(|names| agent.restrict(linux, rule, names.to_bytes()));
    }
}

/// Takes the file with the number of the process, for as long as this lives; nothing where there is
/// none. So it is where an earlier agent has left the disk frozen that it would lie on: nobody
/// could ask for a thaw while this one waits for it.
fn take_pid_file(
    agent: &LinuxAgent,
    linux: &mut Linux,
    options: &Options,
) -> Option<&'static CStr> {
    let (path, may_write) = (options.pid_file(), agent.may_write());
    if !may_write && !is_beside_memory(path, linux.path) {
        return None;
    }
    match daemon::take_pid_file(path) {
        Ok(file) => file.keep_open(),
        Err(errno) => {
            let hint = if errno == Errno::BUSY { HELD } else { Phrase::NONE };
            complain(phrase!("cannot lock the pid file"), path.to_bytes(), errno, hint);
            if may_write {
                sys::process::exit(1)
            }
            return None;
        }
    }
    Some(path)
}

/// As what is said of a channel that another agent has.
const HELD: Phrase = phrase!("another agent has it");

/// Takes the state directory, before everything else: a second agent must not touch what the first
/// one holds. Without any directory the agent serves all that needs no state; one that was named is
/// to be there. Whether there is one.
fn open_state(linux: &mut Linux, named: Option<&'static CStr>) -> bool {
    let mut found = linux.state.open(named, linux.path, linux.is_init);
    let mut said = false;
    while !found && (named.is_some() || linux.state.refused.is_grave()) {
        if !core::mem::replace(&mut said, true) {
            linux.state.refused.explain();
        }
        if !linux.is_init {
            sys::process::exit(1)
        }
        // Process 1 may not end.
        let _ = rustix::event::poll(&mut [], Some(&RETRY));
        found = linux.state.ensure(linux.path, true).is_ok();
    }
    found
}

/// The longest text that is printed: two lists of all commands with 2 kB, and paths.
const PRINTED_BYTES_MAX: usize = 5 * 1024;

/// Says what was asked for, and waits for whoever reads it; by the name of the reference to who has
/// called it so.
#[inline(never)]
fn print(agent: &LinuxAgent, options: &Options, by_its_name: bool) -> ! {
    let mut room = [0; PRINTED_BYTES_MAX];
    let mut out = Writer::new(&mut room);
    match options.action {
        Action::Run if cfg!(feature = "config") => config::dump(agent, options, &mut out),
        Action::Run => {}
        Action::Help => {
            out.phrase(phrase!("usage: "));
            out.ascii(if by_its_name { "qemu-ga " } else { "qga " });
            out.phrase(USAGE);
        }
        Action::Version => {
            // Whoever asks the reference reads three words and three numbers.
            if by_its_name {
                out.phrase(phrase!(concat!("QEMU Guest Agent ", qga_core::schema_version!(), " ")));
            }
            out.phrase(phrase!(concat!(
                "qga ",
                env!("CARGO_PKG_VERSION"),
                ", QEMU guest agent protocol ",
                qga_core::schema_version!(),
                "\n"
            )));
        }
        Action::Commands => {
            for name in LinuxAgent::commands() {
                out.ascii(name);
                out.ascii("\n");
            }
        }
    }
    end(i32::from(out.is_full() || STDOUT.put(out.written()).is_err()))
}

fn fail(what: Phrase, path: Option<&CStr>, errno: Errno) -> ! {
    refuse(what, path, errno);
    end(1)
}

fn refuse(what: Phrase, path: Option<&CStr>, errno: Errno) {
    complain(what, path.map_or(b"", CStr::to_bytes), errno, Phrase::NONE);
}

/// Ends, but for process 1: the kernel would panic, and what it has said last would scroll away.
fn end(status: i32) -> ! {
    while rustix::process::getpid().is_init() {
        let _ = rustix::event::poll(&mut [], None);
    }
    sys::process::exit(status)
}

fn explain(wrong: Wrong, options: &Options) -> ! {
    let before = WRONG.nth(wrong as usize);
    line(&STDERR, |out| {
        out.ascii("qga: ");
        if options.config_line > 0 {
            out.raw(options.config.unwrap_or(c"").to_bytes());
            out.ascii(":");
            out.unsigned(options.config_line.into());
            out.ascii(": ");
        }
        out.phrase(before);
        if let Some(subject) = options.subject {
            out.ascii(" '");
            out.raw(subject);
            out.ascii("'");
        }
        out.phrase(phrase!(", see qga --help"));
    });
    end(1)
}

#[cfg(prove_no_panic)]
unsafe extern "C" {
    /// Does not exist: a panic that can be reached makes the linker say so.
    fn a_panic_is_reachable() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(prove_no_panic)]
    // SAFETY: never linked.
    unsafe {
        a_panic_is_reachable()
    }
    #[cfg(not(prove_no_panic))]
    sys::process::exit(134)
}

#[cfg(not(prove_no_panic))]
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
