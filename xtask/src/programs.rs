//! The programs that judge the core without the binary: the tests on the simulated guest, the
//! corpus of the fuzz targets, seeded sessions. A project folder and the settings of the build in,
//! their paths out.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use xtask::{ElseSay, Result, build};

/// Where they are.
#[derive(Clone, Default, Debug)]
pub struct Programs {
    /// The tests on the simulated guest.
    pub sim: PathBuf,
    /// The corpus of the fuzz targets.
    pub corpus: PathBuf,
    pub seeds: PathBuf,
}

/// Settings of a build: cargo's variables.
pub type Settings = Vec<(&'static str, String)>;

/// The settings that all of them are built with: quick to build and quick to run.
pub fn settings(target: &Path, flags: &str) -> Settings {
    vec![
        ("CARGO_TARGET_DIR", target.display().to_string()),
        ("RUSTFLAGS", flags.to_owned()),
        ("CARGO_PROFILE_DEV_OPT_LEVEL", "1".into()),
        ("CARGO_PROFILE_DEV_DEBUG", "0".into()),
        ("CARGO_PROFILE_DEV_PANIC", "unwind".into()),
    ]
}

/// Builds them from the project in `root`.
pub fn programs(root: &Path, settings: &Settings) -> Result<Programs> {
    let mut programs = Programs::default();
    let tests = ["test", "--no-run", "--test", "sim", "--test", "corpus"];
    for (folder, arguments) in [("tests", &tests[..]), ("simulation", &["build"])] {
        let (whole, messages) = cargo(&root.join(folder), arguments, settings)?;
        if !whole {
            let errors: Vec<&str> =
                messages.iter().filter_map(|m| m["message"]["rendered"].as_str()).collect();
            return Err(format!("{folder} does not build:\n{}", errors.join("\n")));
        }
        for (name, path) in executables(&messages) {
            match name {
                "sim" => programs.sim = path,
                "corpus" => programs.corpus = path,
                "qga-simulation" => programs.seeds = path,
                _ => {}
            }
        }
    }
    let all = [&programs.sim, &programs.corpus, &programs.seeds];
    match all.iter().all(|path| path.is_file()) {
        true => Ok(programs),
        false => Err(format!("the build left not every program: {programs:?}")),
    }
}

/// The programs that a build made, with their names.
pub fn executables(messages: &[Value]) -> impl Iterator<Item = (&str, PathBuf)> {
    messages.iter().filter_map(|message| {
        let path = message["executable"].as_str()?.into();
        Some((message["target"]["name"].as_str()?, path))
    })
}

/// Runs cargo in a folder; whether it went well, and its messages.
pub fn cargo(folder: &Path, arguments: &[&str], settings: &Settings) -> Result<(bool, Vec<Value>)> {
    let output = build::cargo()
        .args(arguments)
        .arg("--message-format=json")
        .current_dir(folder)
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .output()
        .else_say("cannot run cargo")?;
    let messages: Vec<Value> = output
        .stdout
        .split(|&byte| byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    if !output.status.success() && !messages.iter().any(|m| m["message"]["level"] == "error") {
        return Err(format!("cargo failed:\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok((output.status.success(), messages))
}
