//! A guest as plain data: what it consists of goes in, what the agent did to it can be looked at.
//!
//! A [`Sim`] is a platform for [`qga_core::Agent`]. It outlives agents, as a guest does: files,
//! frozen filesystems, the frozen mark and the saved state stay when an agent is dropped and
//! another one is started. Nothing in here looks at the real machine, and nothing depends on time
//! or chance but for the seed, so a run can be repeated exactly.
//!
//! Every platform call passes [`Faults`] first: it is counted, recorded, and fails if the plan says
//! so. What no agent may do (log, or write to a filesystem, while that is frozen) does not hang as
//! it would in a real guest but is put down in [`World::violations`].
//!
//! Three floors, each of which knows only those below: the guest as data, by what it consists of;
//! the whole of it ([`World`]) and the handle on it; the platform's traits, and the driver.

#![forbid(unsafe_code)]

pub mod accounts;
pub mod canary;
pub mod clock;
pub mod drive;
mod errnos;
pub mod exec;
pub mod faults;
pub mod files;
pub mod hooks;
pub mod init;
mod kind;
mod mountinfo;
pub mod mounts;
mod platform;
pub mod power;
mod random;
mod sight;
mod sim;
pub mod store;
pub mod system;
mod tasks;
mod workers;
mod world;

pub use canary::Canary;
pub use drive::Session;
pub use faults::{Call, Fault, Faults};
pub use kind::Kind;
pub use random::Random;
pub use sim::Sim;
pub use tasks::Tasks;
pub use workers::{Fate, Workers};
pub use world::{LogLine, Open, World};
