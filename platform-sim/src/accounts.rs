//! Users as data: the folders of their homes and who has the locks come in; who the agent's copy
//! has become goes out. Their files are texts of [`crate::system`].

use std::collections::{BTreeMap, BTreeSet};

/// Who a process is: user, group, other groups.
pub type Identity = (u32, u32, Vec<u32>);

/// Users.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    /// Folders, and whose they are.
    pub folders: BTreeMap<String, u32>,
    /// How often somebody else is found to have the lock of lckpwdf(3) before it is free.
    pub locked_times: u32,
    /// Processes that there are.
    pub processes: BTreeSet<u64>,
    /// Links: who opens them by name finds ELOOP.
    pub links: BTreeSet<String>,
    /// Whom the present copy, or the last one, has become.
    pub became: Option<Identity>,
    /// Whether the present copy has the lock of lckpwdf(3).
    pub(crate) has_lock: bool,
    /// How many milliseconds were waited for locks.
    pub waited_ms: u64,
}

impl Accounts {
    /// Root and a user whose home has no keys yet.
    pub(crate) fn new() -> Self {
        let folders = [("/etc", 0), ("/root", 0), ("/home/sim", 1000)];
        let folders = folders.map(|(path, owner)| (path.to_owned(), owner)).into();
        Accounts { folders, ..Accounts::default() }
    }

    /// A copy begins: as root, with no lock.
    pub(crate) fn begin(&mut self) {
        self.became = None;
        self.has_lock = false;
    }
}
