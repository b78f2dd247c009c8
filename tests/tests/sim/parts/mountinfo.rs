//! The mount table: lines against a plain cutting of the whole text, fields against what the text
//! says.

use super::stream::{Stream, Trouble};
use qga_core::Errno;
use qga_core::bytes::decimal;
use qga_core::internals::lines::{Lines, kept_bytes, retry};
use qga_core::internals::mountinfo::{Local, Mount, each_local, unescape};
use qga_core::platform::{Absent, Device, Freeze, Inode};

/// All lines through a buffer of `room` bytes.
fn lines(reader: Stream, room: usize) -> Result<Vec<Vec<u8>>, Errno> {
    let mut buffer = vec![0; room];
    let mut lines = Lines::new(reader, b'\n', &mut buffer);
    let mut all = Vec::new();
    while let Some(line) = lines.line() {
        all.push(line.to_vec());
    }
    lines.ended()?;
    // At the end it stays.
    assert_eq!(lines.line(), None);
    Ok(all)
}

fn expected(text: &[u8], room: usize) -> Vec<Vec<u8>> {
    let text = text.strip_suffix(b"\n").map_or((text, text.is_empty()), |text| (text, false));
    let (text, none) = text;
    let cut = |line: &[u8]| match line.len() {
        len if len >= room => line[..kept_bytes(room)].to_vec(),
        _ => line.to_vec(),
    };
    let lines = text.split(|&byte| byte == b'\n').map(cut);
    if none { Vec::new() } else { lines.collect() }
}

#[test]
fn lines_of_any_length_through_a_buffer_of_any() {
    let texts = [
        "",
        "\n",
        "\n\n",
        "a",
        "a\n",
        "ab\ncd",
        "ab\n\ncd\n",
        "abcdefghi\njklmnopqrstuvw\nx\n",
        "0123456789abcdefghijklmnopqrstuvwxyz\n\n0123456789\nabc",
    ];
    for text in texts {
        for room in 2..40 {
            for piece in [0, 1, 2, 3, 7] {
                let reader = Stream::in_pieces(text.as_bytes(), piece);
                let found = lines(reader, room);
                assert_eq!(found, Ok(expected(text.as_bytes(), room)), "{text:?} {room} {piece}");
            }
        }
    }
}

/// A bind mount of something deep has a line as long as its path; each reading of the table goes by
/// it.
#[test]
fn what_is_too_long_is_not_read_byte_by_byte() {
    let text = format!("{}\nnext\n", "x".repeat(1_000_000));
    let mut reads = vec![Trouble::Short(usize::MAX); 1_100];
    reads.push(Trouble::Fails(Errno::IO));
    let reader = Stream::of(text.as_bytes()).with(&reads);
    assert_eq!(lines(reader, 16_000), Ok(expected(text.as_bytes(), 16_000)));
}

#[test]
fn a_read_that_is_interrupted_is_repeated_and_one_that_fails_is_told() {
    let text = b"abc\ndefghijkl\nm\n";
    for room in [2, 4, 40] {
        for before in 0..6 {
            let mut troubles = vec![Trouble::Short(1); before];
            troubles.push(Trouble::Fails(Errno::INTR));
            let reader = Stream::of(text).with(&troubles);
            assert_eq!(lines(reader, room), Ok(expected(text, room)), "{room} {before}");
            troubles.push(Trouble::Fails(Errno::IO));
            assert_eq!(lines(Stream::of(text).with(&troubles), room), Err(Errno::IO));
        }
    }
    let mut left = 3;
    let result = retry(|| {
        left -= 1;
        if left > 0 { Err(Errno::INTR) } else { Ok(left) }
    });
    assert_eq!(result, Ok(0));
    assert_eq!(retry(|| Err::<(), _>(Errno::AGAIN)), Err(Errno::AGAIN));
}

fn parsed(line: &str) -> Option<(Device, String, String)> {
    let mut line = line.as_bytes().to_vec();
    let Mount { device, mountpoint, kind, .. } = Mount::parse(&mut line)?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    Some((device, text(mountpoint), text(kind)))
}

