//! memory-budget.md: a report goes in, its text comes out, and
//! which lines of an older text are stale.

use super::families::{self, Measured, WHOLE};
use super::stack::Pointers;
use super::{DATA_BYTES_MAX, Part, Report, STACK_BYTES_MAX};
use xtask::table::{self, bytes as number, cells};

/// How many functions are named in the file, and on a terminal.
pub const FUNCTIONS_IN_FILE: usize = 15;
pub const FUNCTIONS_SHOWN: usize = 25;
/// Names longer than this lose their middle.
const NAME_CHARS_MAX: usize = 76;
const STALE_LINES_MAX: usize = 8;
/// Static objects smaller than this are summed up in one line.
const STATIC_BYTES_MIN: u64 = 64;

/// The text, with so many of the largest functions.
pub fn markdown(report: &Report, functions: usize) -> String {
    let about = "Written by `cargo xtask size`, not by hand: `cargo xtask size --check` and the tests\n\
                 fail when it differs from the build. All numbers are bytes.";
    let mut budgets = budgets(report);
    budgets.insert(0, ["what", "bytes", "budget"].map(str::to_owned).to_vec());
    let functions = &report.functions[..functions.min(report.functions.len())];
    [
        format!("# Memory budget\n\n{}\n\n{about}\n\n", header(report)),
        table::markdown(&budgets, &[0]),
        families(report),
        format!("\n## Sections that are loaded\n\n{}", parts("section", &report.sections)),
        statics(report),
        stack(report),
        format!("\n## Largest functions\n\n{}", parts("function", functions)),
    ]
    .concat()
}

/// Whether `written` holds the numbers of the same compiler.
pub fn same_compiler(written: &str, report: &Report) -> bool {
    let header = header(report);
    written.lines().any(|line| line == header)
}

/// The first differences between two texts, for a person.
pub fn stale_lines(written: &str, present: &str) -> Vec<String> {
    let gone = written.lines().filter(|line| !present.lines().any(|other| other == *line));
    let new = present.lines().filter(|line| !written.lines().any(|other| other == *line));
    let gone: Vec<String> = gone.map(|line| format!("  - {line}")).collect();
    let new: Vec<String> = new.map(|line| format!("  + {line}")).collect();
    if gone.is_empty() && new.is_empty() && written == present {
        return Vec::new();
    }
    let mut lines =
        vec!["memory-budget.md is stale (- what it says, + what the build is):".to_owned()];
    lines.extend(gone.iter().take(STALE_LINES_MAX).cloned());
    lines.extend(new.iter().take(STALE_LINES_MAX).cloned());
    lines
}

fn header(report: &Report) -> String {
    format!("For {} on x86_64, release profile.", report.rustc)
}

fn budgets(report: &Report) -> Vec<Vec<String>> {
    let most = |limit: u64| format!("<= {}", number(limit));
    let bound = report.stack.bound_bytes.map_or("no bound".to_owned(), number);
    let file = match report.file_bytes.saturating_sub(WHOLE.bytes_max) {
        0 => most(WHOLE.bytes_max),
        over => format!("{}, **missed by {}**", most(WHOLE.bytes_max), number(over)),
    };
    vec![
        cells([&"file", &number(report.file_bytes), &file]),
        cells([&"code (.text)", &number(report.text_bytes), &""]),
        cells([&"constants", &number(report.rodata_bytes), &""]),
        cells([
            &"state not zero at start (.data)",
            &number(report.data_bytes),
            &most(DATA_BYTES_MAX),
        ]),
        cells([&"state zero at start (.bss)", &number(report.bss_bytes), &""]),
        cells([&"stack, worst case", &bound, &most(STACK_BYTES_MAX)]),
        cells([&"heap", &"0", &"0"]),
    ]
}

fn families(report: &Report) -> String {
    if report.families.is_empty() {
        return String::new();
    }
    let about = "Each is a feature of Cargo; what one adds is how much larger the file is with it alone than with none.";
    let head = families::HEAD.map(str::to_owned).to_vec();
    let rows = std::iter::once(head).chain(report.families.iter().map(Measured::cells));
    let table = table::markdown(&rows.collect::<Vec<_>>(), &[0]);
    format!("\n## Families of commands\n\n{about}\n\n{table}")
}

/// Parts with their sizes.
fn parts(what: &str, parts: &[Part]) -> String {
    let row = |part: &Part| cells([&quoted(&part.name), &number(part.bytes)]);
    let head = cells([&what, &"bytes"]);
    table::markdown(&std::iter::once(head).chain(parts.iter().map(row)).collect::<Vec<_>>(), &[0])
}

