//! The frozen mark, byte for byte: what is written, what is read back, and what is no mark of ours.

use super::stream::{Stream, Trouble};
use qga_core::Errno;
use qga_core::internals::mark::{
    HEAD_BYTES, Head, NO_BOOT, PHASE_AT, Phase, RECORD_HEAD_BYTES_MAX, Record, RecordState, Shown,
    new_head, put, read_head, show_record,
};
use qga_core::limits::PATH_SHOWN_BYTES;
use qga_core::platform::Device;

const BOOT: [u8; 36] = *b"01234567-89ab-cdef-0123-456789abcdef";
const OTHER: [u8; 36] = *b"11234567-89ab-cdef-0123-456789abcdef";
const HEAD: &[u8] = b"qga-frozen 2 01234567-89ab-cdef-0123-456789abcdef f\n";

fn records() -> [Record<'static>; 4] {
    let record = |state, minor, path| Record { state, superblock: Device::new(8, minor), path };
    [
        record(RecordState::Listed, 1, b"/"),
        record(RecordState::Frozen, 17, b"/mnt/a b"),
        record(RecordState::NotOurs, 4_000_000, b"/mnt/\xFF"),
        Record { state: RecordState::Frozen, superblock: Device::new(0, 40), path: b"/mnt/btrfs" },
    ]
}

const ROWS: &[u8] = b". 8:1 /\0F 8:17 /mnt/a b\0- 8:4000000 /mnt/\xFF\0F 0:40 /mnt/btrfs\0";

fn mark(troubles: &[Trouble], piece_bytes: usize) -> Result<(Stream, Vec<u64>), Errno> {
    let mut mark = Stream::in_pieces(b"", piece_bytes).with(troubles);
    new_head(&BOOT, |bytes| put(&mut mark, None, bytes))?;
    let append = |record: &Record| record.append(|bytes| put(&mut mark, None, bytes));
    let lengths: Result<_, _> = records().iter().map(append).collect();
    Ok((mark, lengths?))
}

#[test]
fn it_is_written_whole_however_writes_are_cut() {
    for piece in [0, 1, 7] {
        let troubles =
            [Trouble::Fails(Errno::INTR), Trouble::Short(3), Trouble::Fails(Errno::INTR)];
        for troubles in [&troubles[..], &[]] {
            let (mark, lengths) = mark(troubles, piece).expect("a mark");
            assert_eq!(mark.bytes, [HEAD, ROWS].concat());
            assert_eq!(lengths.iter().sum::<u64>(), ROWS.len() as u64);
            assert_eq!(lengths, [8, 16, 19, 18]);
        }
    }
    assert_eq!(HEAD.len(), HEAD_BYTES);
}

#[test]
fn a_write_that_moves_nothing_is_a_full_disk() {
    assert_eq!(mark(&[Trouble::Short(0)], 0).map(drop), Err(Errno::NOSPC));
    assert_eq!(mark(&[Trouble::Short(9), Trouble::Short(0)], 0).map(drop), Err(Errno::NOSPC));
    assert_eq!(mark(&[Trouble::Fails(Errno::IO)], 0).map(drop), Err(Errno::IO));
}

#[test]
fn a_step_overwrites_one_byte() {
    for (phase, letter, head) in [
        (Phase::Freezing, b'f', Head::Ours(Phase::Freezing)),
        (Phase::Frozen, b'F', Head::Ours(Phase::Frozen)),
        (Phase::Thawing, b't', Head::Ours(Phase::Thawing)),
    ] {
        let (mut mark, _) = mark(&[], 0).expect("a mark");
        put(&mut mark, Some(PHASE_AT), &[phase as u8]).expect("a phase");
        let mut expected = [HEAD, ROWS].concat();
        expected[HEAD_BYTES - 2] = letter;
        assert_eq!(mark.bytes, expected);
        mark.at = 0;
        assert_eq!(read_head(&mut mark, &BOOT), Ok(head));
        assert_eq!(mark.at, HEAD_BYTES);
    }
    let (mut mark, _) = mark(&[], 0).expect("a mark");
    put(&mut mark, Some(HEAD_BYTES as u64 + 8), &[RecordState::NotOurs as u8]).expect("a state");
    assert_eq!(mark.bytes[HEAD_BYTES + 8], b'-');
}

