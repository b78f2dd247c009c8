//! Tables of lines: each with what it says behind `=> ` on the next line, `=> -` for nothing. `##`
//! begins a remark.

use qga_core::formats::{cpulist, diskstats, glob, keyfile, loadavg, os_release, route, stat};
use qga_core::writer::Writer;
use qga_tests::repository;
use std::fs;

/// Holds each line of a table against what is read of it.
pub fn each(name: &str, read: impl Fn(&[u8]) -> Option<String>) {
    let path = repository().join("tests/data/formats").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("##")).collect();
    assert!(lines.len() >= 8 && lines.len().is_multiple_of(2), "{name}: {} lines", lines.len());
    for pair in lines.chunks(2) {
        let expected = pair[1].strip_prefix("=> ").unwrap_or_else(|| panic!("{name}: {pair:?}"));
        let found = read(pair[0].as_bytes());
        assert_eq!(found.as_deref().unwrap_or("-"), expected, "{name}: {}", pair[0]);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// What a function writes.
pub fn written(write: impl FnOnce(&mut Writer<'_>)) -> String {
    let mut room = [0; 256];
    let mut writer = Writer::new(&mut room);
    write(&mut writer);
    assert!(!writer.is_full());
    text(writer.written())
}

#[test]
fn os_release() {
    each("os-release", |line| {
        let mut line = line.to_vec();
        let (key, value) = os_release::assignment(&mut line)?;
        Some(format!("{}: {}", text(key), text(value)))
    });
    let names = os_release::KEYS.map(|key| text(key).to_lowercase().replace('_', "-"));
    assert_eq!(
        names,
        ["id", "name", "pretty-name", "version", "version-id", "variant", "variant-id"]
    );
    // A value need not be text, and a NUL is a byte like others.
    let mut line = *b"NAME=\"\xFF\0\"";
    assert_eq!(os_release::assignment(&mut line), Some((&b"NAME"[..], &b"\xFF\0"[..])));
}

#[test]
fn key_file() {
    each("keyfile", |line| {
        let mut line = line.to_vec();
        Some(match keyfile::line(&mut line)? {
            keyfile::Line::Empty => "nothing".to_owned(),
            keyfile::Line::Group(name) => format!("[{}]", text(name)),
            keyfile::Line::Pair(key, rest) => {
                let key = text(key);
                let value = keyfile::value(rest);
                let value = value.map(|value| value.strip_suffix(b"\0").expect("a NUL behind it"));
                let value = value.map_or("?".to_owned(), |value| value.escape_ascii().to_string());
                format!("{key}: ({value})")
            }
        })
    });
}

#[test]
fn load_averages() {
    each("loadavg", |line| {
        let loads = loadavg::loads(line)?.map(text);
        for load in &loads {
            let _: f64 = serde_json::from_str(load).expect("a JSON number");
        }
        Some(loads.join(" "))
    });
}

#[test]
fn cpu_times() {
    each("stat", |line| {
        let cpu = stat::Cpu::parse(line)?;
        let number = cpu.number.map_or("all".to_owned(), |number| number.to_string());
        let later = cpu.later.iter().flatten();
        let times: Vec<String> = cpu.times.iter().chain(later).map(u64::to_string).collect();
        let known = cpu.later.iter().take_while(|time| time.is_some()).count();
        assert_eq!(times.len(), 4 + known);
        Some(format!("{number}: {}", times.join(" ")))
    });
    // SAFETY: sysconf only looks the number up.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    assert_eq!(u64::try_from(ticks).expect("a number") * stat::TICK_MS, 1000);
}

#[test]
fn disk_statistics() {
    each("diskstats", |line| {
        let disk = diskstats::Disk::parse(line)?;
        let mut said = format!("{} {} {}:", disk.major, disk.minor, text(disk.name));
        for (member, value) in diskstats::MEMBERS.split(' ').zip(disk.stats) {
            if let Some(value) = value {
                said += &format!(" {member} {value}");
            }
        }
        Some(said)
    });
}

#[test]
fn routes() {
    use qga_core::formats::ip;
    each("route", |line| {
        let route = route::V4::parse(line)?;
        let address = |bytes: [u8; 4]| written(|writer| ip::v4(&bytes, writer));
        let route::V4 { flags, references, uses, metric, mtu, window, irtt, .. } = route;
        let (to, mask, via) =
            (address(route.destination), address(route.mask), address(route.gateway));
        let name = text(route.interface);
        Some(format!(
            "{name} {to} mask {mask} via {via} flags {flags} {references} {uses} {metric} {mtu} {window} {irtt}"
        ))
    });
    each("ipv6_route", |line| {
        let route = route::V6::parse(line)?;
        let address = |bytes: [u8; 16]| written(|writer| ip::v6(&bytes, writer));
        let route::V6 { flags, references, uses, metric, .. } = route;
        let to = format!("{}/{}", address(route.destination), route.destination_bits);
        let from = format!("{}/{}", address(route.source), route.source_bits);
        let (via, name) = (address(route.next_hop), text(route.interface));
        Some(format!(
            "{name} {to} from {from} via {via} flags {flags} {references} {uses} {metric}"
        ))
    });
}

#[test]
fn lists_of_numbers() {
    each("cpulist", |line| {
        let numbers: Vec<String> =
            cpulist::numbers(line).take(20).map(|number| number.to_string()).collect();
        Some(numbers.join(" ")).filter(|numbers| !numbers.is_empty())
    });
    assert_eq!(cpulist::next(b"0-18446744073709551615\n", 1 << 63), Some(1 << 63));
    assert_eq!(cpulist::next(b"0-18446744073709551615\n", u64::MAX), None);
    assert_eq!(cpulist::next(b"0-3,8\n", 4), Some(8));
    assert_eq!(cpulist::next(b"0-3,8\n", 9), None);
}

#[test]
fn patterns() {
    each("glob", |line| {
        let (patterns, name) = text(line).split_once(' ').map(|(a, b)| (a.into(), b.into()))?;
        let (patterns, name): (String, String) = (patterns, name);
        let found = glob::any(patterns.replace('_', " ").as_bytes(), name.as_bytes());
        Some(if found { "yes" } else { "no" }.to_owned())
    });
    // Nothing is tried again for ever.
    let pattern = b"*a".repeat(2000);
    assert!(!glob::any(&pattern, &b"a".repeat(1999)));
    assert!(glob::any(&pattern, &b"a".repeat(2000)));
}
