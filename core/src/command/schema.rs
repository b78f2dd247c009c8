//! What the schema says of a command, and what a guest must have for it: no platform, no code.

/// One command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Command {
    /// Its name in the schema.
    pub name: &'static str,
    /// Whether it may run while filesystems are frozen.
    pub while_frozen: bool,
    /// Whether success is answered (`success-response` in the schema).
    pub replies: bool,
    /// Whether what it is given or gives may be a secret: frame and window are wiped after it.
    pub secret: bool,
    /// Whether it ends the guest, stops or starts its filesystems, or has a copy of the agent at
    /// work: only one such thing is under way at a time.
    pub takes_time: bool,
    /// What of the guest it needs.
    pub needs: Needs,
}

/// The trait that a command needs, apart from those that every guest has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// None.
    Nothing,
    /// [`crate::platform::Files`].
    Files,
    /// [`crate::platform::Freeze`].
    Freeze,
    /// [`crate::platform::Power`].
    Power,
    /// [`crate::platform::WallClock`].
    WallClock,
    /// [`crate::platform::WallClock::SETS`].
    SetTime,
    /// [`crate::platform::Texts::INFO`].
    Info,
    /// [`crate::platform::Texts::USERS`].
    Users,
    /// [`crate::platform::Disks`].
    Disks,
    /// [`crate::platform::Texts::LOAD`].
    Load,
    /// [`crate::platform::Texts::CPUS`].
    Cpus,
    /// [`crate::platform::Texts::MEMORY`].
    Memory,
    /// [`crate::platform::Settings::HOTPLUG`].
    Hotplug,
    /// [`crate::platform::Settings::SUSPEND`].
    Suspend,
    /// [`crate::platform::Replace::PASSWORDS`].
    Passwords,
    /// [`crate::platform::Replace::KEYS`].
    Keys,
    /// [`crate::platform::Trim`].
    Trim,
    /// [`crate::platform::Network`].
    Network,
    /// [`crate::platform::Exec`].
    Exec,
}

impl Command {
    /// A command that answers, and waits for the thaw while anything is frozen.
    pub const fn new(name: &'static str, needs: Needs) -> Self {
        Command {
            name,
            while_frozen: false,
            replies: true,
            secret: false,
            takes_time: false,
            needs,
        }
    }

    /// It may run while filesystems are frozen.
    pub const fn while_frozen(self) -> Self {
        Command { while_frozen: true, ..self }
    }

    /// Its success is not answered.
    pub const fn silent(self) -> Self {
        Command { replies: false, ..self }
    }

    /// What it is given or gives may be a secret.
    pub const fn secret(self) -> Self {
        Command { secret: true, ..self }
    }

    /// It takes its time, and nothing else that does may begin meanwhile.
    pub const fn takes_time(self) -> Self {
        Command { takes_time: true, ..self }
    }

    /// Whether it is guest-sync or guest-sync-delimited, with which a client begins.
    pub fn is_sync(&self) -> bool {
        self.needs == Needs::Nothing && self.name.as_bytes().get(6) == Some(&b's')
    }
}
