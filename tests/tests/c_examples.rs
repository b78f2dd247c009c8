//! The agent for kernels written in C: its header is fresh and strict C, its library wants nothing
//! of the kernel but the memory functions and has no reachable panic, and the C program of
//! examples/c holds the project's own conversations with it, byte for byte, under valgrind and
//! under the compiler's sanitizers.

#[path = "c/player.rs"]
#[allow(dead_code, reason = "shared with targets.rs")]
mod player;

use player::{Player, STRICT, Symbol, conversations, hold_all, run, symbols};
use qga_tests::connection::shown;
use qga_tests::jail::AGENT_FOLDER as FOLDER;
use qga_tests::play::with_folder;
use qga_tests::{program, repository, skip};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use xtask::{build, install, paths};

/// Valgrind, as strict as it can be.
const VALGRIND: [&str; 6] = [
    "valgrind",
    "--quiet",
    "--error-exitcode=99",
    "--leak-check=full",
    "--track-origins=yes",
    "--exit-on-first-error=yes",
];
/// What every program here is started by, the symbols of which valgrind must have.
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// The bound that the tutorial gives.
const STACK_BYTES: usize = 6 * 1024;
const STACK_TEXT: &str = "6,144";

fn folder() -> PathBuf {
    paths::target().join("core-c")
}

/// The library, built once.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let mut cargo = build::cargo();
        cargo.args(["build", "--release", "--target-dir"]).arg(folder());
        run(cargo.current_dir(repository().join("core-c"))).expect("core-c builds");
        folder().join("release/libqga.a")
    })
}

/// How to run a program under valgrind. Where the C library's symbols are not installed they are
/// unpacked into a folder of ours. Errors: valgrind does not run here.
fn valgrind() -> Result<Vec<String>, String> {
    install::commands(&[("valgrind", "valgrind")])?;
    let mut words = VALGRIND.map(str::to_owned).to_vec();
    let works = |words: &[String]| run(Command::new(&words[0]).args(&words[1..]).arg("/bin/true"));
    if works(&words).is_ok() {
        return Ok(words);
    }
    let into = folder().join("symbols");
    install::unpack(&["libc6-dbg"], &into)?;
    let notes = run(Command::new("readelf").args(["-n", LOADER]))?;
    let id = notes.lines().find_map(|line| line.trim().strip_prefix("Build ID: "));
    let (first, rest) = id.and_then(|id| id.split_at_checked(2)).ok_or("the loader has no id")?;
    let symbols = into.join(format!("usr/lib/debug/.build-id/{first}/{rest}.debug"));
    // Where valgrind looks, beside its fixed places: below that path, in the folder of the loader.
    let extra = into.join("extra");
    let failed = |error| format!("cannot lay out {}: {error}", symbols.display());
    let loader = fs::canonicalize(LOADER).map_err(failed)?;
    let beside = loader.parent().and_then(|folder| folder.strip_prefix("/").ok());
    let beside = extra.join(beside.ok_or("the loader has no folder")?);
    fs::create_dir_all(&beside).map_err(failed)?;
    fs::copy(&symbols, beside.join(format!("{rest}.debug"))).map_err(failed)?;
    words.push(format!("--extra-debuginfo-path={}", extra.display()));
    works(&words).map(|_| words)
}

/// Compiles a program of examples/c with the strictest flags, against the header and the library.
/// The link is the proof that no panic can be reached.
fn compile(name: &str, sources: &[&str], flags: &[&str]) -> PathBuf {
    let program = folder().join(name);
    let mut cc = Command::new("cc");
    cc.args(STRICT).args(["-O1", "-g", "-I"]).arg(repository().join("core-c/include"));
    cc.args(flags).args(sources).arg(library()).arg("-o").arg(&program);
    run(cc.current_dir(repository().join("examples/c"))).expect("the example compiles");
    program
}

