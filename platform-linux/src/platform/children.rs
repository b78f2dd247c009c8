//! The processes of programs that clients have started: numbers come in as they begin and end, how
//! each has ended goes out.

use qga_core::limits::EXEC_ENTRIES_MAX;
use qga_core::platform::Exit;

/// The process of one program.
#[derive(Clone, Copy)]
struct Child {
    /// 0 for none.
    pid: i32,
    has_ended: bool,
    exit: Exit,
}

/// Those of all programs.
pub struct Children([Child; EXEC_ENTRIES_MAX]);

impl Children {
    /// None. All zero.
    pub const NONE: Self =
        Children([Child { pid: 0, has_ended: false, exit: Exit::Status(0) }; EXEC_ENTRIES_MAX]);

    /// A process has begun, in the place of another one.
    pub fn begin(&mut self, place: usize, pid: i32) {
        if let Some(child) = self.0.get_mut(place) {
            *child = Child { pid, has_ended: false, exit: Exit::Status(0) };
        }
    }

    /// A process has ended, maybe one of these.
    pub fn end(&mut self, pid: i32, exit: Exit) {
        if let Some(child) = self.0.iter_mut().find(|child| child.pid == pid && !child.has_ended) {
            (child.has_ended, child.exit) = (true, exit);
        }
    }

    /// The number of the one of a place, which nobody else has until it has ended.
    pub fn pid(&self, place: usize) -> Option<i32> {
        self.0.get(place).filter(|child| child.pid > 0 && !child.has_ended).map(|child| child.pid)
    }

    /// How the one of a place has ended, once it has.
    pub fn exit(&self, place: usize) -> Option<Exit> {
        self.0.get(place).filter(|child| child.has_ended).map(|child| child.exit)
    }
}
