//! Devices that only a kernel of its own has: a mapped device that is suspended while a freeze
//! comes, and a real serial line that a user of its group has opened, or opens.

use qga_tests::machine::machine;
use std::time::Duration;
use xtask::vm::{Builder, RunAs, Vm};

const PATIENCE: Duration = Duration::from_secs(120);

fn shell(vm: &mut Vm, command: &str) -> String {
    vm.shell(command).unwrap_or_else(|error| panic!("{command}: {error}"))
}

/// What the agent answers to a command of the freezer.
fn ask(vm: &mut Vm, command: &str) -> String {
    let mut agent = vm.agent().unwrap();
    agent.set_timeout(PATIENCE);
    agent.request(&format!(r#"{{"execute":"guest-fsfreeze-{command}"}}"#)).unwrap()
}

/// LVM suspends a volume for a moment when it takes a snapshot of it, and writes go on right after.
#[test]
fn a_suspended_device_is_left_out_and_named_or_refused() {
    let name = "a_suspended_device_is_left_out_and_named_or_refused";
    for (strict, arguments) in [(false, &[][..]), (true, &["--freeze-unreachable", "fail"])] {
        let Some(builder) = machine(&format!("vm_devices::{name}")).map(Builder::with_shell) else {
            return;
        };
        let builder = builder.module("dm_mod").module("brd").package("dmsetup");
        let map = "umount /data; mkdir /mapped
            size=$(cat /sys/class/block/vda/size)
            /sbin/dmsetup create --noudevsync volume --table \"0 $size linear /dev/vda 0\"
            mount -t ext4 /dev/dm-0 /mapped
            mke2fs /dev/ram0 8192; mount -t ext4 /dev/ram0 /data";
        let mut vm = builder.run_as(RunAs::Child).arguments(arguments).script(map).boot().unwrap();
        assert_eq!(ask(&mut vm, "freeze"), r#"{"return": 2}"#, "{}", vm.console());
        assert_eq!(ask(&mut vm, "thaw"), r#"{"return": 2}"#);
        shell(&mut vm, "/sbin/dmsetup suspend --noudevsync volume");
        let reply = ask(&mut vm, "freeze");
        if strict {
            assert!(reply.contains("failed to freeze /mapped: Device or resource busy"), "{reply}");
            assert_eq!(ask(&mut vm, "status"), r#"{"return": "thawed"}"#);
        } else {
            assert_eq!(reply, r#"{"return": 1}"#, "{}", vm.console());
            assert_eq!(ask(&mut vm, "thaw"), r#"{"return": 1}"#);
            let said =
                "frozen or suspended by somebody else, who may end that at any time: /mapped";
            vm.wait_console(said, PATIENCE).unwrap();
        }
        // Neither the freeze nor the thaw has let go of what somebody else suspended.
        let writes = "(echo x >/mapped/f; : >/run/written) & sleep 1; [ -e /run/written ]";
        assert_eq!(vm.shell_status(writes).unwrap().0, 1, "it was thawed");
        shell(&mut vm, "/sbin/dmsetup resume --noudevsync volume");
        shell(
            &mut vm,
            "i=0; until [ -e /run/written ]; do sleep 0.1; i=$((i+1)); [ $i -lt 100 ]; done",
        );
    }
}

/// As group `dialout` a user may open it. Each way to feed the agent (TIOCSTI, loopback mode,
/// another line discipline) begins with a descriptor of the line.
#[test]
fn a_serial_line_of_a_group_is_the_agents_alone() {
    let Some(builder) = machine("vm_devices::a_serial_line_of_a_group_is_the_agents_alone")
        .map(Builder::with_shell)
    else {
        return;
    };
    let users = b"root:x:0:0:root:/:/bin/sh\nhostile:x:1000:20:hostile:/tmp:/bin/sh\n";
    let earlier = "#!/bin/sh
exec 3<>/dev/ttyS1 && : >/tmp/open
while [ ! -e /run/try ]; do usleep 50000; done
stty <&3 2>/tmp/said
echo '{\"execute\":\"guest-shutdown\"}' >&3 2>>/tmp/said
: >/tmp/tried
";
    let builder = builder.file("/etc/passwd", users, 0o644).isa_serial().run_as(RunAs::Child);
    let builder = builder.file("/bin/earlier", earlier.as_bytes(), 0o755);
    let script = "chmod 777 /tmp; chgrp 20 /dev/ttyS1; chmod 660 /dev/ttyS1
        su hostile -c /bin/earlier </dev/null >/dev/null 2>&1 &
        await 'ls /tmp/open 2>/dev/null'";
    let mut vm = builder.script(script).boot().unwrap();
    assert_eq!(ask(&mut vm, "status"), r#"{"return": "thawed"}"#);
    shell(
        &mut vm,
        ": >/run/try; i=0; until [ -e /tmp/tried ]; do usleep 50000; i=$((i+1)); [ $i -lt 100 ]; done",
    );
    let said = shell(&mut vm, "cat /tmp/said");
    assert_eq!(said.matches("Input/output error").count(), 2, "who had opened it: {said}");
    let later = "su hostile -c 'echo x >/dev/ttyS1' 2>&1; su hostile -c 'id'";
    let said = shell(&mut vm, later);
    assert!(said.contains("busy"), "who opens it later: {said}");
    assert!(said.contains("uid=1000(hostile)"), "{said}");
    assert_eq!(ask(&mut vm, "status"), r#"{"return": "thawed"}"#);
}
