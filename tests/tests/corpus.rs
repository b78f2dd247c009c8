//! The corpus of the fuzz targets, replayed without libFuzzer: whatever was once found stays found.
//!
//! `cargo test --test corpus -- --ignored` writes the seeds anew from the conversations and from a
//! few true texts; `cargo xtask fuzz --minimise` afterwards throws out those that show nothing new.

use qga_fuzz::TARGETS;
use qga_tests::conversations::{Conversation, load};
use qga_tests::repository;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

fn folder(target: &str) -> PathBuf {
    repository().join("fuzz/corpus").join(target)
}

fn files(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = folder(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.clone(), fs::read(&path).expect("a file of the corpus")))
        .collect();
    files.sort();
    files
}

fn replay(name: &str) {
    let (_, run) = TARGETS.iter().find(|(target, _)| *target == name).expect("a target");
    let files = files(name);
    assert!(files.len() >= 20, "only {} files in the corpus of {name}", files.len());
    for (path, bytes) in files {
        // The name of the file that fails stands above the panic's own words.
        println!("{}", path.display());
        run(&bytes);
    }
}

#[test]
fn framer() {
    replay("framer");
}

#[test]
fn request() {
    replay("request");
}

#[test]
fn virtio_console() {
    replay("virtio_console");
}

#[test]
fn session() {
    replay("session");
}

#[test]
fn base64() {
    replay("base64");
}

#[test]
fn mountinfo() {
    replay("mountinfo");
}

#[test]
fn mark() {
    replay("mark");
}

#[test]
fn state() {
    replay("state");
}

#[test]
fn options() {
    replay("options");
}

#[test]
fn device_tree() {
    replay("device_tree");
}

#[test]
fn slow() {
    replay("slow");
}

#[test]
fn formats() {
    replay("formats");
}

/// Inputs that no corpus needs to hold: each byte on its own, and nothing.
#[test]
fn tiny_inputs() {
    for (_, run) in TARGETS {
        run(b"");
        for first in 0..=255 {
            run(&[first]);
            run(&[7, first, first]);
        }
    }
}

#[test]
fn the_corpus_is_small_and_belongs_to_targets() {
    let entries = fs::read_dir(repository().join("fuzz/corpus")).expect("the corpus");
    let names: BTreeSet<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
    let targets: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).into()).collect();
    assert_eq!(names, targets);
    let sizes: Vec<usize> =
        TARGETS.iter().flat_map(|(name, _)| files(name)).map(|(_, bytes)| bytes.len()).collect();
    assert!(sizes.len() <= 1240, "{} files in the corpus", sizes.len());
    assert!(sizes.iter().sum::<usize>() < 400_000, "the corpus is too large");
}

#[test]
#[ignore = "writes the seeds of the corpus"]
fn write_seeds() {
    for (target, _) in TARGETS {
        fs::create_dir_all(folder(target)).expect("a folder of the corpus");
    }
    for conversation in load() {
        let name = &conversation.name;
        let put = |target: &str, name: &str, bytes: &[u8]| {
            fs::write(folder(target).join(name), bytes).expect("a seed");
        };
        let stream = conversation.steps.iter().flat_map(|step| step.send.clone());
        let stream: Vec<u8> = [name.len() as u8].into_iter().chain(stream).take(4096).collect();
        put("framer", name, &stream);
        put("session", name, &acts(&conversation));
        for (number, step) in conversation.steps.iter().enumerate() {
            put("request", &format!("{name}-{number}"), step.send.trim_ascii());
        }
    }
}

#[test]
#[ignore = "writes the seeds of the corpus"]
fn write_seeds_of_texts() {
    let put = |target: &str, name: &str, bytes: &[u8]| {
        fs::create_dir_all(folder(target)).expect("a folder of the corpus");
        fs::write(folder(target).join(name), bytes).expect("a seed");
    };
    let table = b"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n\
        23 22 0:5 / /proc rw - proc proc rw\n\
        24 22 8:2 / /a\\040b rw shared:7 master:2 - btrfs /dev/vd\\134 rw\n";
    put("mountinfo", "table", &[&[0, 1, 255], &table[..]].concat());
    put("mountinfo", "table-interrupted", &[&[16, 1, 40], &table[..]].concat());
    put("state", "number", &[&[0], &b"[global]\nfd_counter=1042\n"[..]].concat());
    put("state", "damaged", &[&[0], &b"[global]\nfd_counter=x\n"[..]].concat());
    put("base64", "lines", b"\x80QUJD\nREVG\\nR0g=\n");
    put("options", "proxmox", b"--method\nvirtio-serial\n--path\n/dev/virtio-ports/x\n-v\n-r");
    put("options", "listen", b"-munix-listen\n-p/run/x\n--freeze-timeout=60\n--stat\n/run");
    put("options", "wrong", b"--re=1\n--ver\n--=x");
    let drop_in = b"-d\n-f\n/run/x\n-F/h\n-b\nguest-ping,x;y\n--allow-rpcs=a\n-c\n/c\n-D";
    put("options", "drop-in", drop_in);
    put("options", "blacklist", b"--bl=x\n--b=y\n-b?\n-ahelp\n--da\n--fs\n");
    for (name, input) in SLOW {
        put("slow", name, input);
    }
    for (number, phase) in [0x11, 0x51, 0x91, 0xD1].into_iter().enumerate() {
        let rows = [phase, 0x55, 0, 0, 0, 0, 0x11, 1, 0x22, 2, 0x33];
        put("mark", &format!("rows-{number}"), &rows);
    }
}

