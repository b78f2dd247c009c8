//! The virtual machine itself, without the agent: its shell, its ports, and how it ends.

use std::io::Write;
use std::time::Duration;

use xtask::vm::{self, Builder, RunAs, Vm};

/// A machine without the agent; none, and the skip noted, where no machine can be had.
fn machine(test: &str) -> Option<Builder> {
    match vm::prepare() {
        Ok(()) => Some(Vm::builder().run_as(RunAs::Absent).with_shell()),
        Err(missing) => {
            let skip = format!("{test}: {}", missing.replace('\n', " "));
            println!("SKIPPED: {skip}");
            if let Some(path) = std::env::var_os("QGA_SKIPPED_FILE") {
                let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
                let noted = file.and_then(|mut file| writeln!(file, "{skip}"));
                noted.expect("QGA_SKIPPED_FILE can be written");
            }
            None
        }
    }
}

#[test]
fn the_guest_has_what_the_description_says() {
    let Some(builder) = machine("the_guest_has_what_the_description_says") else { return };
    let builder = builder.module("xfs").file("/etc/note", b"a note\n", 0o600).port("extra");
    let script = "echo said >/dev/console; (echo from the guest >$(port_device extra)) &";
    let mut vm = builder.script(script).disk_mib(32).boot().unwrap();
    assert_eq!(vm.shell("cat /etc/note; stat -c %a /etc/note").unwrap(), "a note\n600\n");
    assert_eq!(vm.shell("grep -c xfs /proc/filesystems").unwrap(), "1\n");
    assert!(vm.shell("mount").unwrap().contains("/dev/vda on /data type ext4 (rw"));
    assert_eq!(vm.shell_status("echo wrong; false").unwrap(), (1, "wrong\n".to_owned()));
    assert!(vm.shell("false").unwrap_err().contains("status 1"));
    vm.wait_console("said", Duration::from_secs(10)).unwrap();
    let said = vm.port("extra").unwrap().receive_line().unwrap();
    assert_eq!(said, b"from the guest");
}

#[test]
fn the_end_of_a_machine_is_told_apart() {
    let Some(builder) = machine("the_end_of_a_machine_is_told_apart") else { return };
    let end = |builder: Builder, command: &str| {
        let mut vm = builder.without_disk().boot().unwrap();
        vm.shell(&format!("(sleep 0.2; {command}) &")).unwrap();
        vm.wait_shutdown(Duration::from_secs(60))
    };
    assert_eq!(end(builder, "poweroff -f"), Ok("guest-shutdown".to_owned()));
    let builder = || Vm::builder().run_as(RunAs::Absent).with_shell();
    assert_eq!(end(builder(), "reboot -f"), Ok("guest-reset".to_owned()));
    let panic = end(builder(), "echo c >/proc/sysrq-trigger").unwrap_err();
    assert!(panic.contains("panicked") && panic.contains("sysrq"), "{panic}");
}

#[test]
fn a_machine_leaves_nothing_behind() {
    let Some(builder) = machine("a_machine_leaves_nothing_behind") else { return };
    let vm = builder.boot().unwrap();
    let directory = vm.directory().to_path_buf();
    let process = format!("/proc/{}", vm.pid());
    assert!(directory.is_dir() && std::path::Path::new(&process).exists());
    drop(vm);
    assert!(!directory.exists() && !std::path::Path::new(&process).exists());
}
