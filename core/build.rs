//! Gathers the core's texts: every literal in a `text!` of src goes in, and the list by whose
//! numbers they go comes out (src/text.rs). The numbers follow the order in the source, so that
//! neighbours there are neighbours in the list.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src");
    let mut files = Vec::new();
    find(Path::new("src"), &mut files)?;
    files.sort();
    // No words at all are the first.
    let mut texts = vec![String::from("\"\"")];
    for file in files {
        for literal in literals(&fs::read_to_string(file)?) {
            if !texts.contains(&literal) {
                texts.push(literal);
            }
        }
    }
    let list = texts.join(",\n    ");
    let rust = format!(
        "/// The texts by number.\nconst PLAIN: &[&str] = &[\n    {list}\n];\n\
         const PACKED: Phrases = phrases![\n    {list}\n];\n"
    );
    let target = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    fs::write(target.join("texts.rs"), rust)
}

/// The source files below a folder.
fn find(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// The literals in each `text!` of a source, quotes included.
fn literals(source: &str) -> Vec<String> {
    let code: Vec<&str> =
        source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let literal = |rest: &str| {
        let inside = rest.trim_start().strip_prefix('"')?;
        let mut escaped = false;
        let end = inside.find(|character| {
            let ends = character == '"' && !escaped;
            escaped = character == '\\' && !escaped;
            ends
        })?;
        Some(format!("\"{}\"", inside.get(..end)?))
    };
    code.split("text!(").skip(1).filter_map(literal).collect()
}
