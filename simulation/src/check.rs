//! The oracle: a session after an act comes in, a panic goes out if anything is not as it must be.
//! Invariant: the agent takes no step for it.

use crate::client::Client;
use crate::deadline::check_time;
use crate::record::Record;
use crate::sight::frozen_by_agent;
use crate::source::Source;
use qga_core::internals::exec::Programs;
use qga_core::platform::{FreezeStatus, Kept as _};

/// Most descriptors that one program takes: two pipes, what keeps their bytes, and its report.
const PROGRAM_DESCRIPTORS: usize = 5;

/// What must be true after every act.
pub fn check<S: Source>(client: &mut Client<S>, record: &mut Record) {
    check_time(client, record);
    let handles = client.session.agent().state().files.len();
    let programs = client.session.agent().state().exec.kept().map_or(0, Programs::len);
    let status = client.status();
    assert_eq!(client.is_frozen(), status != FreezeStatus::Thawed);
    let (ended, frozen, mounted, marked, others) = client.session.sim.with(|world| {
        // Nothing was written or logged while frozen.
        assert!(world.violations.is_empty(), "{:?}", world.violations);
        let ended = world.machine.ending.is_some();
        if !ended {
            // No descriptor leaked.
            assert_eq!(world.open.files, handles, "files are open that no handle owns");
            assert!(world.exec.open <= PROGRAM_DESCRIPTORS * programs, "pipes left open");
            assert_eq!((world.open.marks, world.open.tables), (0, 0), "marks, tables left open");
            if status == FreezeStatus::Thawed {
                assert_eq!(world.open.filesystems, 0, "filesystems left open");
            }
        }
        let mounted = world.mounts.is_frozen_by_agent();
        let marked = world.store.is_marked();
        (ended, frozen_by_agent(world), mounted, marked, world.mounts.thawed_of_others)
    });
    if ended {
        return;
    }
    assert!(record.model.files.len() <= handles, "an open file is gone");
    assert!(!record.model.complete || record.model.files.len() == handles, "a file too much");
    // The frozen flag is the world's.
    assert!(!mounted || status != FreezeStatus::Thawed, "called thawed, and is not");
    assert!(!mounted || marked, "frozen, and no mark for the next agent");
    assert_eq!(others, record.thawed_of_others, "thawed what others had frozen");
    if status == FreezeStatus::Thawed {
        record.recorded = 0;
        record.listless &= marked;
        // Nothing is recorded any more: whatever was not known of it does not matter.
        record.sure |= !marked;
    } else if record.sure {
        assert_ne!(record.recorded, 0, "called {status:?}, and is not");
        assert_eq!(frozen & !record.recorded, 0, "frozen without being on record");
        assert!(marked, "called {status:?} without a mark");
    }
}
