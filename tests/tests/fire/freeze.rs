//! Kills around freeze, on real filesystems in a jail: of the agent at every system call from the
//! request to the thaw's answer, and at every one of the next agent's recovery; of its workers,
//! with the agent and without, at each of theirs. Whatever the moment: the agent after them says
//! what is true, thaws what is ours, leaves alone what others froze, and none ever writes to what
//! is frozen. An ordinary run takes a sample of the single kills and of the double ones; all of
//! them with QGA_FIRE=full, the double ones of every eighth first kill with QGA_FIRE=1/8.

use qga_tests::agent::connect;
use qga_tests::connection::Connection;
use qga_tests::disk::Disk;
use qga_tests::fire::{Point, Strike, in_parallel, is_full, names, numbered, part, sample};
use qga_tests::fire_freeze::{Scene, Victim, writes_while_frozen};
use qga_tests::guest::{Guest, freeze, status};
use qga_tests::jail::{Mount, Spec, Start};
use qga_tests::{program, skip};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::time::Instant;

/// Single kills of each setting in an ordinary run.
const KILLS: usize = 100;
/// Double kills of an ordinary run: so many first kills of each scene, and so many second ones of
/// each.
const FIRST_KILLS: usize = 5;
const SECOND_KILLS: usize = 6;
const SEED: u64 = 4;
/// After so many failures the rest is not tried.
const FAILURES_SHOWN: usize = 20;

/// What a guest's disks look like.
struct Setting {
    name: &'static str,
    /// Kind and place of each disk, in mount order.
    disks: &'static [(&'static str, &'static str)],
    /// Bind mounts: from, at.
    binds: &'static [(&'static str, &'static str)],
    /// Disks that somebody else has frozen.
    others: &'static [usize],
    arguments: &'static [&'static str],
}

const PLAIN: Setting = Setting { name: "", disks: &[], binds: &[], others: &[], arguments: &[] };

static SETTINGS: [Setting; 10] = [
    Setting { name: "one ext4", disks: &[("ext4", "/mnt/a")], ..PLAIN },
    Setting { name: "one xfs", disks: &[("xfs", "/mnt/a")], ..PLAIN },
    Setting { name: "two", disks: &[("ext4", "/mnt/a"), ("ext4", "/mnt/b")], ..PLAIN },
    Setting {
        name: "three, nested",
        disks: &[("ext4", "/mnt/a"), ("ext4", "/mnt/a/b"), ("ext4", "/mnt/a/b/c")],
        ..PLAIN
    },
    Setting {
        name: "four, one xfs, one nested",
        disks: &[("ext4", "/mnt/a"), ("xfs", "/mnt/b"), ("ext4", "/mnt/a/n"), ("ext4", "/mnt/d")],
        ..PLAIN
    },
    Setting {
        name: "two, bind mounts",
        disks: &[("ext4", "/mnt/a"), ("ext4", "/mnt/b")],
        binds: &[("/mnt/a", "/mnt/bound"), ("/mnt/b", "/mnt/a/in")],
        ..PLAIN
    },
    Setting {
        name: "three, others froze the first",
        disks: &[("ext4", "/mnt/a"), ("ext4", "/mnt/b"), ("ext4", "/mnt/c")],
        others: &[0],
        ..PLAIN
    },
    Setting {
        name: "three, others froze the middle, an xfs",
        disks: &[("ext4", "/mnt/a"), ("xfs", "/mnt/b"), ("ext4", "/mnt/c")],
        others: &[1],
        ..PLAIN
    },
    Setting {
        name: "four, others froze two, bind mounts of both kinds",
        disks: &[("ext4", "/mnt/a"), ("ext4", "/mnt/a/b"), ("ext4", "/mnt/c"), ("ext4", "/mnt/d")],
        binds: &[("/mnt/a/b", "/mnt/bound"), ("/mnt/d", "/mnt/again")],
        others: &[1, 3],
        ..PLAIN
    },
    Setting {
        name: "the state on the disk",
        disks: &[("ext4", "/mnt/a"), ("ext4", "/mnt/b")],
        arguments: &["-t", "/mnt/a"],
        ..PLAIN
    },
];

impl Setting {
    fn scene(&self) -> Scene {
        let make = |kind| if kind == "xfs" { Disk::xfs() } else { Disk::ext4() };
        let disks = self.disks.iter().map(|(kind, _)| make(*kind)).collect();
        let places: Vec<_> = self.disks.iter().map(|(_, place)| *place).collect();
        let bind = |(from, at): &(&str, &str)| Mount {
            from: from.into(),
            at: at.into(),
            kind: "bind".to_owned(),
        };
        let mounts = self.binds.iter().map(bind).collect();
        let guest = Guest::with_disks(&places, disks, Spec { mounts, ..Spec::default() });
        Scene { guest, others: self.others.to_vec(), arguments: self.arguments, places }
    }