#[test]
fn a_head_is_ours_or_of_another_boot_or_foreign() {
    let head = |boot: [u8; 36], end: &[u8]| [b"qga-frozen 2 ", &boot[..], end].concat();
    let ours = Ok(Head::Ours(Phase::Frozen));
    for (bytes, boot, expected) in [
        (head(BOOT, b" F\n"), BOOT, ours),
        (head(OTHER, b" F\n"), BOOT, Ok(Head::Stale)),
        (head(NO_BOOT, b" F\n"), BOOT, ours),
        (head(BOOT, b" F\n"), NO_BOOT, ours),
        (head(NO_BOOT, b" F\n"), NO_BOOT, ours),
        (head(BOOT, b" x\n"), BOOT, Ok(Head::Foreign)),
        (head(BOOT, b"-F\n"), BOOT, Ok(Head::Foreign)),
        (head(BOOT, b" F."), BOOT, Ok(Head::Foreign)),
        (head(BOOT, b" F"), BOOT, Ok(Head::Foreign)),
        (b"another program's file, as long as a head and longer".to_vec(), BOOT, Ok(Head::Foreign)),
        (
            b"qga-frozen 1 01234567-89ab-cdef-0123-456789abcdef F\n".to_vec(),
            BOOT,
            Ok(Head::Foreign),
        ),
        (Vec::new(), BOOT, Ok(Head::Foreign)),
    ] {
        assert_eq!(read_head(&mut Stream::of(&bytes), &boot), expected, "{}", bytes.escape_ascii());
    }
    let interrupted = [Trouble::Fails(Errno::INTR)];
    assert_eq!(read_head(&mut Stream::of(&head(BOOT, b" F\n")).with(&interrupted), &BOOT), ours);
    let broken = [Trouble::Fails(Errno::IO)];
    assert_eq!(read_head(&mut Stream::of(HEAD).with(&broken), &BOOT), Err(Errno::IO));
}

#[test]
fn a_row_reads_as_it_was_written() {
    for (text, record) in ROWS.split(|&byte| byte == 0).zip(records()) {
        let read = Record::parse(text).expect("a record");
        assert_eq!(
            (read.state, read.superblock, read.path),
            (record.state, record.superblock, record.path)
        );
    }
    for (text, state) in [("x 8:1 /", RecordState::NotOurs), (" 8:1 /", RecordState::NotOurs)] {
        assert_eq!(
            Record::parse(text.as_bytes()).map(|record| record.state),
            Some(state),
            "{text}"
        );
    }
    for wrong in ["", "F", "F 8:1", "F 8 /", "F 8: /", "F :1 /", "F x:1 /", "F 8:1:2 /", "F  /"] {
        assert!(Record::parse(wrong.as_bytes()).is_none(), "{wrong}");
    }
}

#[test]
fn a_path_is_shown_as_far_as_there_is_room() {
    let (mut mark, _) = mark(&[], 0).expect("a mark");
    let mut shown = Shown::new();
    show_record(Some(&mut mark), HEAD_BYTES as u64 + 8, &mut shown);
    assert_eq!(&*shown, b"/mnt/a b");
    show_record(Some(&mut mark), 3, &mut shown);
    assert_eq!(&*shown, b"(unknown mount point)");
    show_record(Some(&mut Stream::default()), 0, &mut shown);
    assert_eq!(&*shown, b"(unknown mount point)");
    let mut long = Stream::default();
    let path = [b'/'; 2 * PATH_SHOWN_BYTES];
    let widest = Device::new(u32::MAX, u32::MAX);
    Record { state: RecordState::Frozen, superblock: widest, path: &path }
        .append(|bytes| put(&mut long, None, bytes))
        .expect("a record");
    assert_eq!(long.bytes.len(), RECORD_HEAD_BYTES_MAX + path.len() + 1);
    show_record(Some(&mut long), 0, &mut shown);
    assert_eq!(&*shown, &path[..PATH_SHOWN_BYTES]);
    qga_core::internals::mark::show(&path, &mut shown);
    assert_eq!(&*shown, &path[..PATH_SHOWN_BYTES]);
}