fn statics(report: &Report) -> String {
    let (mut large, small): (Vec<Part>, Vec<Part>) =
        report.statics.iter().cloned().partition(|part| part.bytes >= STATIC_BYTES_MIN);
    if !small.is_empty() {
        let bytes = small.iter().map(|part| part.bytes).sum();
        large.push(Part { name: format!("{} smaller objects", small.len()), bytes });
    }
    let text = match large.is_empty() {
        true => "None.\n".to_owned(),
        false => {
            let about = "Pages of it that are never touched cost no memory.";
            format!("{about}\n\n{}", parts("object", &large))
        }
    };
    format!("\n## Static state\n\n{text}")
}

fn stack(report: &Report) -> String {
    let stack = &report.stack;
    let mut out = format!(
        "\n## Stack\n\nWorst case over every path of calls and jumps from the entry point, through \
         {} functions.\nA frame is what the compiler states, or what the disassembly shows where \
         that is more.\n",
        stack.reached
    );
    let mut path = vec![cells([&"deepest path", &"frame", &"return address"])];
    path.extend(stack.path.iter().map(|step| {
        let back = if step.called { 8 } else { 0 };
        cells([&quoted(&step.name), &number(step.frame_bytes), &back])
    }));
    if !stack.path.is_empty() {
        out += &format!("\n{}", table::markdown(&path, &[0]));
    }
    for line in remarks(report) {
        out += &format!("\n{line}\n");
    }
    out + &pointers(&stack.pointers)
}

/// Where calls through pointers may lead.
fn pointers(pointers: &[Pointers]) -> String {
    if pointers.is_empty() {
        return "\nNo calls through pointers.\n".to_owned();
    }
    let about = "A call through a pointer is taken to lead to every function of the pointer's type whose address is\n\
                 taken. The types are LLVM's: what is returned, and how each parameter is passed.";
    let row = |pointers: &Pointers| {
        let types = pointers.types.as_ref().map(|all| all.iter().map(|name| quoted(name)));
        let types = types.map_or("any".to_owned(), |all| all.collect::<Vec<_>>().join(" or "));
        cells([&quoted(&pointers.caller), &types, &pointers.targets])
    };
    let head = cells([&"calls through pointers in", &"of the type", &"functions"]);
    let rows: Vec<_> = std::iter::once(head).chain(pointers.iter().map(row)).collect();
    format!("\n{about}\n\n{}", table::markdown(&rows, &[0, 1]))
}

/// What qualifies the numbers.
fn remarks(report: &Report) -> Vec<String> {
    let stack = &report.stack;
    let mut out = Vec::new();
    for cycle in &stack.cycles {
        let names: Vec<String> = cycle.iter().map(|name| quoted(name)).collect();
        out.push(format!("No bound: these call one another: {}.", names.join(", ")));
    }
    for name in &stack.unbounded {
        out.push(format!("No bound: the frame of {} is not known.", quoted(name)));
    }
    if stack.cycles.is_empty() && stack.reached > 0 {
        out.push("No cycles: nothing recurses.".to_owned());
    }
    if !report.frames_declared {
        out.push("The compiler stated no frames: all are from the disassembly.".to_owned());
    } else if !stack.undeclared.is_empty() {
        let names = stack.undeclared.iter().map(|(name, bytes)| format!("`{name}` {bytes}"));
        let names: Vec<String> = names.collect();
        out.push(format!("Frames from the disassembly alone: {}.", names.join(", ")));
    }
    match report.differences.is_empty() {
        true => out.push("The analysed build and the shipped file agree byte by byte.".to_owned()),
        false => out.push(format!(
            "The analysed build differs from the shipped file: {}.",
            report.differences.join("; ")
        )),
    }
    out
}

/// A name without its middle when it is too long, and without what markdown would take for its own.
fn quoted(name: &str) -> String {
    let chars: Vec<char> = name.chars().filter(|c| *c != '`' && *c != '|').collect();
    let text = |chars: &[char]| chars.iter().collect::<String>();
    let half = (NAME_CHARS_MAX - 3) / 2;
    match chars.len() <= NAME_CHARS_MAX {
        true => format!("`{}`", text(&chars)),
        false => format!("`{}...{}`", text(&chars[..half]), text(&chars[chars.len() - half..])),
    }
}
