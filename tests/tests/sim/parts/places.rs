//! Filesystems mounted on what is no directory and no regular file, as a container's bind mounts
//! can be: a mount point whose opening does something else is not opened.

use crate::freeze::{ask, disks, frozen};
use crate::guest::Large;
use qga_core::platform::Device;
use qga_sim::files::Content;
use qga_sim::mounts::By;
use qga_sim::{Kind, Sim};
use serde_json::json;

const ODD: &str = "/mnt/fifo";

/// Mounts `device` on a FIFO.
fn mount_on_fifo(sim: &Sim, device: Device) {
    sim.with(|world| {
        world.files.add(ODD, Content::Fifo(Default::default()));
        world.mount("ext4", device, ODD);
    });
}

#[test]
fn it_is_neither_frozen_nor_thawed() {
    let sim = disks(2);
    mount_on_fifo(&sim, Device::new(8, 9));
    sim.with(|world| world.mounts.at(ODD).frozen = Some(By::Other));
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    assert_eq!(sim.with(|world| world.faults.count(Kind::OpenMount)), 2);
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
    // With nothing recorded a thaw tries everything else.
    sim.with(|world| world.mounts.at("/mnt/b").frozen = Some(By::Other));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 1}));
    assert_eq!(frozen(&sim, ODD), Some(By::Other));
    assert_eq!(sim.with(|world| world.faults.count(Kind::OpenMount)), 4);
}

#[test]
fn what_is_frozen_and_only_there_stays_on_record() {
    let sim = disks(2);
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    mount_on_fifo(&sim, Device::new(8, 0));
    assert!(sim.with(|world| world.mounts.detach("/mnt/a")));
    session.restart().expect("a restart");
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "error"}));
    let text = "failed to thaw /mnt/a: Device or resource busy";
    let error = json!({"error": {"class": "GenericError", "desc": text}});
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), error);
    assert_eq!(frozen(&sim, ODD), Some(By::Agent));
    sim.with(|world| world.mount("ext4", Device::new(8, 0), "/mnt/again"));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 1}));
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
    assert!(!sim.with(|world| world.mounts.is_frozen_by_agent()));
}
