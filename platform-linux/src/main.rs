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
use qga_core::{Agent, Errno, phrase};
use qga_linux::options::{self, Action, Options, USAGE, WRONG, Words, Wrong};
use qga_linux::path::PathBuffer;
use qga_linux::platform::{Children, Linux, LogFile, START_MS_MAX, Worker};
use qga_linux::print::{LINE_BYTES_MAX, STDERR, STDOUT, complain, line};
use qga_linux::run::{LinuxAgent, RETRY, run, stop};
use qga_linux::signals::Signals;
use qga_linux::state_dir::StateDir;
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
    path: PathBuffer,
    line: [u8; LINE_BYTES_MAX],
    children: Children,
}

static MEMORY: Owned<Memory> = Owned(UnsafeCell::new(Memory {
    agent: Agent::new(),
    path: PathBuffer::new(),
    line: [0; LINE_BYTES_MAX],
    children: Children::NONE,
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
    let mut options = Options::new();
    if let Err(wrong) = options::parse(words, &mut options) {
        explain(wrong, options.subject);
    }
    match options.action {
        Action::Run => start(&options, environment),
        Action::Help => print(USAGE),
        Action::Version => print(phrase!(concat!(
            "qga ",
            env!("CARGO_PKG_VERSION"),
            ", QEMU guest agent protocol ",
            qga_core::schema_version!(),
            "\n"
        ))),
    }
}

/// Ends with the process, as all below do: the kernel closes what is open.
fn start(options: &Options, environment: *const *const u8) -> ! {
    let inherited = match qga_linux::process::settle() {
        Ok(inherited) => inherited,
        Err(errno) => fail(phrase!("cannot take over the signals"), None, errno),
    };
    if let Err(errno) = qga_linux::standard::fill_standard() {
        fail(phrase!("cannot fill the standard descriptors"), None, errno);
    }
    // SAFETY: this function runs once, on the only thread, so this is the only reference. The black
    // box keeps the compiler from writing the full address into each access, which is longer.
    let Memory { agent, path, line, children } =
        unsafe { &mut *core::hint::black_box(MEMORY.0.get()) };
    let is_init = rustix::process::getpid().is_init();
    let mut linux = Linux {
        path,
        line,
        state: StateDir::none(),
        log: LogFile::new(options.log_file),
        verbose: options.verbose,
        excluded: options.excluded,
        hook: options.hook,
        is_init,
        inherited,
        environment,
        helper: None,
        children,
        readable: false,
        abandoned: [0; ABANDONED_MAX],
        left: 0,
        worker: Worker::NONE,
        channel: [-1; 2],
    };
    let found = open_state(&mut linux, options.state_dir);
    let signals = match Signals::take_over() {
        Ok(signals) => signals,
        Err(errno) => fail(phrase!("cannot take over the signals"), None, errno),
    };
    agent.refuse_unreachable(options.freeze_strict);
    if let Some(ms_max) = options.step_ms_max {
        agent.limit_steps(ms_max);
    }
    agent.limit_freezes(options.freeze_ms_max);
    if let Err(errno) = agent.start(&mut linux) {
        stop(agent, &mut linux, &signals);
        fail(phrase!("cannot read or write the state file qga.state"), options.state_dir, errno);
    }
    // A frozen filesystem lets nobody create a file, for ever, and only this agent can thaw it: the
    // log waits.
    if agent.may_write() {
        linux.state.refused.explain();
        if !found {
            linux.log(Level::Warning, &[phrase!("serving without")]);
        }
        if let Err(errno) = linux.log.open(START_MS_MAX) {
            refuse(phrase!("cannot open the log file"), options.log_file, errno);
            if !is_init {
                sys::process::exit(1)
            }
        }
    }
    let status = run(agent, &mut linux, options, &signals);
    linux.say_lost();
    end(status)
}

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

/// Enough for the usage text.
const USAGE_BYTES_MAX: usize = 1024;

/// Says what was asked for, and waits for whoever reads it.
fn print(text: Phrase) -> ! {
    let mut bytes = [0; USAGE_BYTES_MAX];
    let mut out = Writer::new(&mut bytes);
    out.phrase(text);
    end(if STDOUT.put(out.written()).is_ok() { 0 } else { 1 })
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

fn explain(wrong: Wrong, word: &[u8]) -> ! {
    let before = WRONG.nth(wrong as usize);
    line(&STDERR, |out| {
        out.ascii("qga: ");
        out.phrase(before);
        out.ascii(" '");
        out.raw(word);
        out.phrase(phrase!("', see qga --help"));
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
