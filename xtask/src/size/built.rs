//! The file to analyse: builds the agent once more with its symbols and the compiler's frame sizes;
//! both files' bytes, and where they disagree, come out.

use std::path::{Path, PathBuf};

use super::image::Image;
use super::types::Types;
use xtask::{ElseSay, Result, build, command, paths, progress};

/// The shipped file and its analysed twin.
pub struct Built {
    pub shipped: Image,
    pub analysed: Image,
    /// The types of its functions.
    pub types: Types,
    /// Where the two differ although nothing should; empty when they are the same, byte by byte.
    pub differences: Vec<String>,
}

/// The twin is asked for with the name mangling that the shipped one has by default: names decide
/// the order of functions. rustc's default changes when unstable options are allowed, and over
/// time.
const MANGLINGS: [&str; 2] = ["legacy", "v0"];

pub fn built() -> Result<Built> {
    let shipped_file = build::release()?;
    let shipped = image(&shipped_file)?;
    let mut best: Option<Built> = None;
    for mangling in MANGLINGS {
        let file = twin(mangling)?;
        let (analysed, types) = (image(&file)?, types(&file)?);
        let differences = differences(&shipped, &analysed);
        let same = differences.is_empty();
        if best.as_ref().is_none_or(|best| differences.len() < best.differences.len()) {
            best = Some(Built { shipped: image(&shipped_file)?, analysed, types, differences });
        }
        if same {
            break;
        }
    }
    best.ok_or_else(|| "no build to analyse".to_owned())
}

/// Builds the twin; its file, and its code in LLVM's language as it is before it becomes the
/// machine's. The options reach rustc through a wrapper and not through RUSTFLAGS or the profile:
/// these two are part of every symbol's hash, and so of the order of functions.
fn twin(mangling: &str) -> Result<PathBuf> {
    let folder = paths::target().join("size");
    let target = folder.join(format!("typed-{mangling}"));
    let file = target.join("release/qga");
    let wrapper = folder.join(format!("rustc-typed-{mangling}"));
    let script = format!(
        "#!/bin/sh\n# Written by cargo xtask size.\ncase \" $* \" in\n*' --crate-name qga '*)\n    \
         set -- \"$@\" --emit=llvm-ir='{}' ;;\nesac\nRUSTC_BOOTSTRAP=1 exec \"$@\" \
         -Z emit-stack-sizes -Z unstable-options -C symbol-mangling-version={mangling} \
         -C strip=none\n",
        code_of(&file).display()
    );
    paths::make(&target)?;
    paths::write_program(&wrapper, &script)?;
    progress::timed("building it with symbols and frame sizes", || {
        let mut cargo = build::cargo();
        cargo.args(["build", "--release", "--quiet", "--target-dir"]).arg(&target);
        command::show(cargo.env("RUSTC_WRAPPER", &wrapper).current_dir(paths::root()))
    })?;
    Ok(file)
}

/// Where the code of a file is in LLVM's language.
fn code_of(file: &Path) -> PathBuf {
    file.with_added_extension("ll")
}

/// The types of a file's functions, as far as they are known.
pub fn types(file: &Path) -> Result<Types> {
    let code = code_of(file);
    Ok(if code.is_file() { Types::parse(&paths::text(&code)?) } else { Types::default() })
}

pub fn image(file: &Path) -> Result<Image> {
    Image::parse(&paths::read(file)?).else_say(file.display())
}

/// Compares everything that is loaded, but for the build's identity.
fn differences(shipped: &Image, analysed: &Image) -> Vec<String> {
    let mut found = Vec::new();
    let loaded = |image: &Image| -> Vec<_> {
        let sections = image.sections.iter();
        sections.filter(|section| !section.name.starts_with(".note")).cloned().collect()
    };
    let (ours, theirs) = (loaded(shipped), loaded(analysed));
    for section in &ours {
        match theirs.iter().find(|other| other.name == section.name) {
            None => found.push(format!("{}: only in the shipped file", section.name)),
            Some(other) if other.bytes != section.bytes => found.push(format!(
                "{}: {} bytes shipped, {} analysed",
                section.name, section.bytes, other.bytes
            )),
            Some(other) if other != section => {
                found.push(format!("{}: same size, other contents", section.name));
            }
            Some(_) => (),
        }
    }
    let only_theirs = theirs.iter().filter(|other| !ours.iter().any(|own| own.name == other.name));
    found.extend(only_theirs.map(|other| format!("{}: only in the analysed file", other.name)));
    found
}
