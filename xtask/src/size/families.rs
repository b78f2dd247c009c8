//! What each family of commands costs: sets of Cargo's features in; how large the binary is with
//! these alone, beside its budget, out.

use std::fs::{self, File};
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::thread;

use xtask::table::{bytes as number, cells};
use xtask::{ElseSay, Result, build, command, paths, progress};

/// How large the file may be with these features alone.
#[derive(Clone, Copy)]
pub struct Budget {
    pub features: &'static [&'static str],
    pub bytes_max: u64,
    /// What was asked for: less, where that is missed.
    pub bytes_asked: u64,
}

/// Every budget of the file. A row of one feature is a family, and a new family is a new row.
/// `default` is all of them: what was asked is for the commands up to here (98,304 for all 43), and
/// missed since there are disks (docs/decisions.md, "Disks, made by a copy of the agent"). What a
/// guest needs to be backed up and shut down was to stay within 59,392 bytes: what keeps the agent
/// safe from hostile users and odd guests, with the freeze worker and the order of what lies on
/// what, is more than fitted in (docs/decisions.md, "What safety costs"). In each are 2,624 bytes
/// for the options of the reference and its lists of commands (docs/decisions.md, "What starts it
/// as the reference is started"),
/// and 192 for text that is let go of after the start and room for a line of the log.
pub const BUDGETS: [Budget; 22] = [
    Budget { features: &["default"], bytes_max: 146_432, bytes_asked: 98_304 },
    // guest-sync, guest-ping and guest-info are always there.
    within(&[], 38_144),
    within(&["files"], 45_952),
    within(&["freeze"], 56_640),
    // Of no use without a freeze: what it costs with one stands below.
    within(&["hooks"], 38_144),
    within(&["power"], 44_800),
    within(&["time"], 44_032),
    within(&["info"], 44_800),
    within(&["users"], 41_728),
    within(&["cpus"], 42_752),
    within(&["memory"], 40_960),
    within(&["disks"], 54_656),
    within(&["network"], 45_824),
    within(&["exec"], 51_584),
    within(&["trim"], 44_288),
    within(&["hotplug"], 45_440),
    within(&["suspend"], 44_032),
    within(&["passwords"], 51_840),
    within(&["ssh"], 52_864),
    within(&["config"], 42_880),
    within(&["freeze", "hooks"], 59_136),
    Budget { features: &["files", "freeze", "power"], bytes_max: 69_248, bytes_asked: 59_392 },
];

/// The budget of the whole file.
pub const WHOLE: Budget = BUDGETS[0];

const fn within(features: &'static [&'static str], bytes_max: u64) -> Budget {
    Budget { features, bytes_max, bytes_asked: bytes_max }
}

/// One of these, measured.
#[derive(Clone, Debug)]
pub struct Measured {
    pub name: String,
    pub bytes: u64,
    pub bytes_max: u64,
    /// Of a family: by how much it is larger than what there is without any.
    pub adds: Option<u64>,
}

impl Measured {
    /// A row of the table.
    pub fn cells(&self) -> Vec<String> {
        let most = format!("<= {}", number(self.bytes_max));
        cells([&self.name, &number(self.bytes), &most, &self.adds.map_or(String::new(), number)])
    }
}

/// What stands above the columns.
pub const HEAD: [&str; 4] = ["families", "file with these alone", "budget", "adds to none"];

/// The families, in the order of their budgets.
pub fn names() -> impl Iterator<Item = &'static str> + Clone {
    BUDGETS.iter().filter_map(|budget| match budget.features {
        [family] if *family != "default" => Some(*family),
        _ => None,
    })
}

/// How many builds run at a time: the last step of each takes one processor.
const LANES: usize = 2;

/// Calls `each` for every budget but that of the whole file, several at a time; what it gave, in
/// their order.
pub fn for_each<R: Send>(each: impl Fn(&Budget) -> R + Sync) -> Vec<R> {
    let small: Vec<&Budget> =
        BUDGETS.iter().filter(|budget| budget.features != WHOLE.features).collect();
    let lane = |lane| {
        let numbers = (lane..small.len()).step_by(LANES);
        numbers.map(|number| (number, each(small[number]))).collect::<Vec<_>>()
    };
    let mut given: Vec<(usize, R)> = thread::scope(|scope| {
        let lane = &lane;
        let lanes: Vec<_> = (0..LANES).map(|number| scope.spawn(move || lane(number))).collect();
        // A test that fails in a lane fails here, with its message.
        let joined = lanes.into_iter().map(|lane| lane.join().unwrap_or_else(|e| resume_unwind(e)));
        joined.flatten().collect()
    });
    given.sort_by_key(|(number, _)| *number);
    given.into_iter().map(|(_, given)| given).collect()
}

/// Measures every budget but that of the whole file.
pub fn measure() -> Result<Vec<Measured>> {
    let small = BUDGETS.iter().filter(|budget| budget.features != WHOLE.features);
    let bytes = for_each(|budget| paths::bytes(&with(budget.features)?));
    let bytes: Vec<u64> = bytes.into_iter().collect::<Result<_>>()?;
    let none = small.clone().zip(&bytes).find(|(budget, _)| budget.features.is_empty());
    let none_bytes = none.map_or(0, |(_, bytes)| *bytes);
    let measured = small.zip(&bytes).map(|(budget, &bytes)| {
        let Budget { features, bytes_max, .. } = *budget;
        let name = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
        let adds = (features.len() == 1).then(|| bytes.saturating_sub(none_bytes));
        Measured { name, bytes, bytes_max, adds }
    });
    Ok(measured.collect())
}

/// Builds the agent with these features alone, without a warning; the file.
pub fn with(features: &[&str]) -> Result<PathBuf> {
    let name = if features.is_empty() { "none".to_owned() } else { features.join("-") };
    let at = BUDGETS.iter().position(|budget| budget.features == features).unwrap_or(0);
    let families = paths::target().join("families");
    let folder = families.join(format!("lane-{}", at % LANES));
    paths::make(&folder)?;
    // Another process that builds here would put its file in this one's place before it is copied.
    let lock = File::create(folder.join("lock")).else_say_of("cannot make a lock in", &folder)?;
    lock.lock().else_say_of("cannot lock", &folder)?;
    progress::timed(&format!("building it with the families: {name}"), || {
        let mut cargo = build::cargo();
        cargo.args(["build", "--release", "-p", "qga-linux", "--no-default-features"]);
        cargo.arg("--features").arg(features.join(",")).arg("--target-dir").arg(&folder);
        let said = command::output(cargo.current_dir(paths::root()))?.stderr;
        let said = String::from_utf8_lossy(&said);
        if said.contains("warning") { Err(said.into_owned()) } else { Ok(()) }
    })?;
    let file = families.join(format!("qga-{name}"));
    fs::copy(folder.join("release/qga"), &file).else_say_of("cannot write", &file)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_a_budget_of_its_own() {
        let manifest = paths::text(&paths::root().join("platform-linux/Cargo.toml")).unwrap();
        let all = manifest.split_once("\ndefault = ").and_then(|(_, rest)| rest.lines().next());
        let all: Vec<String> = serde_json::from_str(all.unwrap()).unwrap();
        assert_eq!(names().collect::<Vec<_>>(), all);
        let known = |name: &&str| names().any(|family| family == *name);
        assert!(BUDGETS[1..].iter().all(|budget| budget.features.iter().all(known)));
    }
}
