//! The agent on the simulated guest: every conversation byte for byte and cut everywhere, every row
//! of the table, every platform call failing, the agent killed after every one of them.

mod abandoned;
mod accounts;
mod conversations;
mod disks;
mod errands;
mod exec;
mod faults;
mod files;
mod freeze;
mod freeze_list;
mod frozen_frames;
mod guest;
mod held;
mod hooks;
mod job;
mod kills;
mod left_out;
mod limit;
mod lists;
mod moved;
mod parts;
mod requests;
mod shutdown;
mod stacks;
mod store;
mod streams;
mod table;
mod time;
mod timeouts;
mod told;
mod worker;