#[test]
#[ignore = "writes the seeds of the corpus"]
fn write_seeds_of_formats() {
    // The tables by the numbers of their formats, and how many of their lines are seeds.
    let tables = [
        (0, "os-release", 3),
        (1, "glob", 2),
        (5, "loadavg", 1),
        (6, "stat", 1),
        (7, "diskstats", 1),
        (8, "route", 1),
        (9, "ipv6_route", 1),
        (10, "cpulist", 1),
        (11, "posix_tz", 4),
        (19, "keyfile", 4),
    ];
    let put = |name: &str, seed: &[u8]| {
        fs::write(folder("formats").join(name), seed).expect("a seed");
    };
    put("session", b"\x02USER=jane\nSTATE=active\nCLASS=user\nREALTIME=1700000100500000\n");
    put("utmp", &[&[3, 7, 0][..], &[0; 42], b"jane"].concat());
    put("mapped", b"\x04\0\0\0\0\0\0\0\0\0\0\xFF\xFF\xC0\0\x02\x01");
    put("numbers", b"\x0C\x13\x13\x37\0\x80\x30\0\0\x02\x05\0\xA9\0\x01\x40\x0B\xAA\0\x02");
    put("file", &[&[13, 0x5B, 0x12, 0xC8, 0x69, 0, 0, 0, 0, 2, 2][..], &[1; 30]].concat());
    put(
        "path",
        b"\x0F/sys/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:1:2/block/sda",
    );
    put("health", b"\x10\x01\x2C\x01\x64\x0A\x02");
    for (format, table, count) in tables {
        let text = fs::read_to_string(repository().join("tests/data/formats").join(table));
        let text = text.expect("a table");
        let lines = text.lines().filter(|line| !line.starts_with("##") && !line.starts_with("=>"));
        let lines: Vec<&str> = lines.collect();
        for (number, line) in lines.iter().skip(2).step_by(lines.len() / count).enumerate() {
            let line = if table == "glob" { line.replace(' ', "\n") } else { (*line).to_owned() };
            let moment: &[u8] = match table {
                "posix_tz" => &[0x5B, 0x12, 0xC8, 0x69, 0, 0, 0, 0],
                _ => &[],
            };
            put(&format!("{table}-{number}"), &[&[format], moment, line.as_bytes()].concat());
        }
    }
}

/// What once was slow, or might be: keys that differ late, with and without escapes, many members,
/// many tokens, text that is not ASCII, guest-syncs in what is no request.
const SLOW: [(&str, &[u8]); 26] = [
    ("keys", b"\x03\"a\xFD\xFD\xFE\":1,"),
    ("keys-escaped", b"\x03\"\\u0061\xFD\xFD\xFE\":1,"),
    ("keys-short", b"\x03\"\xFE\":1,"),
    ("keys-of-arguments", b"\x05\"a\xFD\xFD\xFE\":1,"),
    ("keys-of-the-request", b"\x07\"a\xFD\xFD\xFE\":1,"),
    (
        "objects-of-members",
        b"\x02,{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1}",
    ),
    ("numbers", b"\x02,1"),
    ("objects", b"\x02,{}"),
    ("nested", b"\x02,[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]"),
    ("strings", b"\x02,\"\""),
    ("not-ascii", b"\x01\xC3\xA4"),
    ("not-ascii-4", b"\x01\xF0\x9F\x98\x80"),
    ("escapes", b"\x01\\n"),
    ("escapes-u", b"\x01\\u00e4"),
    ("escapes-pairs", b"\x01\\ud83d\\ude00"),
    ("base64-lines", b"\x04QUJD\\n"),
    ("base64-newlines", b"\x04\\n"),
    ("command-not-ascii", b"\x06\xC3\xA4"),
    ("command-escaped", b"\x06\\u0067"),
    ("blanks", b"\x00 "),
    ("small-requests", b"\x00{}"),
    ("strays", b"\x00#\n"),
    ("closing", b"\x08}}{}"),
    ("syncs-on-a-line", b"\x08{\"execute\":\"guest-sync\",}"),
    ("syncs-nested", b"\x09,{\"execute\":\"guest-sync\",}"),
    ("syncs-named", b"\x09,{\"guest-sync\":{}}"),
];

/// The requests of a conversation as raw acts of the target `session`.
fn acts(conversation: &Conversation) -> Vec<u8> {
    const RAW: u8 = 0;
    let mut acts = vec![conversation.name.len() as u8];
    for part in conversation.steps.iter().flat_map(|step| step.send.chunks(255)) {
        acts.extend([RAW, part.len() as u8]);
        acts.extend_from_slice(part);
    }
    acts.truncate(4096);
    acts
}
