//! What the core asks of a guest: small traits, one subject each. One method is one system call or
//! one short file access and therefore one *fault point*: its doc names the errors and what failure
//! leaves.
//!
//! Each trait has `OFFERED`, false unless the guest says otherwise. Commands of a trait that is not
//! offered are left out of guest-info and answer CommandNotFound, so a small guest implements what
//! it has and names the rest in [`absent!`](crate::absent).

mod clock;
mod device;
mod disks;
mod exec;
mod files;
mod freeze;
mod freezing;
mod hooks;
mod log;
mod network;
mod offers;
mod power;
mod programs;
mod replace;
mod settings;
mod tasks;
mod texts;
mod trim;
mod worker;

pub use crate::json::lists::Strings;
pub use clock::{Clock, WallClock};
pub use device::{Below, Device};
pub use disks::{Disks, HEALTH_BYTES, Usage};
pub use exec::{Become, Exec, Free, Keeps, Kept, Memory, Packed, Standard};
pub use files::{Access, Files, OpenOptions};
pub use freeze::{Freeze, Inode};
pub use freezing::{FreezeStatus, Freezing, Reason};
pub use hooks::{Hooks, Moment};
pub use log::{Level, Log};
pub use network::{Address, Dump, LINK_NAME_BYTES_MAX, Link, Network, Statistics};
pub(crate) use offers::offers;
pub use power::{About, Exit, FIRST_PROCESSES, Mode, PROGRAM_WORDS_MAX, Power, Signal};
pub use programs::Programs;
pub use replace::Replace;
pub use settings::Settings;
pub use tasks::{Tasks, Work};
pub use texts::{Fixed, Folder, Name, Room, Texts};
pub use trim::{Trim, Trimmed, Untrimmed};
pub use worker::{Failure, Place, Report, Standing, Task, What};

use crate::errno::Errno;

/// Makes a name for traits that stand together: whoever implements them has it.
macro_rules! together {
    ($(#[$doc:meta])* $name:ident: $first:ident $(+ $subject:ident)*) => {
        $(#[$doc])*
        pub trait $name: $first $(+ $subject)* + 'static {}
        impl<T: $first $(+ $subject)* + 'static> $name for T {}
    };
}

together! {
    /// Everything that an agent needs. Whoever implements the traits has it.
    Platform: Clock + WallClock + Files + Freeze + Log + Power + Texts + Network + Tasks + Disks
        + Exec + Settings + Trim + Programs + Replace
}

/// The file, text, mount table or filesystem of a guest that has none: no value of it exists.
#[derive(Clone, Copy, Debug)]
pub enum Absent {}

impl embedded_io::ErrorType for Absent {
    type Error = Errno;
}

impl embedded_io::Read for Absent {
    fn read(&mut self, _: &mut [u8]) -> Result<usize, Errno> {
        match *self {}
    }
}

impl embedded_io::Write for Absent {
    fn write(&mut self, _: &[u8]) -> Result<usize, Errno> {
        match *self {}
    }

    fn flush(&mut self) -> Result<(), Errno> {
        match *self {}
    }
}

impl embedded_io::Seek for Absent {
    fn seek(&mut self, _: embedded_io::SeekFrom) -> Result<u64, Errno> {
        match *self {}
    }
}

impl Folder for Absent {
    fn next_name(&mut self) -> Option<&[u8]> {
        match *self {}
    }

    fn ended(&self) -> Result<(), Errno> {
        match *self {}
    }
}

/// Says what a guest does not have: `qga_core::absent!(Guest: Files, Freeze, Power, Log);`.
/// [`Clock`] is the one trait that every guest must have.
#[macro_export]
macro_rules! absent {
    (@Files $guest:ty) => {
        impl $crate::platform::Files for $guest {
            type File = $crate::platform::Absent;
        }
    };
    (@Freeze $guest:ty) => {
        impl $crate::platform::Hooks for $guest {}
        impl $crate::platform::Freeze for $guest {
            type Table = $crate::platform::Absent;
            type Filesystem = $crate::platform::Absent;
            type Mark = $crate::platform::Absent;
            type Freezer = ();
        }
    };
    (@Log $guest:ty) => {
        impl $crate::platform::Log for $guest {}
    };
    (@Power $guest:ty) => {
        impl $crate::platform::Power for $guest {}
    };
    (@WallClock $guest:ty) => {
        impl $crate::platform::WallClock for $guest {}
    };
    (@Texts $guest:ty) => {
        impl $crate::platform::Texts for $guest {
            type Text = $crate::platform::Absent;
            type Folder = $crate::platform::Absent;
            type Room = [u8; 0];
        }
    };
    (@Tasks $guest:ty) => {
        impl $crate::platform::Tasks for $guest {}
    };
    (@Disks $guest:ty) => {
        impl $crate::platform::Disks for $guest {}
    };
    (@Settings $guest:ty) => {
        impl $crate::platform::Settings for $guest {}
    };
    (@Trim $guest:ty) => {
        impl $crate::platform::Trim for $guest {}
    };
    (@Replace $guest:ty) => {
        impl $crate::platform::Replace for $guest {
            type Parent = $crate::platform::Absent;
            type Old = $crate::platform::Absent;
            type Draft = $crate::platform::Absent;
        }
    };
    (@Programs $guest:ty) => {
        impl $crate::platform::Programs for $guest {}
    };
    (@Exec $guest:ty) => {
        impl $crate::platform::Exec for $guest {
            type Pipe = $crate::platform::Absent;
            type Memory = $crate::platform::Keeps<0>;
        }
    };
    (@Network $guest:ty) => {
        impl $crate::platform::Network for $guest {
            type Dump = ();
        }
    };
    ($guest:ty: $($subject:ident),+ $(,)?) => {
        $($crate::absent!(@$subject $guest);)+
    };
}