#[test]
fn the_fields_of_a_line() {
    let mount = |kind: &str| Some((Device::new(8, 1), "/m".to_owned(), kind.to_owned()));
    for (line, expected) in [
        ("36 35 8:1 / /m rw,noatime shared:1 - ext4 /dev/sda1 rw", mount("ext4")),
        ("36 35 8:1 / /m rw - ext4 /dev/sda1 rw", mount("ext4")),
        ("36 35 8:1 / /m rw shared:1 master:2 x - xfs /dev/b rw", mount("xfs")),
        ("36 35 8:1 /- /m rw - ext4 - rw", mount("ext4")),
        ("36 35 8:1 / /m rw - ext4", mount("ext4")),
        ("36 35 8:1 / /m rw -", mount("")),
        ("36 35 8:1 / /m rw", mount("")),
        ("36 35 8:1 / /m", mount("")),
        ("36 35 8:1 / m rw - ext4 /dev/sda1 rw", None),
        ("36 35 8:1 /  rw - ext4 /dev/sda1 rw", None),
        // What came cut may be any mount's.
        ("36 35 8:1 /", Some((Device::new(8, 1), String::new(), String::new()))),
        ("36 35 8:1 / m", Some((Device::new(8, 1), "m".to_owned(), String::new()))),
        ("36 35 8:1", None),
        ("36 35 x:1 / /m rw - ext4 /dev/sda1 rw", None),
        ("36 35", None),
        ("", None),
    ] {
        assert_eq!(parsed(line), expected, "{line}");
    }
}

#[test]
fn read_only_is_what_the_superblock_says_and_cut_what_ends_before_the_source() {
    for (line, read_only, cut) in [
        ("36 35 8:1 / /m ro,noatime shared:1 - ext4 /dev/sda1 rw", false, false),
        ("36 35 8:1 / /m rw - ext4 /dev/sda1 ro", true, false),
        ("36 35 8:1 / /m rw - ext4 /dev/sda1 ro,noload", true, false),
        ("36 35 8:1 / /m rw - ext4 ro rw", false, false),
        ("36 35 8:1 / /m rw - ext4  ro", true, false),
        ("36 35 8:1 / /m rw - ext4 /dev/sd", false, false),
        ("36 35 8:1 / /m rw - ext", false, true),
        ("36 35 8:1 / /m rw shared:", false, true),
        ("36 35 8:1 /root/of", false, true),
    ] {
        let mut text = line.as_bytes().to_vec();
        let mount = Mount::parse(&mut text).expect("a mount");
        assert_eq!((mount.read_only, mount.cut), (read_only, cut), "{line}");
    }
}

#[test]
fn numbers_are_digits_and_nothing_else() {
    for (text, number) in [
        ("0", Some(0)),
        ("7", Some(7)),
        ("042", Some(42)),
        ("18446744073709551615", Some(u64::MAX)),
        ("18446744073709551616", None),
        ("99999999999999999999", None),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1 ", None),
        ("x", None),
        ("1x", None),
        ("/", None),
        (":", None),
    ] {
        assert_eq!(decimal(text.as_bytes()), number, "{text}");
    }
    for (text, expected) in [
        ("8:1", Some(Device::new(8, 1))),
        ("4294967295:4294967295", Some(Device::new(u32::MAX, u32::MAX))),
        ("4294967296:1", None),
        ("1:4294967296", None),
        ("8", None),
        ("8:", None),
        (":8", None),
        ("8:1:2", None),
        ("", None),
    ] {
        assert_eq!(Device::parse(text.as_bytes()), expected, "{text}");
    }
    let device = Device::new(8, 17);
    assert_eq!((device.major(), device.minor()), (8, 17));
}

