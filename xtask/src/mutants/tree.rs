//! The copy of the project in which the core is changed: files in; test programs, or where the
//! compiler found errors, out. The project itself is never written to.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs::{self, Programs, Settings};
use xtask::{Result, command, paths};

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
    pub fn chosen() -> u32 {
        let chosen = CHOSEN.load(Relaxed);
        if chosen == u32::MAX { choose() } else { chosen }
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
pub struct Fault {
    /// The file, from the project's root.
    pub file: String,
    /// The bytes of its text.
    pub place: Range<usize>,
    /// What is wrong with it.
    pub said: String,
}

pub struct Tree {
    root: PathBuf,
    target: PathBuf,
}

impl Tree {
    /// Makes the copy in `folder` anew from the project in `from`. The files' times stay, so that
    /// nothing is built again that was not touched.
    pub fn new(from: &Path, folder: &Path) -> Result<Tree> {
        let tree = Tree { root: folder.join("tree"), target: folder.join("build") };
        paths::make_empty(&tree.root)?;
        let archive = folder.join("tree.tar");
        let mut pack = Command::new("tar");
        pack.args(LEFT_OUT.map(|name| format!("--exclude={name}"))).arg("-cf").arg(&archive);
        command::run(pack.arg("-C").arg(from).arg("."))?;
        command::run(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&tree.root))?;
        Ok(tree)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Puts a text into a file of the copy, unless it stands there.
    pub fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.root.join(file);
        match fs::read(&path).is_ok_and(|old| old == text.as_bytes()) {
            true => Ok(()),
            false => paths::write(&path, text),
        }
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

    /// A mutant may leave something unused, or compare what is never below zero: no warning is an
    /// error.
    fn settings(&self) -> Settings {
        programs::settings(&self.target, "--cap-lints=warn")
    }
}