    fn has_xfs(&self) -> bool {
        self.disks.iter().any(|(kind, _)| *kind == "xfs")
    }
}

/// One or two kills in a setting.
struct Task {
    /// Whose; without one, the agent's.
    worker: Option<(Work, Victim)>,
    first: usize,
    second: Option<Point>,
}

/// What a worker does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Work {
    Freeze,
    Thaw,
}

/// What an undisturbed run of a setting calls: the agent, a worker that freezes, one that thaws.
struct Recorded {
    agent: Vec<Point>,
    freezing: Vec<Point>,
    thawing: Vec<Point>,
    /// For each disk of others: the points killed at which, as it freezes, nobody can know whose
    /// freeze it is.
    unsure: Vec<(usize, RangeInclusive<usize>)>,
}

impl Recorded {
    fn points(&self, worker: Option<(Work, Victim)>) -> &[Point] {
        match worker {
            None => &self.agent,
            Some((Work::Freeze, _)) => &self.freezing,
            Some((Work::Thaw, _)) => &self.thawing,
        }
    }

    /// The disk of others of which nobody can know, where the agent and its worker are killed.
    fn unsure_at(&self, task: &Task) -> Option<usize> {
        let found = |points: &RangeInclusive<usize>| match task.worker {
            Some((Work::Freeze, _)) => points.contains(&task.first),
            Some((Work::Thaw, _)) => false,
            // Where the worker is then depends on who is faster.
            None => true,
        };
        self.unsure.iter().find(|(_, points)| found(points)).map(|(disk, _)| *disk)
    }
}

fn kills(log: &str) -> Vec<Point> {
    let names = names(log);
    let kill = |(call, number): (&str, usize)| Point {
        life: 0,
        call: call.to_owned(),
        number,
        strike: Strike::Kill,
    };
    numbered(&names).into_iter().map(kill).collect()
}

/// Freeze and thaw undisturbed, and the first kill's places.
fn record(scene: &Scene) -> Result<Recorded, String> {
    scene.prepare();
    let agent = kills(&scene.freeze_and_thaw(None)?.log);
    scene.judge(None)?;
    let [log, thaw] = [false, true].map(|thaws| {
        scene.prepare();
        let log = scene.work(thaws, None, Victim::Both).map(|life| life.log);
        scene.judge(None).and(log)
    });
    let (log, thaw) = (log?, thaw?);
    let wrong = writes_while_frozen(&format!("{log}{thaw}"), &scene.places);
    if !wrong.is_empty() {
        return Err(format!("writes while frozen: {wrong:?}"));
    }
    let lines: Vec<&str> = log.lines().filter(|line| names(line).len() == 1).collect();
    let recorded = |line: &str| line.starts_with("write(") && line.contains("isfrozen");
    let mut unsure = Vec::new();
    for &disk in &scene.others {
        let call = format!("<{}>, FIFREEZE", scene.places[disk]);
        let at = lines.iter().position(|line| line.contains(&call)).ok_or("no FIFREEZE")?;
        // From the first place on that has the row before it, or the whole list, on record.
        let before = match lines[..at].iter().rposition(|line| line.contains("FIFREEZE")) {
            Some(last) => lines[last..at].iter().position(|line| recorded(line)).map(|n| last + n),
            None => lines[..at].iter().position(|line| line.starts_with("rename")),
        };
        let before = before.ok_or("no mark")?;
        let noted = lines[at..].iter().position(|line| recorded(line)).ok_or("no note")?;
        unsure.push((disk, before + 1..=at + noted));
    }
    Ok(Recorded { agent, freezing: kills(&log), thawing: kills(&thaw), unsure })
}

/// Both kills of a task, then the judgement; whether each struck.
fn run(scene: &Scene, recorded: &Recorded, task: &Task) -> Result<(bool, bool), String> {
    scene.prepare();
    let first = strike(scene, recorded, task.worker, task.first)?;
    let second = match &task.second {
        Some(point) => scene.recover(Some(point))?.struck,
        None => true,
    };
    scene.judge(recorded.unsure_at(task))?;
    Ok((first, second))
}

/// The first kill; whether it struck.
fn strike(
    scene: &Scene,
    recorded: &Recorded,
    worker: Option<(Work, Victim)>,
    number: usize,
) -> Result<bool, String> {
    let point = recorded.points(worker).get(number);
    let life = match worker {
        None => scene.freeze_and_thaw(point)?,
        Some((work, victim)) => scene.work(work == Work::Thaw, point, victim)?,
    };
    Ok(life.struck)
}

