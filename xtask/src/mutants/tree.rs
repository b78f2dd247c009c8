//! The copy of the project in which the core is changed: files in; test programs, or where the compiler
//! found errors, out. The project itself is never written to.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::programs::{self, Programs, Settings};
use xtask::Result;

/// Folders that are not copied, wherever they are.
const LEFT_OUT: [&str; 4] = ["target", ".git", "mutants.out", "artifacts"];

/// The switch in the core's copy, which may use std there because no static binary is made of it.
const SWITCH: &str = "
extern crate std;

#[allow(missing_docs)]
pub mod mutant {
    use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

    static CHOSEN: AtomicU32 = AtomicU32::new(u32::MAX);

    #[inline]
    pub fn is(number: u32) -> bool {
        let chosen = CHOSEN.load(Relaxed);
        if chosen == u32::MAX { choose() == number } else { chosen == number }
    }

    #[cold]
    fn choose() -> u32 {
        let chosen = std::env::var(\"QGA_MUTANT\").ok().and_then(|text| text.parse().ok());
        CHOSEN.store(chosen.unwrap_or(0), Relaxed);
        chosen.unwrap_or(0)
    }
}
";

/// Where the compiler found an error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The file, from the project's root.
    pub file: String,
    /// The bytes of its text.
    pub place: Range<usize>,
    /// What is wrong with it.
    pub said: String,
}

/// The copy.
pub struct Tree {
    root: PathBuf,
    target: PathBuf,
}

impl Tree {
    /// Brings the copy in `folder` up to date with the project in `from`, as if nothing were changed.
    pub fn new(from: &Path, folder: &Path) -> Result<Tree> {
        let tree = Tree { root: folder.join("tree"), target: folder.join("build") };
        copy(from, &tree.root)?;
        Ok(tree)
    }

    /// Where the copy is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Puts a text into a file of the copy.
    pub fn write(&self, file: &str, text: &str) -> Result<()> {
        write_if_other(&self.root.join(file), text.as_bytes())
    }

    /// Gives the core the switch, at the end of its `text`.
    pub fn with_switch(text: &str) -> String {
        format!("{text}{SWITCH}")
    }

    /// Looks whether the core compiles; what is wrong with it.
    pub fn check(&self) -> Result<Vec<Fault>> {
        let mut faults = Vec::new();
        let check = ["check", "-p", "qga-core"];
        let (whole, messages) = programs::cargo(&self.root, &check, &self.settings())?;
        for message in messages.iter().filter(|m| m["message"]["level"] == "error") {
            let said = message["message"]["message"].as_str().unwrap_or_default();
            let spans = message["message"]["spans"].as_array();
            for span in spans.into_iter().flatten().filter(|span| span["is_primary"] == true) {
                let number = |name: &str| span[name].as_u64().unwrap_or(0) as usize;
                faults.push(Fault {
                    file: span["file_name"].as_str().unwrap_or_default().to_owned(),
                    place: number("byte_start")..number("byte_end"),
                    said: said.to_owned(),
                });
            }
        }
        match whole || !faults.is_empty() {
            true => Ok(faults),
            false => Err("the core does not compile, and no error says where".into()),
        }
    }

    /// Builds what judges.
    pub fn programs(&self) -> Result<Programs> {
        programs::programs(&self.root, &self.settings())
    }

    /// A mutant may leave something unused, or compare what is never below zero: no warning is an error.
    fn settings(&self) -> Settings {
        programs::settings(&self.target, "--cap-lints=warn")
    }
}

fn failed(what: &str, path: &Path, error: std::io::Error) -> String {
    format!("cannot {what} {}: {error}", path.display())
}

/// Writes a file, unless it has that content: what is not touched is not built again.
fn write_if_other(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(path, bytes).map_err(|error| failed("write", path, error))
}

/// Makes `to` hold what `from` holds, and nothing else.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).map_err(|error| failed("make", to, error))?;
    let read = |folder: &Path| {
        let entries = fs::read_dir(folder).map_err(|error| failed("read", folder, error))?;
        let kept = entries.flatten().map(|entry| (entry.file_name(), entry.path()));
        Ok::<_, String>(kept.filter(|(name, _)| LEFT_OUT.iter().all(|out| name != *out)))
    };
    for (name, path) in read(to)? {
        if !from.join(name).exists() {
            let gone =
                if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            gone.map_err(|error| failed("remove", &path, error))?;
        }
    }
    for (name, path) in read(from)? {
        let place = to.join(name);
        if path.is_dir() {
            copy(&path, &place)?;
        } else if path.is_file() {
            let bytes = fs::read(&path).map_err(|error| failed("read", &path, error))?;
            write_if_other(&place, &bytes)?;
        }
    }
    Ok(())
}
