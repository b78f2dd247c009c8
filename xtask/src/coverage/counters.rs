//! The counters of the static binary, which has no runtime that could write them out: its file and
//! what the shared pages hold in, a raw profile as llvm-profdata reads it out.
//!
//! Layout: LLVM, InstrProfData.inc, the raw profile's header (version 10) and the records of
//! functions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::{Object, ObjectSection, ObjectSymbol};
use xtask::{ElseSay, Result, build, command, install, paths};

/// Bytes of one function's record.
const RECORD_BYTES: u64 = 64;
/// The version of the layout that is written here, in the lower bits of the binary's own.
const VERSION: u64 = 10;
/// The highest number of a kind of value profile, which is written but not used.
const VALUE_KIND_LAST: u64 = 2;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The binary, and the file that its counters are in while it runs; that ends with this value.
pub struct Measured {
    pub binary: PathBuf,
    pub counters: PathBuf,
    size: usize,
}

impl Measured {
    /// Builds the agent of the project in `root`, unoptimised, so that every line is code of its
    /// own.
    pub fn build(root: &Path, folder: &Path) -> Result<Measured> {
        install::commands(&[("cc", "gcc")])?;
        paths::make(folder)?;
        // In memory, so that a guest of the tests may see it among its own mounts. The name is the
        // same each time, because cargo does not see what it is linked into.
        let name = folder.display().to_string().replace('/', "-");
        let counters = PathBuf::from(format!("/dev/shm/qga-counters{name}"));
        let path = counters.to_str().ok_or("the name of the counters is not text")?;
        let put = |name: &str, text: &str| {
            let file = folder.join(name);
            paths::write(&file, text).map(|()| file)
        };
        let start = put("start.s", &include_str!("start.s").replace("@PATH@", path))?;
        let script = put("counters.ld", include_str!("counters.ld"))?;
        let object = folder.join("start.o");
        command::run(Command::new("cc").arg("-c").arg(&start).arg("-o").arg(&object))?;
        let flags = format!(
            "-Cinstrument-coverage -Zno-profiler-runtime --cap-lints=warn -Clink-arg={} \
             -Clink-arg=-Wl,-T,{} -Clink-arg=-Wl,-e,coverage_start",
            object.display(),
            script.display()
        );
        let mut cargo = build::cargo();
        cargo.args(["build", "-p", "qga-linux", "--target", TARGET]).current_dir(root);
        cargo.env("CARGO_TARGET_DIR", folder.join("agent"));
        cargo.env("RUSTFLAGS", flags).env("RUSTC_BOOTSTRAP", "1");
        command::run(&mut cargo)?;
        let binary = folder.join("agent").join(TARGET).join("debug/qga");
        let size = Sections::read(&binary)?.counters.len();
        let measured = Measured { binary, counters, size };
        measured.reset()?;
        Ok(measured)
    }

    /// Sets all counters to zero.
    pub fn reset(&self) -> Result<()> {
        paths::write(&self.counters, vec![0; self.size])?;
        // An agent that another user was made counts as well.
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        fs::set_permissions(&self.counters, everybody)
            .else_say_of("cannot open to all", &self.counters)
    }

    /// Writes what was counted since as a raw profile.
    pub fn profile(&self, path: &Path) -> Result<()> {
        let sections = Sections::read(&self.binary)?;
        paths::write(path, sections.profile(&paths::read(&self.counters)?)?)
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.counters);
    }
}

/// What the compiler put into the binary.
struct Sections {
    version: u64,
    records: Vec<u8>,
    records_at: u64,
    counters: Vec<u8>,
    counters_at: u64,
    names: Vec<u8>,
    names_at: u64,
}

impl Sections {
    fn read(binary: &Path) -> Result<Sections> {
        let bytes = paths::read(binary)?;
        let file = object::File::parse(&*bytes).else_say_of("cannot parse", binary)?;
        let section = |name: &str| {
            let section = file.section_by_name(name);
            let section = section.ok_or_else(|| format!("{} has no {name}", binary.display()))?;
            let data = section.data().else_say_of("cannot read", binary)?;
            Ok::<_, String>((data.to_vec(), section.address()))
        };
        let (records, records_at) = section("__llvm_prf_data")?;
        let (counters, counters_at) = section("__llvm_prf_cnts")?;
        let (names, names_at) = section("__llvm_prf_names")?;
        let symbol =
            file.symbols().find(|symbol| symbol.name() == Ok("__llvm_profile_raw_version"));
        let version = symbol.and_then(|symbol| {
            let section = file.section_by_index(symbol.section_index()?).ok()?;
            let at = (symbol.address() - section.address()) as usize;
            Some(u64::from_le_bytes(*section.data().ok()?.get(at..)?.first_chunk()?))
        });
        let version = version.unwrap_or(VERSION);
        Ok(Sections { version, records, records_at, counters, counters_at, names, names_at })
    }

    fn profile(&self, counters: &[u8]) -> Result<Vec<u8>> {
        if self.version & 0xFF_FFFF != VERSION {
            let version = self.version & 0xFF_FFFF;
            return Err(format!("raw profiles of version {version} are not known"));
        }
        let header = [
            u64::from_be_bytes(*b"\xFFlprofr\x81"),
            self.version,
            0,
            self.records.len() as u64 / RECORD_BYTES,
            0,
            counters.len() as u64 / 8,
            0,
            0,
            0,
            self.names.len() as u64,
            self.counters_at.wrapping_sub(self.records_at),
            0,
            self.names_at,
            0,
            0,
            VALUE_KIND_LAST,
        ];
        let mut bytes: Vec<u8> = header.iter().flat_map(|field| field.to_le_bytes()).collect();
        bytes.extend_from_slice(&self.records);
        bytes.extend_from_slice(counters);
        bytes.extend_from_slice(&self.names);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        Ok(bytes)
    }
}
