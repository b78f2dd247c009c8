//! The tree on a host: errors and capacities that conversations do not reach.

use super::*;
use crate::files::preset;

const READ: OpenOptions =
    OpenOptions { access: Access::Read, create: false, truncate: false, append: false };
const WRITE: OpenOptions =
    OpenOptions { access: Access::Write, create: true, truncate: true, append: false };
const BOTH: OpenOptions =
    OpenOptions { access: Access::Both, create: false, truncate: false, append: false };
const APPEND: OpenOptions =
    OpenOptions { access: Access::Both, create: true, truncate: false, append: true };

fn planted() -> Box<Tree> {
    // SAFETY: a tree with nothing in it is all zero. In place, because it is larger than a test's
    // stack.
    let mut tree: Box<Tree> = unsafe { Box::new_zeroed().assume_init() };
    preset::plant(&mut tree).unwrap();
    tree
}

fn fails(tree: &mut Tree, path: &str, options: OpenOptions) -> Errno {
    tree.open(path.as_bytes(), options).expect_err(path)
}

#[test]
fn paths_lead_where_they_say() {
    let mut tree = planted();
    for path in ["/etc/hostname", "etc/hostname", "//etc/./../etc//hostname", "/../etc/hostname"] {
        let open = tree.open(path.as_bytes(), READ).expect(path);
        let mut bytes = [0; 100];
        assert_eq!(tree.read(open, &mut bytes), Ok(14), "{path}");
        tree.close(open);
    }
    assert_eq!(fails(&mut tree, "", READ), Errno::NOENT);
    assert_eq!(fails(&mut tree, "/nope", READ), Errno::NOENT);
    assert_eq!(fails(&mut tree, "/nope/file", WRITE), Errno::NOENT);
    assert_eq!(fails(&mut tree, "/nope/..", READ), Errno::NOENT);
    assert_eq!(fails(&mut tree, "/etc/hostname/x", READ), Errno::NOTDIR);
    assert_eq!(fails(&mut tree, "/etc/hostname/", READ), Errno::NOTDIR);
    assert_eq!(fails(&mut tree, "/etc/new/", WRITE), Errno::ISDIR);
    assert_eq!(fails(&mut tree, "/etc", WRITE), Errno::ISDIR);
    assert_eq!(fails(&mut tree, "/", BOTH), Errno::ISDIR);
    let long = "n".repeat(NAME_BYTES_MAX + 1);
    assert_eq!(fails(&mut tree, &format!("/{long}"), WRITE), Errno::NAMETOOLONG);
    assert_eq!(fails(&mut tree, &"/x".repeat(PATH_BYTES_MAX), READ), Errno::NAMETOOLONG);
    assert!(tree.open(&long.as_bytes()[1..], WRITE).is_ok());
}

#[test]
fn directions_are_kept_apart() {
    let mut tree = planted();
    let write = tree.open(b"/tmp/f", WRITE).unwrap();
    assert_eq!(tree.write(write, b"hello"), Ok(5));
    assert_eq!(tree.read(write, &mut [0; 5]), Err(Errno::BADF));
    let read = tree.open(b"/tmp/f", READ).unwrap();
    assert_eq!(tree.write(read, b"x"), Err(Errno::BADF));
    let append = tree.open(b"/tmp/f", APPEND).unwrap();
    assert_eq!(tree.write(append, b" there"), Ok(6));
    assert_eq!(tree.seek(append, SeekFrom::Current(0)), Ok(11));
    let mut bytes = [0; 20];
    assert_eq!(tree.read(read, &mut bytes), Ok(11));
    assert_eq!(&bytes[..11], b"hello there");
    let folder = tree.open(b"/tmp", READ).unwrap();
    assert_eq!(tree.read(folder, &mut bytes), Err(Errno::ISDIR));
    tree.close(read);
    assert_eq!(tree.read(read, &mut bytes), Err(Errno::BADF));
}

#[test]
fn positions_are_checked() {
    let mut tree = planted();
    let file = tree.open(b"/tmp/f", WRITE).unwrap();
    assert_eq!(tree.write(file, b"hello"), Ok(5));
    assert_eq!(tree.seek(file, SeekFrom::End(-6)), Err(Errno::INVAL));
    assert_eq!(tree.seek(file, SeekFrom::Start(u64::MAX)), Err(Errno::INVAL));
    assert_eq!(tree.seek(file, SeekFrom::End(-1)), Ok(4));
    assert_eq!(tree.seek(file, SeekFrom::Current(i64::MAX)), Err(Errno::INVAL));
    assert_eq!(tree.seek(file, SeekFrom::Current(0)), Ok(4), "a failed seek moves nothing");
    assert_eq!(tree.seek(file, SeekFrom::Start(i64::MAX as u64)), Ok(i64::MAX as u64));
    assert_eq!(tree.write(file, b"x"), Err(Errno::FBIG));
}

#[test]
fn devices_behave_as_such() {
    let mut tree = planted();
    let mut bytes = [1; 3];
    for (path, read, written) in
        [("/dev/null", 0, Ok(3)), ("/dev/zero", 3, Ok(3)), ("/dev/full", 3, Err(Errno::NOSPC))]
    {
        let open = tree.open(path.as_bytes(), BOTH).expect(path);
        assert_eq!(tree.read(open, &mut bytes), Ok(read), "{path}");
        assert_eq!(tree.write(open, b"abc"), written, "{path}");
        assert_eq!(tree.seek(open, SeekFrom::Start(7)), Ok(0), "{path}");
    }
    assert_eq!(bytes, [0; 3]);
}

#[test]
fn full_tables_say_so() {
    let mut tree = planted();
    let mut made = 0;
    let full = loop {
        match tree.open(format!("/tmp/{made}").as_bytes(), WRITE) {
            Ok(open) => tree.close(open),
            Err(errno) => break errno,
        }
        made += 1;
    };
    assert_eq!(full, Errno::NOSPC);
    assert!(made > NODES_MAX / 2, "only {made} files could be made");
    for _ in 0..OPEN_MAX {
        tree.open(b"/tmp/0", READ).unwrap();
    }
    assert_eq!(fails(&mut tree, "/tmp/0", READ), Errno::NFILE);
}

#[test]
fn pipes_never_wait() {
    let mut tree = planted();
    tree.add(b"/tmp/pipe", Kind::Fifo).unwrap();
    assert_eq!(fails(&mut tree, "/tmp/pipe", WRITE), Errno::NXIO);
    let read = tree.open(b"/tmp/pipe", READ).unwrap();
    let mut bytes = [0; 100];
    assert_eq!(tree.read(read, &mut bytes), Ok(0), "no writer: the end");
    let write = tree.open(b"/tmp/pipe", WRITE).unwrap();
    assert_eq!(tree.read(read, &mut bytes), Err(Errno::AGAIN));
    assert_eq!(tree.write(write, b"hello"), Ok(5));
    assert_eq!(tree.read(read, &mut bytes[..2]), Ok(2));
    assert_eq!(tree.write(write, b"!"), Ok(1));
    assert_eq!((tree.read(read, &mut bytes), &bytes[..4]), (Ok(4), &b"llo!"[..]));
    assert_eq!(tree.seek(read, SeekFrom::Current(0)), Err(Errno::SPIPE));
    let piece = [1; 1000];
    let mut total = 0;
    while let Ok(len) = tree.write(write, &piece) {
        total += len;
    }
    assert_eq!(total, crate::files::fifo::PIPE_BYTES_MAX);
    tree.close(read);
    assert_eq!(tree.write(write, b"x"), Err(Errno::PIPE));
}
