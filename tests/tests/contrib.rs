//! What is shipped to start the agent, and for it to run: scripts without a fault, lines that the
//! agent takes, a hook that tells everybody in order.

use qga_tests::{binary, program, repository, skip};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn contrib(file: &str) -> PathBuf {
    repository().join("contrib").join(file)
}

fn text(file: &str) -> String {
    fs::read_to_string(contrib(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

const SCRIPTS: [&str; 4] =
    ["hooks/fsfreeze-hook", "hooks/10-mysql.sample", "runit/run", "openrc/qemu-guest-agent.initd"];

#[test]
fn shell_scripts_have_no_fault() {
    let Some(shellcheck) = program("shellcheck") else {
        return skip("contrib::shell_scripts_have_no_fault", "needs shellcheck");
    };
    for script in SCRIPTS {
        // What openrc-run reads, a script only sets.
        let output = Command::new(&shellcheck)
            .args(["--shell=sh", "--exclude=SC2034"])
            .arg(contrib(script))
            .output()
            .expect("shellcheck");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let mode = fs::metadata(contrib(script)).expect(script).permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script} cannot be executed");
    }
}

/// What the agent says is in force with these words.
fn in_force(words: &[String]) -> String {
    let output =
        Command::new(binary()).args(words).arg("-D").env("QGA_CONF", "/nonexistent").output();
    let output = output.expect("the agent");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    String::from_utf8(output.stdout).expect("text")
}

/// The words of the unit's command after the program, with variables as systemd replaces them.
fn unit_words(variables: &[(&str, &str)]) -> Vec<String> {
    let unit = text("systemd/qemu-guest-agent.service");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("a command");
    let mut words = line.split(' ');
    assert_eq!(words.next(), Some("/usr/bin/qemu-ga"));
    let replaced = words.map(|word| {
        let Some((before, rest)) = word.split_once("${") else { return word.to_owned() };
        let name = rest.strip_suffix('}').expect("a variable at the end");
        let value = variables.iter().find(|(known, _)| *known == name).map_or("", |known| known.1);
        format!("{before}{value}")
    });
    replaced.collect()
}

const PORT: &str = "path=/dev/virtio-ports/org.qemu.guest_agent.0\n";

#[test]
fn the_unit_starts_the_agent_with_and_without_its_settings() {
    let bare = in_force(&unit_words(&[]));
    assert!(bare.contains(PORT) && bare.contains("method=virtio-serial\n"), "{bare}");
    assert!(!bare.contains("fsfreeze-hook="), "{bare}");
    let settings = text("sysconfig/qemu-ga");
    let settings = settings.lines().filter(|line| !line.starts_with('#'));
    let settings: Vec<_> = settings.filter_map(|line| line.split_once('=')).collect();
    assert_eq!(settings.len(), 2);
    let set = in_force(&unit_words(&settings));
    assert!(set.contains("fsfreeze-hook=/etc/qemu/fsfreeze-hook\n"), "{set}");
    let blocks = [("FILTER_RPC_ARGS", "--block-rpcs=guest-exec")];
    assert!(in_force(&unit_words(&blocks)).contains("block-rpcs=guest-exec\n"));
}

#[test]
fn systemd_takes_the_unit() {
    let Some(analyze) = program("systemd-analyze") else {
        return skip("contrib::systemd_takes_the_unit", "needs systemd-analyze (package systemd)");
    };
    let folder = tempfile::tempdir().expect("a folder");
    let unit = text("systemd/qemu-guest-agent.service");
    let unit = unit.replace("/usr/bin/qemu-ga", binary().to_str().expect("a path"));
    let file = folder.path().join("qemu-guest-agent.service");
    fs::write(&file, unit).expect("a unit");
    let output = Command::new(analyze).arg("verify").arg(&file).output().expect("systemd-analyze");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("qemu-guest-agent"), "{said}");
}

#[test]
fn the_service_of_openrc_starts_the_agent_in_the_background() {
    let script = ". ./qemu-guest-agent.confd; . ./qemu-guest-agent.initd; \
                  printf '%s\\n' $command_args";
    let output = Command::new("sh").args(["-c", script]).current_dir(contrib("openrc")).output();
    let words = String::from_utf8(output.expect("sh").stdout).expect("text");
    let words: Vec<String> = words.lines().map(str::to_owned).collect();
    assert!(words.len() >= 8, "{words:?}");
    let set = in_force(&words);
    for line in
        [PORT, "daemon=true\n", "pidfile=/run/qemu-ga.pid\n", "logfile=/var/log/qemu-ga.log\n"]
    {
        assert!(set.contains(line), "{line}: {set}");
    }
}

/// A folder of hooks, each of which notes its name and its word in `told`.
fn hooks(folder: &Path, scripts: &[(&str, &str, u32)]) {
    fs::create_dir(folder.join("d")).expect("a folder");
    for (name, more, mode) in scripts {
        let told = folder.join("told");
        let script = format!("#!/bin/sh\necho {name} $1 >>{}\n{more}\n", told.display());
        let path = folder.join("d").join(name);
        fs::write(&path, script).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).expect("its mode");
    }
}

fn tell(folder: &Path, word: &str) -> (Output, String) {
    let _ = fs::remove_file(folder.join("told"));
    let output = Command::new(contrib("hooks/fsfreeze-hook"))
        .arg(word)
        .env("FSFREEZE_HOOK_D", folder.join("d"))
        .output()
        .expect("the hook");
    (output, fs::read_to_string(folder.join("told")).unwrap_or_default())
}

#[test]
fn the_hook_tells_all_in_order_and_back() {
    let folder = tempfile::tempdir().expect("a folder");
    hooks(
        folder.path(),
        &[
            ("10-a", "", 0o755),
            ("20-b", "", 0o755),
            ("30-c.rpmsave", "", 0o755),
            ("40-d.dpkg-old", "", 0o755),
            ("50-e", "", 0o644),
            ("60 f", "", 0o755),
        ],
    );
    let (output, told) = tell(folder.path(), "freeze");
    assert!(output.status.success());
    assert_eq!(told, "10-a freeze\n20-b freeze\n60 f freeze\n");
    let (output, told) = tell(folder.path(), "thaw");
    assert!(output.status.success());
    assert_eq!(told, "60 f thaw\n20-b thaw\n10-a thaw\n");
    let (output, told) = tell(folder.path(), "melt");
    assert_eq!((output.status.code(), &*told), (Some(2), ""));
}

#[test]
fn a_hook_that_fails_stops_a_freeze_and_no_thaw() {
    let folder = tempfile::tempdir().expect("a folder");
    let fails = "echo why >&2; exit 7";
    hooks(folder.path(), &[("10-a", "", 0o755), ("20-b", fails, 0o755), ("30-c", "", 0o755)]);
    let (output, told) = tell(folder.path(), "freeze");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(told, "10-a freeze\n20-b freeze\n");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("why\n") && said.contains("20-b freeze: exit status 7"), "{said}");
    let (output, told) = tell(folder.path(), "thaw");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(told, "30-c thaw\n20-b thaw\n10-a thaw\n");
}

/// A folder that is not there is one without hooks.
#[test]
fn without_hooks_nothing_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    for word in ["freeze", "thaw"] {
        let (output, told) = tell(folder.path(), word);
        assert!(output.status.success() && told.is_empty(), "{output:?}");
    }
}
