//! The device tree that a hypervisor hands to the guest of its own: any bytes, or words in its own
//! structure, and a property that is looked for.
//!
//! The file is included as it is, because its crate has no standard library. Held against it:
//! no panic, no end without an end, no value from outside of the tree; and where the input is a
//! list of nodes and properties the value that was put there is found.

#[path = "../../platform-baremetal/src/device_tree.rs"]
#[allow(dead_code)]
mod parser;

use crate::input::Input;

/// Names that nodes and properties have.
const NAMES: [&[u8]; 4] = [b"chosen", b"psci", b"x", b""];

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() {
        0..128 => raw(input.rest),
        seed => structured(seed, &mut input),
    }
}

/// Looks for each name: what is found lies inside.
fn raw(tree: &[u8]) {
    for node in NAMES {
        for name in NAMES {
            let Some(value) = parser::property(tree, node, name) else { continue };
            let (all, part) = (tree.as_ptr_range(), value.as_ptr_range());
            assert!(all.start <= part.start && part.end <= all.end, "a value from elsewhere");
            let number = parser::cells(value);
            assert_eq!(number.is_some(), matches!(value.len(), 4 | 8));
        }
    }
    assert!(parser::length(tree).is_none_or(|len| len <= parser::TREE_BYTES_MAX));
}

/// Builds a tree of what the input says; the first property of each node below the root is found,
/// and one that is deeper, or beyond a damage, is not.
fn structured(seed: u8, input: &mut Input<'_>) {
    const STRINGS: &[u8] = b"chosen\0psci\0x\0\0";
    const PLACES: [u32; 4] = [0, 7, 12, 14];
    let mut body: Vec<u8> = Vec::new();
    let put = |body: &mut Vec<u8>, number: u32, bytes: &[u8]| {
        body.extend(number.to_be_bytes());
        body.extend_from_slice(bytes);
        body.resize(body.len().next_multiple_of(4), 0);
    };
    put(&mut body, 1, b"\0");
    // By the specification a node's properties stand before the nodes in it.
    let (mut path, mut expected, mut may) = (Vec::new(), Vec::new(), true);
    while !input.rest.is_empty() {
        let what = input.byte();
        let name = usize::from(what >> 2 & 3);
        match what & 3 {
            0 => {
                put(&mut body, 1, &[NAMES[name], b"\0"].concat());
                path.push(NAMES[name]);
                may = true;
            }
            1 if path.pop().is_some() => {
                put(&mut body, 2, b"");
                may = false;
            }
            2 => {
                let value = input.take(usize::from(what >> 4));
                let numbers = [value.len() as u32, PLACES[name]].map(u32::to_be_bytes).concat();
                put(&mut body, 3, &[&numbers, value].concat());
                if may {
                    expected.push((path.clone(), NAMES[name], value.to_vec()));
                }
            }
            _ => put(&mut body, 4, b""),
        }
    }
    let begin = parser::HEADER_BYTES as u32;
    let strings = begin + body.len() as u32;
    let len = strings + STRINGS.len() as u32;
    let numbers = [0xD00D_FEED, len, begin, strings, begin, 17, 16, 0, 0, 0];
    let mut tree: Vec<u8> = numbers.into_iter().flat_map(u32::to_be_bytes).collect();
    tree.extend(body);
    tree.extend_from_slice(STRINGS);
    for (node, name) in NAMES.iter().flat_map(|node| NAMES.map(|name| (*node, name))) {
        let first = expected.iter().find(|(path, known, _)| path[..] == [node] && *known == name);
        let found = parser::property(&tree, node, name);
        assert_eq!(found, first.map(|(_, _, value)| &value[..]), "{}", node.escape_ascii());
    }
    // One byte of damage, anywhere.
    let at = usize::from(seed) * 7 % tree.len();
    tree[at] ^= seed | 1;
    raw(&tree);
}
