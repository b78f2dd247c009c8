//! The file of options and the lists of commands, beside the reference's where it reads the same:
//! what is in force, what is wrong with a file, which commands may be used.

use qga_tests::agent::{Agent, Options};
use qga_tests::{COMMANDS, binary, is_root, program, skip};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A folder, and a file of options in it.
struct File {
    folder: TempDir,
    path: PathBuf,
}

impl File {
    fn new(text: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::Builder::new().prefix("qga-").tempdir().unwrap();
        let path = folder.path().join("conf");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        File { folder, path }
    }

    fn name(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

/// Runs a program that reads the file by its environment, as both agents do.
fn run(program: &Path, file: &Path, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).env("QGA_CONF", file).output().unwrap()
}

fn ours(file: &File, arguments: &[&str]) -> Result<String, String> {
    let output = run(&binary(), &file.path, arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    match output.status.code() {
        Some(0) => Ok(text(output.stdout)),
        _ => Err(text(output.stderr)),
    }
}

/// The keys that both have, each with its value.
fn keys(text: &str) -> Vec<&str> {
    let general = text.split("[qga]").next().unwrap();
    let lines = general.lines().filter(|line| !line.is_empty());
    // Where the state is the agents differ, and only newer references know the other list.
    lines.filter(|l| !l.starts_with("statedir=/") && !l.starts_with("allow-rpcs=")).collect()
}

#[test]
fn what_is_in_force_is_what_the_reference_prints() {
    let test = "config::what_is_in_force_is_what_the_reference_prints";
    let Some(reference) = program("qemu-ga") else {
        return skip(test, "needs Debian's qemu-ga (package qemu-guest-agent)");
    };
    let cases: [(&str, &[&str]); 22] = [
        ("", &[]),
        ("[general]\n", &["-d", "-v", "-r"]),
        ("[general]\n", &["-m", "unix-listen", "-p", "/run/s", "-f", "/x", "-l", "/y"]),
        ("[general]\n", &["-F"]),
        ("[general]\n", &["-F/h", "-F"]),
        ("[general]\n", &["--fsfreeze-hook=/h", "ignored", ""]),
        ("[general]\nfsfreeze-hook=/h\n", &[]),
        ("[general]\nfsfreeze-hook=/h\n", &["-F/other"]),
        ("[general]\ndaemon = true\nverbose=1  \nretry-path=0\n", &[]),
        ("[general]\nverbose=true\nverbose=false\n", &[]),
        ("[general]\nmethod=isa-serial\n", &[]),
        ("[general]\nmethod=isa-serial\npath=/x\n", &["-p", "/y"]),
        ("[general]\npath=a\\sb\\\\c\\tq \n", &[]),
        ("[general]\npath=\\s\\sx\n", &[]),
        ("[general]\r\npath=/x\r\nverbose=true\r\n", &[]),
        ("# first\n\n  [general]  \n\t# second\n  path  =  /x # no comment", &[]),
        ("[other]\npath=\\q\ndaemon=7\n[general]\npath=/x\n[other]\npath=/y\n", &[]),
        ("[general]\npath=/x\nunknown=\\q\npath[de]=/y\nke y=v\n", &[]),
        ("[general]\nblock-rpcs=guest-ping\n", &[]),
        ("[general]\nblacklist=guest-ping\n", &[]),
        ("[general]\nlogfile=/x\npidfile=/y\nstatedir=z\n", &[]),
        ("[general]\n", &["-b", "guest-info"]),
    ];
    for (text, arguments) in cases {
        let file = File::new(text);
        let arguments = [arguments, &["-D"]].concat();
        let theirs = run(&reference, &file.path, &arguments);
        let theirs = String::from_utf8(theirs.stdout).unwrap();
        let found = ours(&file, &arguments).unwrap_or_else(|said| panic!("{text}: {said}"));
        assert_eq!(keys(&found), keys(&theirs), "{arguments:?} {text}");
    }
    // Its order, and ours: the reference turns each list around.
    let file = File::new("[general]\nblock-rpcs=guest-ping,guest-info\n");
    let found = ours(&file, &["-D", "-b", "guest-sync"]).unwrap();
    assert!(found.contains("\nblock-rpcs=guest-sync,guest-ping,guest-info\n"), "{found}");
}

/// What is printed means the same when it is read.
#[test]
fn what_is_printed_can_be_read() {
    let none = File::new("");
    let lists: [&[&str]; 7] = [
        &[],
        &["-a", ""],
        &["-a", "guest-ping;guest-info", "-b", "guest-info"],
        &["-F/dev/null", "-v", "-d", "-r", "-m", "unix-listen", "-p", " a\\b\tc\nd\re "],
        &["-F", "--statedir=/a", "--pidfile=/b", "-l", "/c"],
        &["--freeze-timeout=7", "--freeze-deadline=8", "--freeze-unreachable=fail"],
        &["--exclude-interfaces=veth*; br-?"],
    ];
    for arguments in lists {
        let printed = ours(&none, &[arguments, &["-D"]].concat()).unwrap();
        let file = File::new(&printed);
        assert_eq!(ours(&file, &["-D"]).unwrap(), printed, "{arguments:?}");
        let named = ours(&none, &["-c", file.name(), "-D"]).unwrap();
        assert_eq!(named, printed, "{arguments:?}");
    }
    // Without a list nothing says that nothing is allowed.
    assert!(!ours(&none, &["-D"]).unwrap().contains("allow-rpcs"));
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let cases = [
        ("x\n", 1, "key or comment, see"),
        ("a=b\n", 1, ""),
        ("\n# c\n[general]\ndaemon=maybe\n", 4, "'maybe'"),
        ("[general]\nverbose=True\n", 2, "'True'"),
        ("[general]\nverbose=\n", 2, ""),
        ("[general]\nverbose=10\n", 2, "'10'"),
        ("[general]\npath=a\\qb\n", 2, "'path'"),
        ("[general]\npath=x\\\n", 2, "'path'"),
        ("[general\n", 1, ""),
        ("[general]x\n", 1, ""),
        ("[]\n", 1, ""),
        ("[general]\n=x\n", 2, ""),
        ("[general]\na]=x\n", 2, ""),
        ("[general]\nx", 2, ""),
        ("\u{feff}[general]\n", 1, ""),
    ];
    let reference = program("qemu-ga");
    for (text, line, word) in cases {
        let file = File::new(text);
        let said = ours(&file, &["-D"]).expect_err(text);
        let place = format!("{}:{line}: ", file.name());
        assert!(said.contains(&place) && said.contains(word), "{text}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        if let Some(reference) = &reference {
            assert_eq!(run(reference, &file.path, &["-D"]).status.code(), Some(1), "{text}");
        }
    }
    // The agent's own words: what it does not know there is not for somebody else.
    for (text, line, word) in [
        ("[qga]\nfreeze-timeout=never\n", 2, "never"),
        ("[qga]\nfreeze-timeout=60\nfreeze-deadlin=3\n", 3, "freeze-deadlin"),
        ("[qga]\nfreeze-unreachable=x\n", 2, "x"),
        ("[general]\nmethod=x\n", 2, "x"),
    ] {
        let file = File::new(text);
        let said = ours(&file, &["-D"]).expect_err(text);
        let place = format!("{}:{line}: ", file.name());
        assert!(said.contains(&place) && said.contains(&format!("'{word}'")), "{text}: {said}");
    }
}

#[test]
fn which_file_is_read() {
    let none = File::new("");
    let missing = none.folder.path().join("missing");
    let run = |file: &Path, arguments: &[&str]| run(&binary(), file, arguments);
    let code = |output: Output| output.status.code();
    assert_eq!(code(run(&missing, &["-D"])), Some(0), "what need not be there");
    let named = missing.to_str().unwrap();
    let output = run(&none.path, &["-c", named, "-D"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(named) && said.contains("No such file"), "{said}");
    // What the environment names does not count where one is named.
    let wrong = File::new("x");
    assert_eq!(code(run(&wrong.path, &["-D"])), Some(1));
    for words in [["-c", none.name()].as_slice(), &[&format!("--config={}", none.name())]] {
        assert_eq!(code(run(&wrong.path, &[words, &["-D"]].concat())), Some(0), "{words:?}");
    }
    // A text is printed whatever the file says.
    assert_eq!(code(run(&wrong.path, &["-V"])), Some(0));
    let folder = none.folder.path();
    assert_eq!(code(run(folder, &["-D"])), Some(1), "a directory");
    assert_eq!(code(run(Path::new("/dev/null"), &["-D"])), Some(0), "no file at all");
    let large = File::new([b"[general]\n# ".as_slice(), &[b'x'; 20_000]].concat());
    let said = ours(&large, &["-D"]).expect_err("a file that is too large");
    assert!(said.contains("File too large") && said.contains(large.name()), "{said}");
    let full = File::new([b"[general]\npath=/".as_slice(), &[b'x'; 16_384 - 16]].concat());
    assert_eq!(fs::metadata(&full.path).unwrap().len(), 16_384);
    assert_eq!(code(run(&full.path, &["-D", "-p", "/x"])), Some(0));
}

/// Whoever can write to the file would be root by it.
#[test]
fn a_file_that_others_can_write_to_is_refused() {
    let file = File::new("[general]\n");
    for mode in [0o646, 0o664] {
        fs::set_permissions(&file.path, PermissionsExt::from_mode(mode)).unwrap();
        let said = ours(&file, &["-D"]).expect_err("not trusted");
        assert!(said.contains(file.name()) && said.contains("others"), "{said}");
    }
    fs::set_permissions(&file.path, PermissionsExt::from_mode(0o600)).unwrap();
    ours(&file, &["-D"]).unwrap();
    if !is_root() {
        return skip(
            "config::a_file_that_others_can_write_to_is_refused",
            "needs root, to give it away",
        );
    }
    std::os::unix::fs::chown(&file.path, Some(65534), None).unwrap();
    ours(&file, &["-D"]).expect_err("another user's");
}

#[test]
fn a_file_is_obeyed_and_the_command_line_comes_first() {
    let file = File::new(
        "[general]\nmethod=isa-serial\npath=/nowhere\nverbose=true\nblock-rpcs=guest-exec\n\
         [qga]\nexclude-interfaces=lo\n",
    );
    let arguments = ["-c", file.name(), "-b", "guest-file-open"].map(String::from).to_vec();
    let agent = Agent::start(Options { arguments, ..Options::default() });
    let mut client = agent.connect();
    let disabled = disabled(&client.ask("{\"execute\":\"guest-info\"}\n"));
    assert_eq!(disabled, ["guest-exec", "guest-file-open"], "lists add up");
    let shown = client.ask("{\"execute\":\"guest-network-get-interfaces\"}\n");
    assert!(!shown.contains("\"lo\""), "{shown}");
    assert!(agent.stderr().contains("guest-info called"), "{}", agent.stderr());
}

/// The commands that guest-info says may not be used, in the order of their names.
fn disabled(info: &str) -> Vec<String> {
    let info: Value = serde_json::from_str(info).unwrap();
    let commands = info["return"]["supported_commands"].as_array().unwrap().iter();
    let disabled = commands.filter(|command| command["enabled"] == false);
    let mut names: Vec<String> =
        disabled.map(|command| command["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// Each command as the agent answers it: those that are disabled.
fn refused(client: &mut qga_tests::connection::Connection) -> Vec<String> {
    let mut refused = Vec::new();
    for name in COMMANDS {
        // An argument that no command has: nothing is done.
        let request = format!("{{\"execute\":\"{name}\",\"arguments\":{{\"no-such\":1}}}}\n");
        let reply: Value = serde_json::from_str(&client.ask(request)).unwrap();
        let desc = reply["error"]["desc"].as_str().unwrap();
        let why = format!("Command {name} has been disabled: the command is not allowed");
        if desc == why {
            assert_eq!(reply["error"]["class"], "CommandNotFound", "{name}");
            refused.push((*name).to_owned());
        } else {
            assert!(desc.contains("no-such") || desc.contains("is missing"), "{name}: {desc}");
        }
    }
    refused.sort();
    refused
}

#[test]
fn lists_of_commands() {
    let all_but = |names: &[&str]| {
        let mut others: Vec<String> =
            COMMANDS.iter().filter(|name| !names.contains(name)).map(|n| (*n).to_owned()).collect();
        others.sort();
        others
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let harmless = ["guest-sync", "guest-sync-delimited", "guest-ping", "guest-info"];
    let base = ["guest-info", "guest-sync"];
    let cases: [(&[&str], Vec<String>); 12] = [
        (&[], vec![]),
        (&["-b", ""], vec![]),
        (&["-b", "guest-exec,guest-exec-status"], names(&["guest-exec", "guest-exec-status"])),
        (&["-b", " guest-exec ; guest-ping,,;"], names(&["guest-exec", "guest-ping"])),
        (&["--blacklist=guest-exec", "--block=guest-ping"], names(&["guest-exec", "guest-ping"])),
        (&["-b", "guest-nonsense,guest-ping,x"], names(&["guest-ping"])),
        (&["-b", "guest-pin,Guest-exec,exec,guest-exec-statu"], vec![]),
        (&["-a", ""], all_but(&harmless)),
        (&["-a", " ,; "], all_but(&harmless)),
        (&["-a", "guest-info;guest-sync"], all_but(&base)),
        (&["-a", "guest-info", "-a", "guest-sync", "-b", "guest-exec"], all_but(&base)),
        (&["-a", "guest-info,guest-sync,guest-exec", "-b", "guest-exec"], all_but(&base)),
    ];
    for (arguments, expected) in cases {
        let own = arguments.iter().map(|word| (*word).to_owned()).collect();
        let agent = Agent::start(Options { arguments: own, ..Options::default() });
        let mut client = agent.connect();
        assert_eq!(
            disabled(&client.ask("{\"execute\":\"guest-info\"}\n")),
            expected,
            "{arguments:?}"
        );
        assert_eq!(refused(&mut client), expected, "{arguments:?}");
        let said = agent.stderr();
        let unknown = arguments.iter().any(|list| list.contains('x') && list.contains("guest-pin"));
        assert_eq!(!said.is_empty(), unknown && expected.len() < 2, "{arguments:?}: {said}");
    }
}

/// An unknown name is said, wherever the log goes, and the service goes on.
#[test]
fn an_unknown_name_is_a_warning() {
    let list = "guest-nonsense,guest-ping, guest\nother";
    let agent = Agent::start(Options {
        arguments: ["-b", list].map(String::from).to_vec(),
        ..Options::default()
    });
    let said = agent.stderr();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].contains(": warning: ") && lines[0].ends_with(" guest-nonsense"), "{said}");
    assert!(lines[1].contains(": warning: ") && lines[1].ends_with(" guest\\nother"), "{said}");
    assert!(agent.connect().ask("{\"execute\":\"guest-ping\"}\n").contains("has been disabled"));
    drop(agent);
    // An allow list of unknown names alone is not an empty one.
    let agent = Agent::start(Options {
        arguments: ["-a", "guest-nonsense"].map(String::from).to_vec(),
        ..Options::default()
    });
    assert!(agent.connect().ask("{\"execute\":\"guest-info\"}\n").contains("has been disabled"));
}

#[test]
fn help_lists_the_commands() {
    let mut all: Vec<&str> = COMMANDS.to_vec();
    all.sort_unstable();
    for words in
        [["-b", "help"], ["-b", "?"], ["-a", "help"], ["--allow", "?"], ["--blacklist", "help"]]
    {
        let output = Command::new(binary()).args(words).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{words:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        let mut lines: Vec<&str> = said.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, all, "{words:?}");
    }
}

#[test]
fn more_lists_than_there_is_room_for() {
    let words = ["-b", "guest-exec"].repeat(5);
    let output = Command::new(binary()).args(&words).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("too many lists") && said.contains("guest-exec"), "{said}");
}
