//! The saved handle number: any bytes as the state of an earlier agent, and what files that are
//! opened then are called.
//!
//! Held against the agent: it starts, whatever stands there; where the state says a number the
//! first file has it; where it says none the numbers go on far above all that can have been given
//! out; no number comes twice, not after a restart either; while filesystems are frozen nothing is
//! saved.

use crate::input::Input;
use crate::talk;
use qga_core::limits::HANDLE_FIRST;
use qga_sim::Sim;

/// A state as long as this may be cut: it is not believed.
const STATE_BYTES_MAX: usize = 256;
/// No agent has given a number as large as this out: after a damaged state they go on here.
const FAR: u64 = 1 << 40;

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mode = input.byte();
    let text = match mode & 3 {
        0 => Some(input.rest.to_vec()),
        1 => Some([b"[global]\nfd_counter=", input.rest].concat()),
        2 => Some([b"[global]\nfd_counter=", input.rest, b"\n"].concat()),
        _ => None,
    };
    let sim = Sim::new(1);
    sim.with(|world| {
        world.store.state = text.clone();
        if mode & 4 != 0 {
            world.faults.interrupt();
        }
        if mode & 8 != 0 {
            // The mark of a reference agent: frozen, and nothing more is known.
            world.store.set_mark(Some(b""));
        }
    });
    let mut session = talk::start(&sim);
    if mode & 8 != 0 {
        let now = sim.with(|world| world.store.state.clone());
        assert_eq!(now, text, "the state was written while frozen");
        talk::sync(&mut session, 5);
        return talk::no_violations(&sim);
    }
    let saved = text.as_deref().map(number);
    let mut last: Option<i64> = None;
    for round in 0..4 {
        if round == 2 {
            session.restart().expect("a restart");
        }
        let handle =
            talk::value(&mut session, "guest-file-open", "\"path\": \"/tmp/f\", \"mode\": \"w\"");
        let handle: i64 = handle.expect("an open file").parse().expect("a number");
        match (saved, last) {
            (None, None) => assert_eq!(handle as u64, HANDLE_FIRST, "the first of all"),
            (Some(Some(number)), None) => assert_eq!(handle as u64, number, "as it was saved"),
            (Some(None), None) => assert!(handle as u64 >= FAR, "{handle} after a damaged state"),
            (_, Some(last)) => assert!(handle > last, "{handle} after {last}"),
        }
        last = Some(handle);
    }
    talk::no_violations(&sim);
}

/// The number that a state says, if it says one.
fn number(state: &[u8]) -> Option<u64> {
    if state.len() >= STATE_BYTES_MAX {
        return None;
    }
    let lines = state.split(|&byte| byte == b'\n');
    let mut values = lines.filter_map(|line| line.strip_prefix(b"fd_counter="));
    let digits = std::str::from_utf8(values.next()?).ok()?;
    // The standard library would take a sign.
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = plain.then(|| digits.parse::<u64>().ok())?;
    // More must be able to follow than anybody will ever open.
    number.filter(|&number| number <= i64::MAX as u64 / 2)
}