/// The second kills that a first one makes possible.
fn second_kills(scene: &Scene, recorded: &Recorded, first: &First) -> Result<Vec<Point>, String> {
    scene.prepare();
    strike(scene, recorded, first.0, first.1)?;
    let frozen = scene.guest.frozen();
    let log = scene.recover(None)?.log;
    // What was frozen before this log began counts too.
    let lines: String = (frozen.iter().zip(&scene.places))
        .filter(|(frozen, _)| **frozen)
        .map(|(_, place)| format!("ioctl(0<{place}>, FIFREEZE) = 0\n"))
        .collect();
    let wrong = writes_while_frozen(&format!("{lines}{log}"), &scene.places);
    if !wrong.is_empty() {
        return Err(format!("writes while frozen in the recovery: {wrong:?}"));
    }
    scene.judge(None).or_else(|error| match recorded.unsure.is_empty() {
        true => Err(error),
        false => Ok(()),
    })?;
    // Only after the execve does the shell become the agent.
    let all = kills(&log);
    let agent = all.iter().position(|point| point.call == "execve").map_or(0, |at| at + 1);
    Ok(all[agent..].to_vec())
}

/// Works through the tasks, each thread with a guest of the setting that it is at.
fn work<T: Sync>(
    settings: &[&Setting],
    tasks: &[(usize, T)],
    what: impl Fn(&Scene, usize, &T) -> Result<(), String> + Sync,
) -> Vec<String> {
    let failures = Mutex::new(Vec::new());
    in_parallel(
        tasks.len(),
        || None,
        |own: &mut Option<(usize, Scene)>, at| {
            if failures.lock().unwrap().len() >= FAILURES_SHOWN {
                return;
            }
            let (setting, task) = &tasks[at];
            if own.as_ref().is_none_or(|(present, _)| present != setting) {
                *own = None;
                *own = Some((*setting, settings[*setting].scene()));
            }
            let Some((_, scene)) = own else { return };
            if let Err(error) = what(scene, *setting, task) {
                let error = format!("{}: {error}", settings[*setting].name);
                failures.lock().unwrap().push(format!("{error}\n{}", scene.guest.jail.stderr()));
                // Nobody knows what state it is in.
                *own = None;
            }
        },
    );
    failures.into_inner().unwrap()
}

/// The settings that can be had here; others are counted as skipped.
fn possible(name: &str) -> Vec<&'static Setting> {
    let without_xfs = Disk::lacks("xfs", "xfsprogs", &format!("{name} (xfs)"));
    SETTINGS.iter().filter(|setting| !(without_xfs && setting.has_xfs())).collect()
}

