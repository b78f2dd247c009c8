//! A virtual machine with the agent under test: a test's name in, the description of its machine or
//! a counted skip out.

use crate::{binary, skip};
use xtask::vm::{self, Builder, Vm};

/// The machine of a test, which is named with its file; nothing, and the skip is counted, where
/// none can be had.
pub fn machine(test: &str) -> Option<Builder> {
    match vm::prepare() {
        Ok(()) => Some(Vm::builder().binary(&binary())),
        Err(reason) => {
            skip(test, &reason.replace('\n', "; "));
            None
        }
    }
}
