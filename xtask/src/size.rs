//! `cargo xtask size`: the agent's binary goes in; how large its parts are, its static state and
//! the worst case of its stack come out, in memory-budget.md, each beside its budget.

mod built;
mod calls;
mod document;
pub mod families;
mod image;
mod names;
pub mod stack;
mod types;

use std::path::Path;
use std::process::Command;

use families::{Measured, WHOLE};
use image::{Image, Section, Symbol};
use stack::Stack;
use types::Types;
use xtask::words::Words;
use xtask::{Result, command, paths};

const USAGE: &str = "usage: cargo xtask size [--check | --file FILE]
  (nothing)    measures, prints, and rewrites memory-budget.md
  --check      measures; fails when memory-budget.md is stale or a budget is broken
               (the file's, each family of commands', the stack's)
  --file FILE  prints the same for any static x86-64 program with symbols; writes nothing
               (FILE.ll beside it, of --emit=llvm-ir, says where pointers to functions lead)";

const DOCUMENT: &str = "memory-budget.md";

/// The section .data: state that is not zero at the start takes room in the file and in memory.
/// There is none.
pub const DATA_BYTES_MAX: u64 = 0;
/// The worst case of the stack, from the entry point down.
pub const STACK_BYTES_MAX: u64 = 8_192;

/// A part of the program and its size.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub name: String,
    pub bytes: u64,
}

/// Everything that memory-budget.md says, as values.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// `rustc -V`: the numbers hold for this compiler.
    pub rustc: String,
    pub file_bytes: u64,
    pub text_bytes: u64,
    pub rodata_bytes: u64,
    pub data_bytes: u64,
    pub bss_bytes: u64,
    /// Every section that is loaded, in the file's order.
    pub sections: Vec<Part>,
    /// Static objects that may change, largest first.
    pub statics: Vec<Part>,
    pub functions: Vec<Part>,
    pub stack: Stack,
    /// Whether the compiler stated frame sizes at all; without them all are from the disassembly.
    pub frames_declared: bool,
    /// Where the analysed build is not the shipped file; empty when all loaded bytes are the same.
    pub differences: Vec<String>,
    /// The builds with some families only; none of a file that is measured alone.
    pub families: Vec<Measured>,
}

impl Report {
    /// The broken budgets, one line each; empty when all hold.
    pub fn broken_budgets(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut at_most = |what: &str, bytes: u64, limit: u64| {
            if bytes > limit {
                broken.push(format!("{what}: {bytes} bytes, the budget is {limit}"));
            }
        };
        at_most("the file", self.file_bytes, WHOLE.bytes_max);
        for family in &self.families {
            let what = format!("the file with the families {} alone", family.name);
            at_most(&what, family.bytes, family.bytes_max);
        }
        at_most(".data", self.data_bytes, DATA_BYTES_MAX);
        at_most("worst-case stack", self.stack.bound_bytes.unwrap_or(0), STACK_BYTES_MAX);
        for cycle in &self.stack.cycles {
            broken.push(format!("the stack has no bound: cycle {}", cycle.join(" -> ")));
        }
        for name in &self.stack.unbounded {
            broken.push(format!("the stack has no bound: the frame of {name} is not known"));
        }
        if self.stack.reached == 0 {
            broken.push("the stack has no bound: no function at the entry point".to_owned());
        }
        broken
    }

    fn markdown(&self) -> String {
        document::markdown(self, document::FUNCTIONS_IN_FILE)
    }
}

pub fn run(args: &[String]) -> Result<()> {
    let Some(mut words) = Words::new(args, USAGE) else { return Ok(()) };
    let (only_check, file) = (words.has("--check"), words.value("--file")?);
    words.end()?;
    match file {
        Some(file) => {
            let image = built::image(Path::new(&file))?;
            let types = built::types(Path::new(&file))?;
            let report = of(&image, &image, &types, Vec::new())?;
            print!("{}", document::markdown(&report, document::FUNCTIONS_SHOWN));
            Ok(())
        }
        None if only_check => check(),
        None => write(),
    }
}

