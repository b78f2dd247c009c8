//! What outlives a request: the parts of the agent that commands may change, one field each.

use crate::exec::ProgramsOf;
use crate::handle::Handles;
use crate::list::List;
use crate::platform::{Freezing as _, Kept, Platform};
use crate::rules::Rules;
use crate::shutdown::Shutdown;
use crate::task::Task;

/// What outlives a request: everything that commands may change. In this order what every start
/// writes to lies together; the freezer's own order goes on so.
#[repr(C)]
pub struct State<P: Platform> {
    // First, and its account last: 170 bytes less, because short addresses reach what is used most.
    /// A shutdown under way.
    pub shutdown: Shutdown,
    /// The list that a copy of the agent makes.
    pub task: Task<P>,
    /// The open files.
    pub files: Handles<P::File>,
    /// The frozen filesystems.
    pub freezer: P::Freezer,
    /// The list on its way into a reply.
    pub list: List<P>,
    /// Which commands may be used.
    pub rules: Rules,
    /// The programs that clients have started.
    pub exec: ProgramsOf<P>,
}

impl<P: Platform> State<P> {
    /// The state of an agent that has done nothing.
    pub const fn new() -> Self {
        State {
            files: Handles::new(),
            freezer: P::Freezer::NEW,
            shutdown: Shutdown::new(),
            list: List::NEW,
            task: Task::NONE,
            rules: Rules::new(),
            exec: Kept::FREE,
        }
    }
}

impl<P: Platform> Default for State<P> {
    fn default() -> Self {
        State::new()
    }
}