#[test]
fn every_conversation_under_valgrind() {
    let valgrind = match valgrind() {
        Ok(words) => words,
        Err(reason) => {
            let name = "c_examples::every_conversation_under_valgrind";
            return skip(name, &reason.replace('\n', "; "));
        }
    };
    let words: Vec<&str> = valgrind.iter().map(String::as_str).collect();
    hold_all(&compile("conversations", &["conversations.c", "guest.c"], &[]), &words);
}

#[test]
fn every_conversation_under_the_sanitizers() {
    let flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    hold_all(&compile("conversations-sanitized", &["conversations.c", "guest.c"], &flags), &[]);
}

#[test]
fn shutdown_is_asked_of_the_kernel_and_not_answered() {
    let mut player = Player::start(&compile("power", &["conversations.c", "guest.c"], &[]), &[]);
    for (arguments, power) in [
        ("", "powerdown"),
        (r#","arguments":{"mode":"halt"}"#, "halt"),
        (r#","arguments":{"mode":"reboot"},"id":1"#, "reboot"),
    ] {
        player.guest(&[]);
        assert_eq!(player.power(), "power on");
        let request = format!(r#"{{"execute":"guest-shutdown"{arguments}}}"#);
        let reply = player.send(request.as_bytes(), 0, "copy");
        assert_eq!((shown(&reply), player.power()), (shown(b""), format!("power {power}")));
        // Whatever comes while the guest goes down finds no agent any more.
        assert!(player.send(br#"{"execute":"guest-ping"}"#, 0, "copy").is_empty());
    }
    player.finish();
}

#[test]
fn what_a_function_returns_is_not_believed() {
    let mut player = Player::start(&compile("lies", &["conversations.c", "guest.c"], &[]), &[]);
    player.guest(&[]);
    player.say("lies");
    let mut ask = |command: &str, arguments: &str| -> String {
        let text = format!(r#"{{"execute":"guest-{command}","arguments":{{{arguments}}}}}"#);
        String::from_utf8(player.send(text.as_bytes(), 0, "copy")).expect("text")
    };
    assert_eq!(ask("file-open", r#""path":"/run/a/f","mode":"w+""#), "{\"return\": 1000}\n");
    for (command, arguments) in [
        ("file-read", r#""handle":1000"#),
        ("file-write", r#""handle":1000,"buf-b64":"AAAA""#),
        ("file-seek", r#""handle":1000,"offset":0,"whence":0"#),
    ] {
        let reply = ask(command, arguments);
        assert!(reply.contains("Input/output error"), "{command}: {reply}");
    }
    assert_eq!(ask("ping", ""), "{\"return\": {}}\n");
    player.finish();
}

#[test]
fn what_the_table_lacks_is_no_command() {
    let mut player = Player::start(&compile("lacks", &["conversations.c", "guest.c"], &[]), &[]);
    let commands = |player: &mut Player, lacks: &[&str]| -> Vec<String> {
        player.guest(lacks);
        let reply = player.send(br#"{"execute":"guest-info"}"#, 0, "copy");
        let info: serde_json::Value = serde_json::from_slice(&reply).expect("JSON");
        let list = info["return"]["supported_commands"].as_array().expect("a list").clone();
        list.iter().map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
    };
    let all = commands(&mut player, &[]);
    let of = |prefix: &str| -> Vec<&String> {
        all.iter().filter(|name| name.starts_with(prefix)).collect()
    };
    for (lacking, gone) in [
        ("files", of("guest-file-")),
        ("write", of("guest-file-write")),
        ("seek", of("guest-file-seek")),
        ("power", of("guest-shutdown")),
        ("clock", of("guest-get-time")),
    ] {
        assert!(!gone.is_empty(), "nothing to lack: {lacking}");
        let left = commands(&mut player, &[lacking]);
        let expected: Vec<_> = all.iter().filter(|name| !gone.contains(name)).cloned().collect();
        assert_eq!(left, expected, "a guest that lacks {lacking}");
        for name in gone {
            let reply = player.send(format!("{{\"execute\":\"{name}\"}}").as_bytes(), 0, "place");
            let found = format!(
                "{{\"error\": {{\"class\": \"CommandNotFound\", \
                 \"desc\": \"The command {name} has not been found\"}}}}\n"
            );
            assert_eq!(shown(&reply), shown(found.as_bytes()));
        }
    }
    player.finish();
}

/// Measured on a painted stack, the C functions of the guest included, over all conversations.
#[test]
fn the_stack_is_as_small_as_the_tutorial_says() {
    let source = repository().join("tests/tests/c/stack.c");
    let flags = ["-I", ".", source.to_str().expect("a path in UTF-8")];
    let program = compile("stack", &["guest.c"], &flags);
    let mut deepest = 0;
    for conversation in conversations() {
        let requests = conversation.steps.iter().flat_map(|step| with_folder(&step.send, FOLDER));
        let mut command = Command::new(&program);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("runs");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(&requests.collect::<Vec<u8>>()).expect("it reads");
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        let bytes: usize = String::from_utf8_lossy(&output.stdout).trim().parse().expect("bytes");
        deepest = deepest.max(bytes);
    }
    println!("{deepest} bytes of stack");
    assert!((1024..=STACK_BYTES).contains(&deepest), "{deepest} bytes of stack");
    let text = fs::read_to_string(repository().join("docs/embedding.md")).expect("a page");
    let said = format!("| stack, of all conversations the deepest, at most | {STACK_TEXT} |");
    assert!(text.contains(&said), "docs/embedding.md does not say: {said}");
}

#[test]
fn the_header_is_fresh() {
    let mut cargo = build::cargo();
    let manifest = repository().join("core-c/header/Cargo.toml");
    cargo.args(["run", "--quiet", "--target-dir"]).arg(folder().join("header"));
    cargo.arg("--manifest-path").arg(manifest).args(["--", "--check"]);
    run(&mut cargo).expect("core-c/include/qga.h is what core-c/header writes");
}

#[test]
fn the_header_is_strict_c_and_cpp() {
    let include = repository().join("core-c/include");
    let text = "#include \"qga.h\"\nstatic struct qga_agent agent;\n\
                int main(void) { return qga_step(&agent) == QGA_STEP_RECEIVE; }\n";
    for (compiler, language, standard) in
        [("cc", "c", "c99"), ("cc", "c", "c11"), ("c++", "c++", "c++11"), ("c++", "c++", "c++20")]
    {
        if program(compiler).is_none() {
            let name = format!("c_examples::the_header_is_strict_c_and_cpp with {compiler}");
            skip(&name, "no such compiler here");
            continue;
        }
        let mut command = Command::new(compiler);
        command.args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]);
        command.arg(format!("-std={standard}")).arg("-I").arg(&include);
        let mut child = command
            .args(["-x", language, "-"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{compiler}: {error}"));
        child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("the compiler reads");
        assert!(child.wait().expect("a status").success(), "{compiler} -std={standard}");
    }
}

/// The library's own object: the rest of the archive is the compiler's, linked only where it is
/// needed.
#[test]
fn the_library_wants_only_memory_functions() {
    let ours = |symbol: &Symbol| symbol.undefined && symbol.object.starts_with("qga-");
    let wanted = symbols(library()).into_iter().filter(ours).map(|symbol| symbol.name);
    let wanted: Vec<String> = wanted.collect();
    let memory = ["memcpy", "memmove", "memset", "memcmp", "bcmp", "strlen"];
    let other: Vec<_> = wanted.iter().filter(|name| !memory.contains(&name.as_str())).collect();
    assert!(!wanted.is_empty() && other.is_empty(), "the library wants {wanted:?}");
}

#[test]
fn the_smallest_agent_answers() {
    let program = compile("smallest", &["smallest.c"], &[]);
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the smallest agent starts");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(br#"{"execute":"guest-ping"}{"execute":"guest-shutdown"}"#).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends with its input");
    let expected = "{\"return\": {}}\n{\"error\": {\"class\": \"CommandNotFound\", \
                    \"desc\": \"The command guest-shutdown has not been found\"}}\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    assert!(output.status.success());
}