#[test]
fn killed_around_freeze() {
    let name = "fire::freeze::killed_around_freeze";
    if program("strace").is_none() {
        return skip(name, "needs strace");
    }
    if Disk::impossible(name) {
        return;
    }
    let start = Instant::now();
    let settings = possible(name);
    let recorded = Mutex::new(BTreeMap::new());
    let tasks: Vec<_> = (0..settings.len()).map(|setting| (setting, ())).collect();
    let failures = work(&settings, &tasks, |scene, setting, ()| {
        let record = record(scene)?;
        recorded.lock().unwrap().insert(setting, record);
        Ok(())
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let recorded = recorded.into_inner().unwrap();
    let tasks = all_tasks(&settings, &recorded);
    let single = tasks.iter().filter(|(_, task)| task.second.is_none()).count();
    let counts = Mutex::new((0, 0, Vec::new()));
    let failures = work(&settings, &tasks, |scene, setting, task| {
        let recorded = &recorded[&setting];
        let first = recorded.points(task.worker)[task.first].injection();
        let second = task.second.as_ref().map(Point::injection);
        let who = task.worker;
        let named = format!("{who:?} killed at call {} ({first}), then {second:?}", task.first);
        let struck = run(scene, recorded, task).map_err(|error| format!("{named}: {error}"))?;
        let mut counts = counts.lock().unwrap();
        match struck {
            (true, true) => counts.0 += 1 + usize::from(task.second.is_some()),
            _ => {
                counts.1 += 1;
                counts.2.push(format!("{}: {named}", settings[setting].name));
            }
        }
        Ok(())
    });
    let (kills, missed, names) = counts.into_inner().unwrap();
    println!(
        "{} settings, {single} tasks of one kill, {} of two, {kills} kills, {missed} not reached, {} \
         failed, {:.0?}\nnot reached: {names:?}",
        settings.len(),
        tasks.len() - single,
        failures.len(),
        start.elapsed()
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    // How often the agent looks for what its worker has told depends on who is faster.
    assert!(missed * 20 <= tasks.len(), "{missed} points were not reached");
    assert!(kills >= 140 * settings.len(), "only {kills} kills");
}

/// Whose call it is, and its number.
type First = (Option<(Work, Victim)>, usize);

/// Everybody who is killed.
const WHO: [Option<(Work, Victim)>; 5] = [
    None,
    Some((Work::Freeze, Victim::Both)),
    Some((Work::Freeze, Victim::Worker)),
    Some((Work::Thaw, Victim::Both)),
    Some((Work::Thaw, Victim::Worker)),
];

/// One kill everywhere; two, of which the first and the second are sampled in an ordinary run.
fn all_tasks(settings: &[&Setting], recorded: &BTreeMap<usize, Recorded>) -> Vec<(usize, Task)> {
    let mut tasks = Vec::new();
    let mut firsts = Vec::new();
    for (&setting, record) in recorded {
        let of = |worker| (0..record.points(worker).len()).map(move |number| (worker, number));
        let all: Vec<First> = WHO.into_iter().flat_map(of).collect();
        let task = |&(worker, first): &First| (setting, Task { worker, first, second: None });
        let seed = SEED + setting as u64;
        let firsts_of_all = if is_full() { all.clone() } else { sample(all.clone(), KILLS, seed) };
        tasks.extend(firsts_of_all.iter().map(task));
        let some = if is_full() { part(all) } else { sample(all, FIRST_KILLS, seed) };
        firsts.extend(some.into_iter().map(|first| (setting, first)));
    }
    let found = Mutex::new(Vec::new());
    let failures = work(settings, &firsts, |scene, setting, first| {
        let points = second_kills(scene, &recorded[&setting], first)?;
        let count = if is_full() { points.len() } else { SECOND_KILLS };
        let &(worker, first) = first;
        let points = sample(points, count, SEED + first as u64);
        let task = |point| (setting, Task { worker, first, second: Some(point) });
        found.lock().unwrap().extend(points.into_iter().map(task));
        Ok(())
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    tasks.extend(found.into_inner().unwrap());
    let second = |task: &Task| task.second.as_ref().map(Point::injection);
    // Threads keep their guest as long as the setting stays the same.
    tasks.sort_by_key(|(setting, task)| (*setting, task.worker, task.first, second(task)));
    tasks
}

/// The log file may lie on a disk that is frozen when the next agent starts: opening it must not
/// wait for ever.
#[test]
fn killed_while_frozen_with_the_log_on_the_disk() {
    let name = "fire::freeze::killed_while_frozen_with_the_log_on_the_disk";
    if Disk::impossible(name) {
        return;
    }
    let arguments = &["-v", "-l", "/mnt/a/log"];
    let setting = Setting { disks: &[("ext4", "/mnt/a")], arguments, ..PLAIN };
    let scene = setting.scene();
    let start = || Start { arguments, ..Start::default() };
    let agent = scene.guest.jail.agent(start());
    // It was rotated away: the next agent makes a new one, which a frozen filesystem does not let
    // it do.
    std::fs::remove_file(scene.guest.jail.path("/mnt/a/log")).unwrap();
    assert_eq!(freeze(&mut agent.connect()), r#"{"return": 1}"#);
    agent.kill();
    scene.judge(None).unwrap();
}

/// Nor must making the socket where a frozen disk lets nobody make a file: without it nobody could
/// ask for a thaw.
#[test]
fn killed_while_frozen_with_the_socket_on_the_disk() {
    let name = "fire::freeze::killed_while_frozen_with_the_socket_on_the_disk";
    if Disk::impossible(name) {
        return;
    }
    let disks = &[("ext4", "/mnt/a"), ("ext4", "/mnt/b")];
    let scene = Setting { disks, others: &[1], ..PLAIN }.scene();
    scene.prepare();
    let jail = &scene.guest.jail;
    let socket = jail.path("/mnt/a/socket");
    let start = || {
        let arguments = &["-p", "/mnt/a/socket"];
        let agent = jail.spawn(Start { arguments, ..Start::default() });
        jail.prove_inside(&agent);
        (agent, Connection::new(connect(&socket)))
    };
    let (agent, mut client) = start();
    assert_eq!(freeze(&mut client), r#"{"return": 1}"#);
    agent.kill();
    assert_eq!(scene.guest.frozen(), [true, true]);
    let (_agent, mut client) = start();
    assert_eq!(status(&mut client), r#"{"return": "thawed"}"#);
    assert_eq!(scene.guest.frozen(), [false, true], "ours runs again, what others froze does not");
    assert_eq!(client.ask(r#"{"execute":"guest-fsfreeze-thaw"}"#), r#"{"return": 0}"#);
    assert_eq!(scene.guest.frozen(), [false, true]);
    let said = jail.stderr();
    assert_eq!(said.matches("the socket is on a disk").count(), 1, "{said}");
}
