//! What is in the tree from the start: the folders and special files that clients take for granted,
//! and who this guest is.

use super::tree::{Kind, Tree};
use qga_core::Errno;

/// os-release(5), as guest-get-osinfo's readers and people look for it.
const OS_RELEASE: &str = concat!(
    "NAME=\"qga-baremetal\"\nID=qga-baremetal\nVERSION_ID=",
    env!("CARGO_PKG_VERSION"),
    "\nPRETTY_NAME=\"qga-baremetal ",
    env!("CARGO_PKG_VERSION"),
    " (QEMU guest agent without an operating system)\"\n"
);

const HOSTNAME: &str = "qga-baremetal\n";

/// Plants folders, devices and files. Errors: ENOSPC in a tree that has no room for them.
pub fn plant(tree: &mut Tree) -> Result<(), Errno> {
    for folder in ["/dev", "/etc", "/proc", "/run", "/tmp", "/var"] {
        tree.add(folder.as_bytes(), Kind::Folder)?;
    }
    tree.add(b"/dev/null", Kind::Null)?;
    tree.add(b"/dev/zero", Kind::Zero)?;
    tree.add(b"/dev/full", Kind::Full)?;
    for (path, text) in [("/etc/os-release", OS_RELEASE), ("/etc/hostname", HOSTNAME)] {
        let file = tree.add(path.as_bytes(), Kind::Regular)?;
        tree.append(file, text.as_bytes())?;
    }
    Ok(())
}
