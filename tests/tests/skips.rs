//! Where tests can run, and that they say so where they cannot: a root that is no mount point, and
//! a user without rights.

use qga_tests::{is_root, jail, skip};
use std::process::Command;

/// A plain folder with everything of the machine's root in it, mounted there, becomes the root.
const IN_A_CHROOT: &str = r#"
set -e
cd "$1"
mkdir root probed
for entry in /tmp /*; do
    name=root/${entry#/}
    if [ -L "$entry" ]; then
        cp -P "$entry" "$name"
    elif [ -d "$entry" ] && [ ! -e "$name" ]; then
        mkdir "$name"
        mount --rbind "$entry" "$name"
    fi
done
exec chroot root "$2" probe "$1/probed"
"#;

#[test]
fn a_jail_can_be_built_in_a_root_that_is_no_mount_point() {
    let name = "skips::a_jail_can_be_built_in_a_root_that_is_no_mount_point";
    if let Some(reason) = jail::unavailable() {
        return skip(name, reason);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut apart = Command::new(jail::helper());
    apart.args(["apart", "sh", "-c", IN_A_CHROOT, "sh"]).arg(folder.path()).arg(jail::helper());
    let output = apart.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
}

#[test]
fn a_right_that_is_missing_is_named() {
    if !is_root() {
        return skip("skips::a_right_that_is_missing_is_named", "needs root, to give rights up");
    }
    let mut probe = Command::new("sh");
    // Another process opens the program: nobody may not reach its folder.
    let script = "exec 9<\"$0\"; exec setpriv --reuid 65534 --clear-groups /proc/self/fd/9 probe /";
    probe.args(["-c", script]).arg(jail::helper());
    let output = probe.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.starts_with("needs the right to make namespaces"), "{said}");
}
