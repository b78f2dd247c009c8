//! memory-budget.md: a report goes in, its text for the file and for the terminal comes out, and
//! which lines of an older text are stale.

use super::{DATA_BYTES_MAX, FILE_BYTES_MAX, Part, Report, STACK_BYTES_MAX};
use xtask::table::{bytes as number, cells, columns};

const FUNCTIONS_IN_FILE: usize = 15;
const SYMBOLS_ON_TERMINAL: usize = 25;
/// Names longer than this lose their middle.
const NAME_CHARS_MAX: usize = 76;
const STALE_LINES_MAX: usize = 8;
/// Static objects smaller than this are summed up in one line.
const STATIC_BYTES_MIN: u64 = 64;

pub fn markdown(report: &Report) -> String {
    let mut out = format!(
        "# Memory budget\n\n{}\n\n\
         Written by `cargo xtask size`, not by hand: `cargo xtask size --check` and the tests\n\
         fail when it differs from the build. All numbers are bytes.\n\n",
        header(report)
    );
    out += "| what | bytes | budget |\n| --- | ---: | ---: |\n";
    for (what, bytes, budget) in budgets(report) {
        out += &format!("| {what} | {bytes} | {budget} |\n");
    }
    out += &sections(report);
    out += &statics(report);
    out += &stack(report);
    out += "\n## Largest functions\n\n| function | bytes |\n| --- | ---: |\n";
    for part in report.functions.iter().take(FUNCTIONS_IN_FILE) {
        out += &row(part);
    }
    out
}

/// The same numbers in fewer words, and more symbols.
pub fn terminal(report: &Report) -> String {
    let budgets = budgets(report);
    let budgets: Vec<_> = budgets.iter().map(|(what, b, most)| cells([what, b, most])).collect();
    let mut out = format!("{}\n\n{}\n", header(report), columns(&budgets, &[0, 2]));
    out += "\nlargest symbols\n";
    let mut symbols: Vec<&Part> = report.functions.iter().chain(&report.statics).collect();
    symbols.sort_by(|a, b| (b.bytes, &a.name).cmp(&(a.bytes, &b.name)));
    for part in symbols.iter().take(SYMBOLS_ON_TERMINAL) {
        out += &format!("{:>12}  {}\n", number(part.bytes), short(&part.name));
    }
    out += "\ndeepest path of the stack\n";
    for step in &report.stack.path {
        let how = if step.called { "" } else { "  (no return address)" };
        out += &format!("{:>12}  {}{how}\n", number(step.frame_bytes), short(&step.name));
    }
    for line in remarks(report) {
        out += &format!("\n{line}\n");
    }
    out
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

fn budgets(report: &Report) -> Vec<(&'static str, String, String)> {
    let most = |limit: u64| format!("<= {}", number(limit));
    let bound = match report.stack.bound_bytes {
        Some(bytes) => number(bytes),
        None => "no bound".to_owned(),
    };
    let over = report.file_bytes.saturating_sub(FILE_BYTES_MAX);
    let file = match over {
        0 => most(FILE_BYTES_MAX),
        over => format!("{}, **missed by {}**", most(FILE_BYTES_MAX), number(over)),
    };
    vec![
        ("file", number(report.file_bytes), file),
        ("code (.text)", number(report.text_bytes), String::new()),
        ("constants", number(report.rodata_bytes), String::new()),
        ("state not zero at start (.data)", number(report.data_bytes), most(DATA_BYTES_MAX)),
        ("state zero at start (.bss)", number(report.bss_bytes), String::new()),
        ("stack, worst case", bound, most(STACK_BYTES_MAX)),
        ("heap", "0".to_owned(), "0".to_owned()),
    ]
}

fn sections(report: &Report) -> String {
    let mut out =
        "\n## Sections that are loaded\n\n| section | bytes |\n| --- | ---: |\n".to_owned();
    for part in &report.sections {
        out += &row(part);
    }
    out
}

fn statics(report: &Report) -> String {
    let mut out = "\n## Static state\n\n".to_owned();
    if report.statics.is_empty() {
        return out + "None.\n";
    }
    out += "Pages of it that are never touched cost no memory.\n\n";
    out += "| object | bytes |\n| --- | ---: |\n";
    let (large, small): (Vec<&Part>, Vec<&Part>) =
        report.statics.iter().partition(|part| part.bytes >= STATIC_BYTES_MIN);
    for part in large {
        out += &row(part);
    }
    if !small.is_empty() {
        let bytes = small.iter().map(|part| part.bytes).sum();
        out += &row(&Part { name: format!("{} smaller objects", small.len()), bytes });
    }
    out
}

fn stack(report: &Report) -> String {
    let stack = &report.stack;
    let mut out = format!(
        "\n## Stack\n\nWorst case over every path of calls and jumps from the entry point, through \
         {} functions.\nA frame is what the compiler states, or what the disassembly shows where \
         that is more.\n",
        stack.reached
    );
    if !stack.path.is_empty() {
        out += "\n| deepest path | frame | return address |\n| --- | ---: | ---: |\n";
    }
    for step in &stack.path {
        let back = if step.called { 8 } else { 0 };
        out += &format!("| `{}` | {} | {back} |\n", short(&step.name), number(step.frame_bytes));
    }
    for line in remarks(report) {
        out += &format!("\n{line}\n");
    }
    out
}

/// What qualifies the numbers.
fn remarks(report: &Report) -> Vec<String> {
    let stack = &report.stack;
    let mut out = Vec::new();
    for cycle in &stack.cycles {
        let names: Vec<String> = cycle.iter().map(|name| format!("`{}`", short(name))).collect();
        out.push(format!("No bound: these call one another: {}.", names.join(", ")));
    }
    for name in &stack.unbounded {
        out.push(format!("No bound: the frame of `{}` is not known.", short(name)));
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
    match stack.calling_pointers.len() {
        0 => out.push("No calls through pointers.".to_owned()),
        count => out.push(format!(
            "Calls through pointers, in {count} functions, are taken to lead to every function \
             whose address is taken."
        )),
    }
    if !stack.calling_closures.is_empty() {
        let names = stack.calling_closures.iter().map(|name| format!("`{}`", short(name)));
        out.push(format!(
            "But for {}, taken to lead to the functions whose address its callers take.",
            names.collect::<Vec<_>>().join(", ")
        ));
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

fn row(part: &Part) -> String {
    format!("| `{}` | {} |\n", short(&part.name), number(part.bytes))
}

/// A name without its middle when it is too long, and without what markdown would take for its own.
fn short(name: &str) -> String {
    let chars: Vec<char> = name.chars().filter(|c| *c != '`' && *c != '|').collect();
    if chars.len() <= NAME_CHARS_MAX {
        return chars.into_iter().collect();
    }
    let half = (NAME_CHARS_MAX - 3) / 2;
    let start: String = chars[..half].iter().collect();
    let end: String = chars[chars.len() - half..].iter().collect();
    format!("{start}...{end}")
}