/// Builds the agent and measures it.
fn report() -> Result<Report> {
    let built = built::built()?;
    let mut report = of(&built.shipped, &built.analysed, &built.types, built.differences)?;
    report.families = families::measure()?;
    Ok(report)
}

/// Fails when memory-budget.md does not say what the present build is, or when a budget is broken.
fn check() -> Result<()> {
    let report = report()?;
    let written = paths::text(&paths::root().join(DOCUMENT))
        .map_err(|error| format!("{error}; run `cargo xtask size`"))?;
    let mut wrong = report.broken_budgets();
    let same_compiler = document::same_compiler(&written, &report);
    if same_compiler {
        let stale = document::stale_lines(&written, &report.markdown());
        if !stale.is_empty() {
            wrong.extend(stale);
            wrong.push("if the change is meant: run `cargo xtask size`".to_owned());
        }
    }
    if wrong.is_empty() {
        match same_compiler {
            true => println!("{DOCUMENT} is up to date and every limit holds"),
            false => println!(
                "every other limit holds; {DOCUMENT} was written with another compiler than {}, so its \
                 other numbers are not compared",
                report.rustc
            ),
        }
        return Ok(());
    }
    Err(wrong.join("\n"))
}

fn write() -> Result<()> {
    let report = report()?;
    print!("{}", document::markdown(&report, document::FUNCTIONS_SHOWN));
    paths::write(&paths::root().join(DOCUMENT), report.markdown())?;
    println!("\n{DOCUMENT} is written");
    let broken = report.broken_budgets();
    if broken.is_empty() { Ok(()) } else { Err(broken.join("\n")) }
}

/// Sizes come from what is shipped, names and the stack from its twin.
fn of(
    shipped: &Image,
    analysed: &Image,
    types: &Types,
    differences: Vec<String>,
) -> Result<Report> {
    let sum = |keep: &dyn Fn(&Section) -> bool| -> u64 {
        shipped.sections.iter().filter(|section| keep(section)).map(|section| section.bytes).sum()
    };
    let named = |name: &'static str| move |section: &Section| section.name.starts_with(name);
    let part = |symbol: &Symbol| Part { name: symbol.name.clone(), bytes: symbol.bytes };
    let changing =
        |symbol: &&Symbol| analysed.home(symbol.address).is_some_and(|home| home.writable);
    let mut functions: Vec<Part> = analysed.functions.iter().map(part).collect();
    functions.sort_by(|a, b| (b.bytes, &a.name).cmp(&(a.bytes, &b.name)));
    let section = |section: &Section| Part { name: section.name.clone(), bytes: section.bytes };
    Ok(Report {
        rustc: rustc()?,
        file_bytes: shipped.file_bytes,
        text_bytes: sum(&|section| section.executable),
        rodata_bytes: sum(&|section| !section.executable && !section.writable),
        data_bytes: sum(&|section| {
            section.name == ".data" || named(".data.")(section) && !named(".data.rel.ro")(section)
        }),
        bss_bytes: sum(&|section| section.name == ".bss" || named(".bss.")(section)),
        sections: shipped.sections.iter().map(section).collect(),
        statics: analysed.statics.iter().filter(changing).map(part).collect(),
        functions,
        stack: stack::worst_case(&calls::graph(analysed, types), analysed.entry),
        frames_declared: !analysed.declared_frames.is_empty(),
        differences,
        families: Vec::new(),
    })
}

fn rustc() -> Result<String> {
    let said = command::text(Command::new("rustc").arg("-V").current_dir(paths::root()))?;
    Ok(said.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_that_is_broken_is_named() {
        let family = |name: &str, bytes| Measured {
            name: name.to_owned(),
            bytes,
            bytes_max: 10,
            adds: None,
        };
        let families = vec![family("files", 10), family("freeze", 11)];
        let report = Report { file_bytes: 1 << 40, families, ..Report::default() };
        let broken = report.broken_budgets();
        assert!(broken[0].starts_with("the file: 1099511627776 bytes"), "{broken:?}");
        assert_eq!(
            broken[1],
            "the file with the families freeze alone: 11 bytes, the budget is 10"
        );
        assert!(broken[2].contains("no function at the entry point") && broken.len() == 3);
    }
}
