//! The platform's traits on the guest, one file each: the core's calls come in, what the guest
//! answers goes out.

mod clock;
mod disks;
mod exec;
mod files;
mod freeze;
mod hooks;
mod log;
mod mark;
mod network;
mod power;
mod programs;
mod replace;
mod settings;
mod tasks;
mod text;
mod texts;
mod trim;
