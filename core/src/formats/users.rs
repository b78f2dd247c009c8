//! passwd(5), group(5), shadow(5): lines of fields with colons between them, one user or group
//! each.

use crate::bytes::decimal;
use crate::formats::fields::cut;

/// A user, of a line of /etc/passwd.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct User<'l> {
    /// The number.
    pub user: u32,
    /// The number of the first group.
    pub group: u32,
    /// Where the home is.
    pub home: &'l [u8],
}

impl<'l> User<'l> {
    /// The user that a line is about, if that has this name and the line is whole.
    pub fn named(name: &[u8], mut line: &'l [u8]) -> Option<Self> {
        if cut(&mut line, b':') != name {
            return None;
        }
        cut(&mut line, b':');
        let user = number(cut(&mut line, b':'))?;
        let group = number(cut(&mut line, b':'))?;
        cut(&mut line, b':');
        let home = cut(&mut line, b':');
        (home.first() == Some(&b'/')).then_some(User { user, group, home })
    }
}

/// The number of the group that a line of /etc/group is about, if this user is named in it.
pub fn group_of(name: &[u8], mut line: &[u8]) -> Option<u32> {
    cut(&mut line, b':');
    cut(&mut line, b':');
    let group = number(cut(&mut line, b':'))?;
    let mut members = cut(&mut line, b':').split(|&byte| byte == b',');
    members.any(|member| member.trim_ascii() == name).then_some(group)
}

/// Whether a line of any of the three is about this user.
pub fn is_of(name: &[u8], mut line: &[u8]) -> bool {
    cut(&mut line, b':') == name
}

fn number(text: &[u8]) -> Option<u32> {
    // The last one means to the kernel that nothing is to change.
    decimal(text)?.try_into().ok().filter(|&number| number != u32::MAX)
}

/// A line of /etc/shadow, or of a /etc/passwd that has the passwords itself, cut so that the pieces
/// and colons between them are the line: the name, the password, the day of its last change, the
/// rest with its colon.
pub fn pieces(mut line: &[u8]) -> [&[u8]; 4] {
    let name = cut(&mut line, b':');
    let password = cut(&mut line, b':');
    let end = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
    let (changed, rest) = line.split_at_checked(end).unwrap_or_default();
    [name, password, changed, rest]
}
