//! A flattened device tree, as far as a guest on a known machine needs it: properties by the names
//! of their nodes. Source: Devicetree Specification 0.4, chapter 5.
//!
//! Invariant: nothing outside the tree's own bytes is read, whatever its numbers say.

const MAGIC: u32 = 0xD00D_FEED;
const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROPERTY: u32 = 3;
const NOTHING: u32 = 4;

/// Bytes of the header; a tree is no longer than its own number says, and than [`TREE_BYTES_MAX`].
pub const HEADER_BYTES: usize = 40;
/// Longest tree that is believed; that of QEMU's virt machine has a fixed MiB.
pub const TREE_BYTES_MAX: usize = 2 << 20;

/// How long the tree is that begins with these bytes; nothing if none does.
pub fn length(header: &[u8]) -> Option<usize> {
    let len = number(header, 4)? as usize;
    let valid = number(header, 0)? == MAGIC && (HEADER_BYTES..=TREE_BYTES_MAX).contains(&len);
    valid.then_some(len)
}

/// The value of a property of a node right below the root; the first one counts.
pub fn property<'t>(tree: &'t [u8], node: &[u8], name: &[u8]) -> Option<&'t [u8]> {
    length(tree)?;
    let mut at = number(tree, 8)? as usize;
    let strings = number(tree, 12)? as usize;
    let (mut depth, mut inside) = (0u32, false);
    loop {
        let token = number(tree, at)?;
        at += 4;
        match token {
            BEGIN_NODE => {
                depth = depth.checked_add(1)?;
                let found = text(tree, at)?;
                // The root has depth 1 and no name.
                inside = depth == 2 && found == node;
                at = (at + found.len() + 1).next_multiple_of(4);
            }
            END_NODE => {
                depth = depth.checked_sub(1)?;
                inside = false;
            }
            PROPERTY => {
                let len = number(tree, at)? as usize;
                let found = text(tree, strings.checked_add(number(tree, at + 4)? as usize)?)?;
                let value = tree.get(at + 8..(at + 8).checked_add(len)?)?;
                if inside && found == name {
                    return Some(value);
                }
                at = (at + 8 + len).next_multiple_of(4);
            }
            NOTHING => {}
            _ => return None,
        }
    }
}

/// A number of one or two cells.
pub fn cells(value: &[u8]) -> Option<u64> {
    match value.len() {
        4 | 8 => Some(value.iter().fold(0, |number, &byte| number << 8 | u64::from(byte))),
        _ => None,
    }
}

fn number(tree: &[u8], at: usize) -> Option<u32> {
    let bytes = tree.get(at..at.checked_add(4)?)?;
    Some(bytes.iter().fold(0, |number, &byte| number << 8 | u32::from(byte)))
}

/// The text at a place, up to its NUL.
fn text(tree: &[u8], at: usize) -> Option<&[u8]> {
    let rest = tree.get(at..)?;
    rest.get(..rest.iter().position(|&byte| byte == 0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Vec<u8> {
        let strings = b"bootargs\0method\0linux,initrd-start\0";
        let mut body = Vec::new();
        let mut words = |numbers: &[u32], bytes: &[u8]| {
            numbers.iter().for_each(|number| body.extend(number.to_be_bytes()));
            body.extend_from_slice(bytes);
            body.resize(body.len().next_multiple_of(4), 0);
        };
        words(&[BEGIN_NODE], b"\0");
        words(&[PROPERTY, 5, 0], b"root\0");
        words(&[BEGIN_NODE], b"psci\0");
        words(&[NOTHING, PROPERTY, 4, 9], b"hvc\0");
        words(&[BEGIN_NODE], b"chosen\0");
        words(&[PROPERTY, 6, 0], b"inner\0");
        words(&[END_NODE, END_NODE, BEGIN_NODE], b"chosen\0");
        words(&[PROPERTY, 8, 16], &0x1_4000_0000u64.to_be_bytes());
        words(&[PROPERTY, 4, 0], b"a=b\0");
        words(&[END_NODE, END_NODE, 9], b"");
        let begin = HEADER_BYTES as u32;
        let strings_at = begin + body.len() as u32;
        let len = strings_at + strings.len() as u32;
        let mut tree: Vec<u8> = [MAGIC, len, begin, strings_at, begin, 17, 16, 0, 0, 0]
            .into_iter()
            .flat_map(u32::to_be_bytes)
            .collect();
        tree.extend(body);
        tree.extend_from_slice(strings);
        tree
    }

    #[test]
    fn properties_are_found_in_their_nodes() {
        let tree = tree();
        assert_eq!(property(&tree, b"chosen", b"bootargs"), Some(&b"a=b\0"[..]));
        assert_eq!(property(&tree, b"psci", b"method"), Some(&b"hvc\0"[..]));
        let start = property(&tree, b"chosen", b"linux,initrd-start").and_then(cells);
        assert_eq!(start, Some(0x1_4000_0000));
        assert_eq!(property(&tree, b"psci", b"bootargs"), None);
        assert_eq!(property(&tree, b"chosen", b"method"), None);
        assert_eq!(cells(&[1, 2, 3]), None);
    }

    #[test]
    fn damage_anywhere_is_survived() {
        let whole = tree();
        for len in 0..whole.len() {
            let _ = property(&whole[..len], b"chosen", b"nothing");
        }
        for at in 0..whole.len() {
            for byte in [0, 1, 2, 3, 0x7F, 0xFF] {
                let mut bad = whole.clone();
                bad[at] = byte;
                let _ = property(&bad, b"chosen", b"nothing");
            }
        }
        assert_eq!(length(b"nothing of a tree"), None);
    }
}
