//! The shipped binary under fire: see the rooms.

mod confined;
mod conversations;
mod freeze;
