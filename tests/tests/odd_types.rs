//! Types that no QGA command has, in a command: the agent's binary does not link with them, so that nobody learns of it
//! from a guest that answers nonsense. A copy of the project gets another guest-ping.

use qga_tests::repository;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the binary is made of.
const PARTS: [&str; 9] = [
    ".cargo",
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "core",
    "platform-baremetal",
    "platform-linux",
    "platform-sim",
    "virtio-console",
];

/// Members of arguments, and of the value returned, as source.
const FITTING: (&str, &str) =
    ("first: Option<i64>, second: &'a [u8]", "first: Option<i64>, second: u32");
const ODD_ARGUMENTS: [&str; 5] = [
    "first: u32",
    "first: Option<f64>",
    "first: &'a str",
    "first: (i64, i64)",
    "a: i64, b: i64, c: i64, d: i64, e: i64, f: i64, g: i64",
];
const ODD_RETURNS: [&str; 4] = ["first: f32", "first: char", "first: (i64, i64)", "first: Odd"];

struct Copy(PathBuf);

impl Copy {
    fn new() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("odd_types");
        let _ = fs::remove_dir_all(folder.join("source"));
        fs::create_dir_all(folder.join("source")).expect("a folder in target");
        for part in PARTS {
            let copied = Command::new("cp")
                .arg("-r")
                .arg(repository().join(part))
                .arg(folder.join("source"))
                .status();
            assert!(copied.is_ok_and(|status| status.success()), "{part} is not copied");
        }
        Copy(folder)
    }

    /// Builds the binary with a guest-ping of these types; what the compiler said when it could not.
    fn build(&self, arguments: &str, returns: &str) -> Result<(), String> {
        let file = self.0.join("source/core/src/command/sync.rs");
        let source = fs::read_to_string(repository().join("core/src/command/sync.rs"));
        let source = source.expect("guest-sync's room");
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
        fs::write(&file, source.replace(ping, &odd)).expect("a file in target");
        let output = Command::new(env!("CARGO"))
            .args(["build", "--release", "--offline", "-p", "qga-linux", "--target-dir"])
            .arg(self.0.join("target"))
            .current_dir(self.0.join("source"))
            .env_remove("RUSTFLAGS")
            .output()
            .expect("cargo");
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into())
        }
    }
}

#[test]
fn an_odd_type_does_not_link() {
    let copy = Copy::new();
    let (arguments, returns) = FITTING;
    copy.build(arguments, returns).expect("types of the schema");
    let odd = ODD_ARGUMENTS.map(|odd| (odd, returns)).into_iter();
    for (arguments, returns) in odd.chain(ODD_RETURNS.map(|odd| (arguments, odd))) {
        let said = match copy.build(arguments, returns) {
            Ok(()) => panic!("{arguments}; {returns}: it links"),
            Err(said) => said,
        };
        assert!(said.contains("a_panic_is_reachable"), "{arguments}; {returns}: {said}");
    }
}
