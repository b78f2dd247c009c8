//! Whether a guest has what a command needs: the traits are asked, each for its own commands.

use super::{
    Disks, Exec, Files, Freeze, Network, Platform, Power, Replace, Settings, Texts, Trim, WallClock,
};
use crate::command::{Command, Needs};

/// Whether this guest has what `command` needs. Where the traits' answers are constants, so is
/// this.
pub fn offers<P: Platform>(platform: &P, command: &Command) -> bool {
    match command.needs {
        Needs::Nothing => true,
        Needs::Files => Files::offers(platform, command.name),
        Needs::Freeze => Freeze::offers(platform, command.name),
        Needs::Power => Power::offers(platform, command.name),
        Needs::WallClock => WallClock::offers(platform, command.name),
        Needs::SetTime => P::SETS && WallClock::offers(platform, command.name),
        Needs::Info => P::INFO && Texts::offers(platform, command.name),
        Needs::Users => P::USERS && Texts::offers(platform, command.name),
        Needs::Exec => Exec::offers(platform, command.name),
        Needs::Disks => Disks::offers(platform, command.name),
        Needs::Load => P::LOAD && Texts::offers(platform, command.name),
        Needs::Cpus => P::CPUS && Texts::offers(platform, command.name),
        Needs::Memory => P::MEMORY && Texts::offers(platform, command.name),
        Needs::Hotplug => P::HOTPLUG && Settings::offers(platform, command.name),
        Needs::Suspend => P::SUSPEND && Settings::offers(platform, command.name),
        Needs::Passwords => P::PASSWORDS && Replace::offers(platform, command.name),
        Needs::Keys => P::KEYS && Replace::offers(platform, command.name),
        Needs::Trim => Trim::offers(platform, command.name),
        Needs::Network => Network::offers(platform, command.name),
    }
}
