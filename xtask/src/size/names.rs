//! Better names: an image goes in; functions that the compiler calls only `call_once`, closures
//! behind a pointer in a table, are then named after the text that stands beside that pointer.

use super::image::{Image, Section};

/// Texts this far from the pointer belong to the same row of a table.
const ROW_BYTES: u64 = 48;
const TEXT_BYTES_MAX: u64 = 48;
const CLOSURE: &str = "core::ops::function::FnOnce::call_once";
/// What commands begin with: the one table of closures that there is.
const PREFIX: &str = "guest-";

pub fn name_closures(image: &mut Image) {
    for place in 0..image.functions.len() {
        let function = &image.functions[place];
        if function.name != CLOSURE {
            continue;
        }
        let pointers = pointers_to(image, function.address).into_iter();
        let mut texts: Vec<String> = pointers.filter_map(|at| text_beside(image, at)).collect();
        texts.sort();
        texts.dedup();
        // The linker makes one of functions that do the same: such a one has several names.
        if !texts.is_empty() {
            image.functions[place].name = format!("the closure of {}", texts.join(", "));
        }
    }
}

/// Where the constants hold this address.
fn pointers_to(image: &Image, target: u64) -> Vec<u64> {
    let data = image.sections.iter().filter(|section| !section.executable);
    let hits = data.flat_map(Section::words).filter(|(_, word)| *word == target);
    hits.map(|(address, _)| address).collect()
}

/// The nearest text, a pair of address and length, before the pointer or else after it.
fn text_beside(image: &Image, pointer: u64) -> Option<String> {
    let before = (16..=ROW_BYTES).step_by(8).map(|distance| pointer.saturating_sub(distance));
    let after = (8..=ROW_BYTES).step_by(8).map(|distance| pointer + distance);
    before.chain(after).find_map(|place| {
        let (address, bytes) = (image.constant(place)?, image.constant(place + 8)?);
        let text = image.bytes(address, bytes.min(TEXT_BYTES_MAX))?;
        let text = std::str::from_utf8(text).ok()?;
        (bytes <= TEXT_BYTES_MAX && text.starts_with(PREFIX)).then(|| text.to_owned())
    })
}
