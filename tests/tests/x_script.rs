//! The script `x` on machines that lack something: programs that only write down how they were
//! called take the place of cargo and apt, in a PATH that has nothing else.

use qga_tests::{program, repository, skip};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// What a machine has beside a shell.
struct Machine {
    folder: TempDir,
}

/// apt-get that works: it brings a linker.
const APT: &str = "case $* in *install*) : >\"$BIN/cc\"; /bin/chmod +x \"$BIN/cc\";; esac";
/// apt-get without package lists: it must be told to fetch them.
const APT_WITHOUT_LISTS: &str =
    "case $* in *update*) : >\"$BIN/lists\";; *) [ -e \"$BIN/lists\" ] || exit 100
    : >\"$BIN/cc\"; /bin/chmod +x \"$BIN/cc\";; esac";

impl Machine {
    fn with(programs: &[(&str, &str)]) -> Self {
        let machine = Machine { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(machine.bin()).unwrap();
        for (name, body) in programs {
            machine.add(&machine.bin().join(name), body);
        }
        machine
    }

    fn bin(&self) -> PathBuf {
        self.folder.path().join("bin")
    }

    /// A program that writes down its name and arguments, then does `body`.
    fn add(&self, path: &Path, body: &str) {
        let calls = self.folder.path().join("calls");
        let head = format!("echo \"${{0##*/}}$(printf ' <%s>' \"$@\")\" >>{}", calls.display());
        fs::write(path, format!("#!/bin/sh\n{head}\n{body}\n")).unwrap();
        fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// Runs `x` there, by the way that `script` is.
    fn run(&self, script: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new("/bin/sh");
        command.arg(script).args(arguments).current_dir("/");
        command.env_clear().env("PATH", self.bin()).env("BIN", self.bin());
        command.env("HOME", self.folder.path()).output().unwrap()
    }

    fn x(&self, arguments: &[&str]) -> Output {
        self.run(&repository().join("x"), arguments)
    }

    /// The calls so far, without those of `id`.
    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        text.lines().filter(|line| !line.starts_with("id ")).map(str::to_owned).collect()
    }
}

fn said(output: &Output) -> String {
    assert_eq!(output.stdout, b"", "standard output is the task's");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const ROOT: (&str, &str) = ("id", "echo 0");
const INSTALL: &str = "apt-get <-q> <install> <-y> <--no-install-recommends> <gcc> <libc6-dev>";

#[test]
fn with_everything_there_it_is_the_task() {
    let machine = Machine::with(&[("cc", ""), ("cargo", "pwd; exit 3")]);
    let output = machine.x(&["demo", "--keep", "two words", ""]);
    assert_eq!(output.status.code(), Some(3), "the task's exit status");
    assert_eq!(machine.calls(), ["cargo <xtask> <demo> <--keep> <two words> <>"]);
    let at = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        Path::new(at.trim_end()).canonicalize().unwrap(),
        repository().canonicalize().unwrap()
    );
}

#[test]
fn a_linker_is_installed() {
    let machine = Machine::with(&[ROOT, ("apt-get", APT), ("cargo", "")]);
    let output = machine.x(&["test"]);
    assert!(output.status.success());
    assert!(said(&output).contains("installing with apt-get: gcc libc6-dev"));
    assert_eq!(machine.calls(), [INSTALL, "cargo <xtask> <test>"]);
}

#[test]
fn package_lists_are_fetched_when_there_are_none() {
    let machine = Machine::with(&[ROOT, ("apt-get", APT_WITHOUT_LISTS), ("cargo", "")]);
    assert!(machine.x(&["demo"]).status.success());
    let update = "apt-get <-q> <update>";
    assert_eq!(machine.calls(), [INSTALL, update, INSTALL, "cargo <xtask> <demo>"]);
}

/// What is missing is named, and no task is tried.
#[test]
fn what_cannot_be_had_is_named() {
    let cases: [(&[(&str, &str)], &str); 5] = [
        (&[("id", "echo 1000"), ("apt-get", APT)], "as root: apt-get install"),
        (&[ROOT], "no program cc"),
        (&[ROOT, ("apt-get", "exit 100")], "cannot install gcc"),
        (&[ROOT, ("apt-get", "")], "brought no program cc"),
        (&[("cc", "")], "https://rustup.rs"),
    ];
    for (programs, words) in cases {
        let mut programs = programs.to_vec();
        if words != "https://rustup.rs" {
            programs.push(("cargo", ""));
        }
        let machine = Machine::with(&programs);
        let output = machine.x(&["test"]);
        assert_eq!(output.status.code(), Some(1), "{words}");
        let said = said(&output);
        assert!(said.contains(words), "{words}: {said}");
        assert!(words == "https://rustup.rs" || said.contains("gcc"), "{said}");
        let calls = machine.calls();
        assert!(calls.iter().all(|call| !call.starts_with("cargo")), "{calls:?}");
    }
}

#[test]
fn a_cargo_that_no_shell_knows_yet_is_found() {
    let machine = Machine::with(&[("cc", "")]);
    let bin = machine.folder.path().join(".cargo/bin");
    fs::create_dir_all(&bin).unwrap();
    machine.add(&bin.join("cargo"), "");
    assert!(machine.x(&["size"]).status.success());
    assert_eq!(machine.calls(), ["cargo <xtask> <size>"]);
}

#[test]
fn it_can_be_executed_and_is_clean() {
    let x = repository().join("x");
    assert_ne!(fs::metadata(&x).unwrap().permissions().mode() & 0o111, 0, "./x cannot be executed");
    let Some(shellcheck) = program("shellcheck") else {
        return skip("x_script::it_can_be_executed_and_is_clean", "needs shellcheck");
    };
    let output =
        Command::new(shellcheck).arg(&x).arg(repository().join(".ci/run")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
