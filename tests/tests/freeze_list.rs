//! Freezing what a client names, on real filesystems: what is not named goes on running, and
//! the next agent knows what was frozen.

use qga_tests::connection::Connection;
use qga_tests::disk::Disk;
use qga_tests::guest::{FROZEN, Guest, THAWED, returns, status, thaw};
use qga_tests::jail::{Mount, Spec, Start};

const UNKNOWN: &str = "warning: not frozen, no filesystem was mounted there first:";

fn freeze(client: &mut Connection, names: &[&str]) -> String {
    let arguments = serde_json::json!({ "mountpoints": names });
    client
        .ask(format!("{{\"execute\":\"guest-fsfreeze-freeze-list\",\"arguments\":{arguments}}}\n"))
}

#[test]
fn what_is_named_freezes_and_the_rest_runs() {
    if Disk::impossible("freeze_list::what_is_named_freezes_and_the_rest_runs") {
        return;
    }
    let bind = Mount { from: "/mnt/a".into(), at: "/mnt/bound".into(), kind: "bind".to_owned() };
    let spec = Spec { mounts: vec![bind], ..Spec::default() };
    let guest = Guest::with_spec(&["/mnt/a", "/mnt/b c", "/mnt/d"], spec);
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    assert_eq!(freeze(&mut client, &[]), returns(0));
    assert_eq!(freeze(&mut client, &["/mnt/b c", "/mnt/nope"]), returns(1));
    assert_eq!(guest.frozen(), [false, true, false]);
    // Nobody waits for what is not frozen.
    guest.run(&["sh", "-c", "echo x >/mnt/a/f && echo x >/mnt/d/f && sync /mnt/a /mnt/d"]);
    assert_eq!(status(&mut client), FROZEN);
    assert_eq!(thaw(&mut client), returns(1));
    assert!(guest.jail.stderr().contains(&format!("{UNKNOWN} /mnt/nope\n")));
    // By its first mount it is known, not by another one.
    assert_eq!(freeze(&mut client, &["/mnt/bound"]), returns(0));
    assert_eq!(status(&mut client), THAWED);
    assert_eq!(freeze(&mut client, &["/mnt/a", "/mnt/d"]), returns(2));
    drop(client);
    agent.kill();
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    assert_eq!(status(&mut client), FROZEN);
    assert_eq!(guest.frozen(), [true, false, true]);
    assert_eq!(thaw(&mut client), returns(2));
    assert_eq!(guest.frozen(), [false; 3]);
    drop(client);
    agent.kill();
    let arguments = ["--freeze-unreachable", "fail"];
    let agent = guest.jail.agent(Start { arguments: &arguments, ..Start::default() });
    let reply = freeze(&mut agent.connect(), &["/mnt/a", "/mnt/a/"]);
    assert!(reply.contains("mounted there first: /mnt/a/: No such file or directory"), "{reply}");
    assert_eq!(guest.frozen(), [false; 3]);
}

/// More names than a window of the channel holds.
#[test]
fn a_long_list() {
    if Disk::impossible("freeze_list::a_long_list") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    let long = format!("/{}", "n".repeat(4000));
    let mut names = vec![long.as_str(); 500];
    names.push("/mnt/b");
    assert_eq!(freeze(&mut client, &names), returns(1));
    assert_eq!(guest.frozen(), [false, true]);
    assert_eq!(thaw(&mut client), returns(1));
    names.extend(["/mnt/a"; 12]);
    let reply = freeze(&mut client, &names);
    assert!(reply.contains("too many filesystems to freeze: at most 512"), "{reply}");
    assert_eq!(guest.frozen(), [false, false]);
}
