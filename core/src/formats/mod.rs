//! What other programs and the kernel wrote, read: lines, records or small files in, what they say
//! out.
//!
//! Nobody vouches for these bytes. Whatever they are, nothing here panics or takes long; what is no
//! line of its format is none (`None`), and says nothing of the next one.

pub mod calendar;
pub mod cpulist;
pub mod diskstats;
pub mod fields;
pub mod glob;
pub mod health;
pub mod ip;
pub mod keyfile;
pub mod loadavg;
pub mod netlink;
pub mod os_release;
pub mod posix_tz;
pub mod route;
pub mod seconds;
pub mod session;
pub mod stat;
pub mod sysfs;
pub mod users;
pub mod utmp;
pub mod zone;