#[test]
fn octal_escapes_are_undone() {
    for (text, plain) in [
        ("", &b""[..]),
        ("/a\\040b", b"/a b"),
        ("\\011\\012\\134", b"\t\n\\"),
        ("\\377\\000", b"\xFF\0"),
        ("\\765", b"\\765"),
        ("\\400", b"\\400"),
        ("\\08", b"\\08"),
        ("\\080", b"\\080"),
        ("\\008", b"\\008"),
        ("\\04", b"\\04"),
        ("x\\", b"x\\"),
        ("\\\\040", b"\\ "),
        ("\\0401", b" 1"),
        ("\\123\\321", b"S\xD1"),
    ] {
        assert_eq!(unescape(&mut text.as_bytes().to_vec()), plain, "{text}");
    }
}

/// A guest with a mount table and nothing else.
struct Guest {
    table: Result<Stream, Errno>,
}

impl qga_core::platform::Hooks for Guest {}

impl Freeze for Guest {
    type Table = Stream;
    type Filesystem = Absent;
    type Mark = Absent;
    type Freezer = ();

    fn mounts(&mut self) -> Result<Stream, Errno> {
        self.table.clone()
    }
}

/// Superblock and path of each mount visited, up to `most`.
fn visited(table: Result<Stream, Errno>, most: usize) -> Result<Vec<(Device, String)>, Errno> {
    let mut seen = Vec::new();
    each_local(&mut Guest { table }, &mut [0; 200], &mut |_, mount| {
        let path = String::from_utf8(mount.path.to_vec()).expect("text");
        seen.push((mount.superblock, path));
        seen.len() < most
    })?;
    Ok(seen)
}

#[test]
fn only_mounts_with_a_device_below_are_visited() {
    let table = "1 0 8:1 / / rw - ext4 /dev/a rw\n\
        not a line of a mount table\n\
        2 1 0:5 / /proc rw - proc proc rw\n\
        3 1 8:2 / /a\\040b rw - xfs /dev/b rw\n\
        4 1 0:40 / /c rw - btrfs /dev/pool\\040a rw\n\
        5 1 0:40 /s /d rw - btrfs /dev/pool\\040a rw\n\
        6 1 0:42 / /e rw - btrfs /dev/gone rw\n";
    let all = [
        (Device::new(8, 1), "/"),
        (Device::new(8, 2), "/a b"),
        (Device::new(0, 40), "/c"),
        (Device::new(0, 40), "/d"),
        (Device::new(0, 42), "/e"),
    ];
    for most in 1..=6 {
        let expected: Vec<_> =
            all.iter().take(most).map(|(on, path)| (*on, path.to_string())).collect();
        assert_eq!(visited(Ok(Stream::of(table.as_bytes())), most), Ok(expected));
    }
    assert_eq!(visited(Err(Errno::NOENT), 9), Err(Errno::NOENT));
    let broken = Stream::of(table.as_bytes()).with(&[Trouble::Fails(Errno::IO)]);
    assert_eq!(visited(Ok(broken), 9), Err(Errno::IO));
}

#[test]
fn a_path_is_on_a_mount_by_its_number_or_its_mount() {
    let (path, read_only, cut) = (&b"/m"[..], false, false);
    let mount = |superblock| Local { superblock, id: 7, path, read_only, cut };
    let inode = |on, mount| Inode { on, mount, plain: true };
    let (disk, other) = (Device::new(8, 1), Device::new(8, 2));
    let (pool, subvolume) = (Device::new(0, 40), Device::new(0, 41));
    for (superblock, inode, expected) in [
        (disk, inode(disk, 7), true),
        // Mounted there once more.
        (disk, inode(disk, 8), true),
        (disk, inode(other, 8), false),
        (disk, inode(pool, 7), false),
        (pool, inode(subvolume, 7), true),
        (pool, inode(subvolume, 8), false),
        (pool, inode(disk, 8), false),
        // A kernel that does not know mounts' numbers.
        (pool, inode(subvolume, 0), true),
        (pool, inode(disk, 0), false),
    ] {
        assert_eq!(mount(superblock).is_on(inode), expected, "{superblock:?} {inode:?}");
    }
}
