//! A machine whose only userland is busybox and the agent, told to change itself: CPUs and memory
//! blocks go offline and come back, disks are trimmed, users get keys and passwords, and what is
//! suspended to memory answers when it wakes.

use qga_tests::machine::machine;
use serde_json::{Value, json};
use std::time::Duration;
use xtask::vm::{Builder, Channel, RunAs, Vm};

const PATIENCE: Duration = Duration::from_secs(60);

fn ask(agent: &mut Channel, command: &str, arguments: Value) -> Value {
    let request = json!({"execute": command, "arguments": arguments}).to_string();
    serde_json::from_str(&agent.request(&request).unwrap()).unwrap()
}

/// A machine with two CPUs and users.
fn boot(name: &str, step: impl FnOnce(Builder) -> Builder) -> Option<Vm> {
    let users = "root:x:0:0:root:/root:/bin/sh\nu1:x:1001:1001::/data/u1:/bin/sh\n";
    let groups = "root:x:0:\nu1:x:1001:\naudio:x:29:u1\n";
    let builder = machine(name)?
        .run_as(RunAs::Child)
        .with_shell()
        .file("/etc/passwd", users.as_bytes(), 0o644)
        .file("/etc/group", groups.as_bytes(), 0o644)
        .file("/etc/shadow", b"root:*:19000:0:99999:7:::\nu1:!:19000:0:99999:7:::\n", 0o640)
        .script("mkdir /data/u1; chown 1001:1001 /data/u1")
        .qemu_arguments(&["-smp", "2"]);
    Some(step(builder).boot().unwrap())
}

#[test]
fn cpus_and_memory_go_offline_and_come_back() {
    let name = "vm_errands::cpus_and_memory_go_offline_and_come_back";
    let Some(mut vm) = boot(name, |builder| builder) else { return };
    let mut agent = vm.agent().unwrap();
    for online in [false, true] {
        let vcpus = json!({"vcpus": [{"logical-id": 1, "online": online}]});
        assert_eq!(ask(&mut agent, "guest-set-vcpus", vcpus), json!({"return": 1}));
        let vcpus = ask(&mut agent, "guest-get-vcpus", json!({}));
        assert_eq!(vcpus["return"][1]["online"], json!(online), "{vcpus}");
        let kernel = vm.shell("cat /sys/devices/system/cpu/cpu1/online").unwrap();
        assert_eq!(kernel.trim() == "1", online);
    }
    let blocks = ask(&mut agent, "guest-get-memory-blocks", json!({}));
    let blocks = blocks["return"].as_array().expect("a list").clone();
    let last = blocks.last().expect("a block")["phys-index"].clone();
    for online in [false, true] {
        let list = json!({"mem-blks": [{"phys-index": last, "online": online}]});
        let reply = ask(&mut agent, "guest-set-memory-blocks", list);
        let reply = reply["return"][0].clone();
        let path = format!("cat /sys/devices/system/memory/memory{last}/state");
        let state = vm.shell(&path).unwrap();
        match reply["response"].as_str() {
            Some("success") => assert_eq!(state.trim() == "online", online),
            // What the kernel itself uses it cannot give away.
            Some("operation-failed") => {
                assert_eq!((state.trim(), reply["error-code"].is_u64()), ("online", true));
            }
            other => panic!("{other:?}: {reply}"),
        }
    }
}

#[test]
fn what_is_suspended_to_memory_answers_when_it_wakes() {
    let name = "vm_errands::what_is_suspended_to_memory_answers_when_it_wakes";
    let Some(mut vm) = boot(name, |builder| builder) else { return };
    let mut agent = vm.agent().unwrap();
    let states = vm.shell("cat /sys/power/state /sys/power/mem_sleep").unwrap();
    assert!(states.contains("mem") && states.contains("deep"), "{states}");
    agent.send(br#"{"execute":"guest-suspend-ram"}"#).unwrap();
    vm.qmp().wait_event(&["SUSPEND"], PATIENCE).unwrap();
    vm.qmp().execute("system_wakeup", json!({})).unwrap();
    vm.qmp().wait_event(&["WAKEUP"], PATIENCE).unwrap();
    drop(agent);
    let mut agent = vm.agent().unwrap();
    assert_eq!(ask(&mut agent, "guest-ping", json!({})), json!({"return": {}}));
    let left = vm.shell("ps | grep -c '[/]bin/qga'").unwrap();
    assert_eq!(left.trim(), "1", "the copy has ended");
    // To disk it cannot, and says so.
    let said = ask(&mut agent, "guest-suspend-disk", json!({}));
    assert!(said["error"]["desc"].is_string(), "{said}");
}

#[test]
fn disks_are_trimmed_and_users_get_keys_and_passwords() {
    let name = "vm_errands::disks_are_trimmed_and_users_get_keys_and_passwords";
    let Some(mut vm) = boot(name, |builder| builder) else { return };
    let mut agent = vm.agent().unwrap();
    let reply = ask(&mut agent, "guest-fstrim", json!({}));
    let paths = reply["return"]["paths"].as_array().unwrap_or_else(|| panic!("{reply}"));
    assert_eq!((paths.len(), &paths[0]["path"]), (1, &json!("/data")), "{reply}");
    let said = &paths[0];
    assert!(said["trimmed"].is_u64() || said["error"] == "trim not supported", "{said}");

    let add = json!({"username": "u1", "keys": ["ssh-ed25519 AAAA x", ""]});
    assert_eq!(ask(&mut agent, "guest-ssh-add-authorized-keys", add), json!({"return": {}}));
    let keys = ask(&mut agent, "guest-ssh-get-authorized-keys", json!({"username": "u1"}));
    assert_eq!(keys["return"]["keys"], json!(["ssh-ed25519 AAAA x"]));
    let modes = vm.shell("cd /data/u1; stat -c '%a %u %g' .ssh .ssh/authorized_keys").unwrap();
    assert_eq!(modes, "700 1001 1001\n600 1001 1001\n");

    // busybox has chpasswd, which cannot be asked for a hash here that nobody could log in with.
    let password = json!({"username": "u1", "password": "JDYkYSRi", "crypted": true});
    assert_eq!(ask(&mut agent, "guest-set-user-password", password.clone()), json!({"return": {}}));
    assert!(vm.shell("cat /etc/shadow").unwrap().contains("u1:$6$a$b:"));
    // Without it the agent does it itself.
    vm.shell("rm /bin/chpasswd; sed -i 's/6.a.b/x/' /etc/shadow; chmod 640 /etc/shadow").unwrap();
    assert_eq!(ask(&mut agent, "guest-set-user-password", password), json!({"return": {}}));
    let shadow = vm.shell("cat /etc/shadow; stat -c %a /etc/shadow; ls /etc").unwrap();
    assert!(shadow.contains("u1:$6$a$b:") && shadow.contains("\n640\n"), "{shadow}");
    assert!(!shadow.contains("shadow+") && !shadow.contains("shadow.lock"), "{shadow}");
}
