//! Types that no QGA command has, in a command: the agent's binary does not link with them, so that
//! nobody learns of it from a guest that answers nonsense. A copy of the project gets another
//! guest-ping.

use qga_tests::copy::Copy;
use qga_tests::repository;
use std::fs;
use std::path::Path;

/// Members of arguments, and of the value returned, as source.
const FITTING: (&str, &str) =
    ("first: Option<i64>, second: &'a [u8]", "first: Option<i64>, second: u32");
const ODD_ARGUMENTS: [&str; 5] = [
    "first: u32",
    "first: Option<f64>",
    "first: &'a str",
    "first: (i64, i64)",
    "a: i64, b: i64, c: i64, d: i64, e: i64, f: i64, g: i64, h: i64",
];
const ODD_RETURNS: [&str; 4] = ["first: f32", "first: char", "first: (i64, i64)", "first: Odd"];

const ROOM: &str = "core/src/command/sync.rs";

/// Builds the binary with a guest-ping of these types; what the compiler said when it could not.
fn build(copy: &Copy, arguments: &str, returns: &str) -> Result<(), String> {
    let source = fs::read_to_string(repository().join(ROOM)).expect("guest-sync's room");
    let ping = "pub fn ping(_: Nothing) -> Result<(), Error<'static>> {\n    Ok(())\n}\n";
    assert!(source.contains(ping), "guest-ping looks otherwise now");
    let odd = format!(
        "#[derive(Deserialize)]\npub struct Arguments<'a> {{ {arguments}, }}\n\
         #[derive(Default, serde::Serialize)]\npub struct Returned {{ {returns} }}\n\
         #[derive(Default, serde::Serialize)]\npub struct Odd(i64, i64);\n\
         pub fn ping<'a>(_: Arguments<'a>) -> Result<Returned, Error<'a>> {{\n\
         Ok(core::hint::black_box(Returned::default()))\n}}\n"
    );
    // An unused lifetime would be an error of another kind.
    let odd =
        if arguments.contains("'a") { odd } else { odd.replace("Arguments<'a>", "Arguments") };
    copy.write(ROOM, &source.replace(ping, &odd));
    copy.build_smallest().map(drop)
}

/// Tries types that fit, and some of those that do not, in a copy of its own.
fn try_in(folder: &str, odd: &[(&str, &str)]) {
    let copy = Copy::new(&Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder));
    let (arguments, returns) = FITTING;
    build(&copy, arguments, returns).expect("types of the schema");
    for (arguments, returns) in odd {
        let said = match build(&copy, arguments, returns) {
            Ok(()) => panic!("{arguments}; {returns}: it links"),
            Err(said) => said,
        };
        assert!(said.contains("a_panic_is_reachable"), "{arguments}; {returns}: {said}");
    }
}

/// In two copies at a time: the last step of a build takes one processor.
#[test]
fn odd_arguments_do_not_link() {
    try_in("odd_arguments", &ODD_ARGUMENTS.map(|odd| (odd, FITTING.1)));
}

#[test]
fn odd_returns_do_not_link() {
    try_in("odd_returns", &ODD_RETURNS.map(|odd| (FITTING.0, odd)));
}
