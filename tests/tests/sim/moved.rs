//! Filesystems that are mounted elsewhere, or covered, between a freeze and the next agent's thaw: what is frozen
//! is found wherever it is mounted, and what cannot be reached stays on record. All of it was found by
//! seeds of `cargo xtask sim`.

use crate::freeze::{ask, disks, frozen};
use crate::guest::Large;
use qga_core::platform::Device;
use qga_sim::{Fault, Kind, Sim};
use serde_json::json;

/// Two filesystems frozen, the first mounted at /mnt/bind as well; then `change`, and another agent.
fn frozen_then(change: impl FnOnce(&Sim)) -> (Sim, Large) {
    let sim = disks(2);
    sim.with(|world| world.mount("ext4", Device::new(8, 0), "/mnt/bind"));
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    change(&sim);
    session.restart().expect("a restart");
    (sim, session)
}

fn all_thawed(sim: &Sim, session: &mut Large) {
    assert_eq!(ask(session, "fsfreeze-status"), json!({"return": "thawed"}));
    sim.with(|world| {
        assert!(!world.mounts.is_frozen_by_agent());
        assert_eq!((world.store.mark(), world.open.filesystems), (None, 0));
        assert_eq!(world.violations, Vec::<String>::new());
    });
}

#[test]
fn unmounted_where_it_was_frozen_and_mounted_elsewhere() {
    let (sim, mut session) = frozen_then(|sim| assert!(sim.with(|w| w.mounts.detach("/mnt/a"))));
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "frozen"}));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
    assert_eq!(frozen(&sim, "/mnt/bind"), None);
    all_thawed(&sim, &mut session);
}

#[test]
fn covered_where_it_was_frozen_and_mounted_elsewhere() {
    let (sim, mut session) =
        frozen_then(|sim| sim.with(|world| world.mount("ext4", Device::new(8, 7), "/mnt/a")));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
    all_thawed(&sim, &mut session);
}

#[test]
fn covered_everywhere_it_stays_on_record() {
    let cover = |sim: &Sim| sim.with(|world| world.mount("ext4", Device::new(8, 7), "/mnt/b"));
    let (sim, mut session) = frozen_then(cover);
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "error"}));
    assert!(ask(&mut session, "fsfreeze-thaw")["error"]["desc"].is_string());
    // The other one runs; this one does not, and nobody says that it does.
    assert_eq!(frozen(&sim, "/mnt/a"), None);
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "error"}));
    assert!(sim.with(|world| world.mounts.detach("/mnt/b")));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 1}));
    all_thawed(&sim, &mut session);
}

/// Whatever cannot be read while it is looked for elsewhere does not make it gone.
#[test]
fn looking_elsewhere_fails() {
    for kind in [Kind::Mounts, Kind::ReadTable] {
        for &errno in kind.errnos() {
            let (sim, mut session) =
                frozen_then(|sim| assert!(sim.with(|world| world.mounts.detach("/mnt/a"))));
            sim.with(|world| {
                world.faults.clear();
                world.faults.fail(Fault { kind: Some(kind), number: 0, errno, lasting: true });
            });
            session.restart().expect("a restart");
            ask(&mut session, "fsfreeze-thaw");
            let status = ask(&mut session, "fsfreeze-status");
            if errno.0 != 4 {
                assert_eq!(status, json!({"return": "error"}), "{kind:?} {errno}");
            }
            sim.with(|world| world.faults.clear());
            ask(&mut session, "fsfreeze-thaw");
            all_thawed(&sim, &mut session);
        }
    }
}
