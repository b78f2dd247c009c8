//! The core where there is no operating system: the tutorial's agent and the library for C, built
//! for five bare-metal targets, want nothing but the memory functions and reach no panic; and on 32
//! bits the agent holds the same conversations, byte for byte.
//!
//! The targets' own libraries come from rustup where it can download; else core is built from
//! source with Debian's rustc, unpacked into a folder of ours.

#[path = "c/player.rs"]
#[allow(dead_code, reason = "shared with c_examples.rs")]
mod player;

use player::{STRICT, Symbol, hold_all, run, symbols};
use qga_tests::{repository, skip};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::cross::{self, Way};
use xtask::{build, install, paths};

/// 64 and 32 bits, with and without an MMU; the last one runs on this machine.
const TARGETS: [&str; 6] = [
    "x86_64-unknown-none",
    "aarch64-unknown-none",
    "thumbv7em-none-eabi",
    "riscv32imac-unknown-none-elf",
    "riscv64gc-unknown-none-elf",
    I686,
];
const I686: &str = "i686-unknown-linux-gnu";
/// What compilers expect of every environment (on ARM also by the names of its run-time ABI).
const MEMORY: [&str; 6] = ["memcpy", "memmove", "memset", "memcmp", "bcmp", "strlen"];

fn folder() -> PathBuf {
    paths::target().join("targets")
}

fn way() -> Result<Way, String> {
    cross::way(&TARGETS)
}

/// Builds a package of this project as a static library for a target.
fn library(way: &Way, package: &str, arguments: &[&str], target: &str) -> PathBuf {
    let mut cargo = build::cargo();
    cargo.args(["rustc", "--release", "--target", target, "--target-dir"]).arg(folder());
    way.apply(&mut cargo);
    cargo.args(arguments).current_dir(repository().join(package));
    run(&mut cargo).unwrap_or_else(|error| panic!("{package} for {target}: {error}"));
    let file = if package == "core-c" { "libqga.a" } else { "libqga_embedding.a" };
    folder().join(target).join("release").join(file)
}

/// Of each object of an archive: the symbols that it has and those that it wants.
type Objects = BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>;

fn objects(archive: &Path) -> Objects {
    let mut objects = Objects::new();
    for symbol in symbols(archive) {
        let Symbol { object, name, undefined, local } = symbol;
        let (has, wants) = objects.entry(object).or_default();
        // Nobody else can link with what is local; its name counts all the same.
        let name = if local { format!("local {name}") } else { name };
        if undefined {
            wants.insert(name)
        } else {
            has.insert(name)
        };
    }
    objects
}

/// Links in the mind: what the objects named `prefix`... want, and what those want that have it,
/// and so on. What nobody has, and all symbols that come along.
fn closure(objects: &Objects, prefix: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut had = BTreeSet::new();
    let mut wanted: Vec<String> = Vec::new();
    for (_, (has, wants)) in objects.iter().filter(|(name, _)| name.starts_with(prefix)) {
        had.extend(has.iter().cloned());
        wanted.extend(wants.iter().cloned());
    }
    assert!(!had.is_empty(), "no object {prefix}* in the archive");
    let mut missing = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        if had.contains(&name) || missing.contains(&name) {
            continue;
        }
        match objects.values().find(|(has, _)| has.contains(&name)) {
            Some((has, wants)) => {
                had.extend(has.iter().cloned());
                wanted.extend(wants.iter().cloned());
            }
            None => {
                missing.insert(name);
            }
        }
    }
    (missing, had)
}

fn wants_only_memory_functions(archive: &Path, prefix: &str) {
    let (missing, had) = closure(&objects(archive), prefix);
    let others: Vec<_> = missing.iter().filter(|name| !MEMORY.contains(&name.as_str())).collect();
    assert!(others.is_empty(), "{} wants {others:?}", archive.display());
    let panics: Vec<_> = had.iter().filter(|name| name.contains("panic")).collect();
    assert!(panics.is_empty(), "{} can reach {panics:?}", archive.display());
}

fn builds_for(target: &str) {
    let way = match way() {
        Ok(way) => way,
        Err(reason) => return skip(&format!("targets::{}", target.replace('-', "_")), &reason),
    };
    let freestanding = ["--features", "freestanding", "--crate-type", "staticlib"];
    let tutorial = library(&way, "examples/embedding", &freestanding, target);
    wants_only_memory_functions(&tutorial, "qga_embedding-");
    wants_only_memory_functions(&library(&way, "core-c", &[], target), "qga-");
}

#[test]
fn x86_64_unknown_none() {
    builds_for("x86_64-unknown-none");
}

#[test]
fn aarch64_unknown_none() {
    builds_for("aarch64-unknown-none");
}

#[test]
fn thumbv7em_none_eabi() {
    builds_for("thumbv7em-none-eabi");
}

#[test]
fn riscv32imac_unknown_none_elf() {
    builds_for("riscv32imac-unknown-none-elf");
}

#[test]
fn riscv64gc_unknown_none_elf() {
    builds_for("riscv64gc-unknown-none-elf");
}

/// A C library for 32 bits, unpacked next to a compiler that makes programs for it.
fn libc32() -> Result<PathBuf, String> {
    install::commands(&[("i686-linux-gnu-gcc", "gcc-i686-linux-gnu")])?;
    let into = folder().join("i386");
    let libc = into.join("usr/i686-linux-gnu");
    if !libc.join("lib/libc.a").is_file() {
        install::unpack(&["libc6-dev-i386-cross", "linux-libc-dev-i386-cross"], &into)?;
    }
    Ok(libc)
}

#[test]
fn conversations_on_32_bits() {
    let (way, libc) = match (way(), libc32()) {
        (Ok(way), Ok(libc)) => (way, libc),
        (Err(reason), _) | (_, Err(reason)) => {
            let reason = reason.replace('\n', "; ");
            return skip("targets::conversations_on_32_bits", &reason);
        }
    };
    let archive = library(&way, "core-c", &[], I686);
    let program = folder().join("conversations-32");
    let mut gcc = Command::new("i686-linux-gnu-gcc");
    gcc.args(STRICT).args(["-static", "-O1", "-I"]).arg(repository().join("core-c/include"));
    gcc.arg("-isystem").arg(libc.join("include")).arg("-B").arg(libc.join("lib"));
    gcc.arg("-L").arg(libc.join("lib")).args(["conversations.c", "guest.c"]).arg(archive);
    gcc.arg("-o").arg(&program).current_dir(repository().join("examples/c"));
    run(&mut gcc).expect("the example compiles for 32 bits");
    hold_all(&program, &[]);
}

/// The proof is worth nothing if it cannot fail.
#[test]
fn a_panic_would_be_seen() {
    let object = |has: &[&str], wants: &[&str]| {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        (own(has), own(wants))
    };
    let objects = Objects::from([
        ("qga-1.o".to_owned(), object(&["qga_step"], &["memcpy", "__udivdi3"])),
        ("division.o".to_owned(), object(&["__udivdi3"], &["a_panic_is_reachable"])),
        ("other.o".to_owned(), object(&["unused"], &["nothing"])),
    ]);
    let (missing, had) = closure(&objects, "qga-");
    assert_eq!(missing.into_iter().collect::<Vec<_>>(), ["a_panic_is_reachable", "memcpy"]);
    assert_eq!(had.into_iter().collect::<Vec<_>>(), ["__udivdi3", "qga_step"]);
}
