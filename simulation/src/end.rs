//! The end of a session: a client and a record in, whatever has happened; a panic out unless the
//! agent answers once everything that was broken is repaired. Invariant: what it froze runs again,
//! and nothing is left open or marked.

use crate::ask::must;
use crate::channel::settle;
use crate::check::check;
use crate::client::Client;
use crate::freezing::thaw;
use crate::mounting::uncover;
use crate::record::Record;
use crate::reply;
use crate::restart::{over, restart};
use crate::source::Source;
use qga_core::platform::FreezeStatus;

/// Everything that was broken is repaired: the agent answers, and what it froze runs again.
pub fn end<S: Source>(client: &mut Client<S>, record: &mut Record) {
    if over(client, record) {
        return;
    }
    client.session.sim.with(|world| {
        world.faults.mend();
        world.mounts.superblocks.iter_mut().for_each(|superblock| superblock.thaw_error = None);
    });
    // A shutdown may still be under way, and may come to its end.
    settle(client, record);
    if over(client, record) {
        return;
    }
    client.dirty = true;
    let answered = must(client, record, "guest-sync", format_args!("\"id\": 7"));
    assert!(answered.is_some_and(|value| reply::number(client.text(value)) == 7), "no answer");
    // What covers a frozen filesystem is taken away: nobody could thaw it otherwise.
    uncover(client, record);
    // A mark that could not be removed makes the next agent careful, once.
    for _ in 0..2 {
        if client.is_frozen() {
            thaw(client, record);
            check(client, record);
            // What is gone is reported, and off the record; everything else runs.
            assert!(!client.is_frozen(), "a thaw without faults");
        }
        restart(client, record);
        check(client, record);
        let marked = client.session.sim.with(|world| world.store.is_marked());
        if !marked && !client.is_frozen() {
            break;
        }
    }
    assert_eq!(client.status(), FreezeStatus::Thawed);
    client.session.sim.with(|world| {
        assert_eq!((world.open.files, world.open.filesystems), (0, 0), "left open");
        assert!(!world.store.is_marked(), "a mark was left behind");
    });
}
