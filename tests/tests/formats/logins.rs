//! Who is logged in: records of utmp(5) in both lengths, and sessions of systemd-logind.

use super::tables::written;
use qga_core::formats::utmp::{self, Login};
use qga_core::formats::{seconds, session};

/// A record as a program with 32-bit time writes it, or one with 64-bit time.
fn record(kind: i16, user: &[u8], seconds: i64, microseconds: i64, long: bool) -> Vec<u8> {
    let mut record = vec![0; if long { 400 } else { 384 }];
    record[..2].copy_from_slice(&kind.to_ne_bytes());
    record[4..8].copy_from_slice(&4711u32.to_ne_bytes());
    record[8..13].copy_from_slice(b"pts/0");
    record[44..44 + user.len()].copy_from_slice(user);
    record[76..85].copy_from_slice(b"192.0.2.1");
    if long {
        record[344..352].copy_from_slice(&seconds.to_ne_bytes());
        record[352..360].copy_from_slice(&microseconds.to_ne_bytes());
    } else {
        record[340..344].copy_from_slice(&(seconds as u32).to_ne_bytes());
        record[344..348].copy_from_slice(&(microseconds as u32).to_ne_bytes());
    }
    record
}

#[test]
fn records_of_utmp() {
    for long in [false, true] {
        let login = |kind, user: &[u8], s, us| {
            let record = record(kind, user, s, us, long);
            utmp::login(&record).map(|login| (login.user.to_vec(), login.at_us))
        };
        let found = login(7, b"root", 1_700_000_000, 123_456);
        assert_eq!(found, Some((b"root".to_vec(), 1_700_000_000_123_456)));
        let longest = [b'u'; 32];
        assert_eq!(login(7, &longest, 5, 0), Some((longest.to_vec(), 5_000_000)));
        // After 2038.
        assert_eq!(login(7, b"u", 1 << 31, 1), Some((b"u".to_vec(), (1_000_000 << 31) + 1)));
        assert_eq!(login(7, b"", 5, 0), None);
        assert_eq!(login(7, b"u", 5, 1_000_000), None);
        assert_eq!(login(7, b"u", 5, -1), None);
        for kind in [0, 1, 2, 3, 4, 5, 6, 8, 9, -1, 263] {
            assert_eq!(login(kind, b"u", 5, 0), None, "{kind}");
        }
    }
    assert_eq!(utmp::login(&record(7, b"u", i64::MAX, 0, true)), None);
    let whole = record(7, b"u", 5, 0, true);
    for len in 0..400 {
        assert!(utmp::login(&whole[..len]).is_none_or(|_| len == 384), "{len}");
    }
}

#[test]
fn a_record_is_as_long_as_the_c_librarys() {
    assert_eq!(utmp::RECORD_BYTES, size_of::<libc::utmpx>());
    let long = size_of::<libc::utmpx>() == 400;
    assert_eq!(std::mem::offset_of!(libc::utmpx, ut_user), 44);
    assert_eq!(std::mem::offset_of!(libc::utmpx, ut_tv), if long { 344 } else { 340 });
}

/// A session as logind writes it.
const SESSION: &str = "# This is private data. Do not parse.\nUID=1000\nUSER=jane\nACTIVE=1\nIS_DISPLAY=1\n\
    STATE=active\nREMOTE=1\nLEADER_FD_SAVED=1\nTYPE=tty\nORIGINAL_TYPE=tty\nCLASS=user\nSCOPE=session-3.scope\n\
    FIFO=/run/systemd/sessions/3.ref\nREMOTE_HOST=192.0.2.1\nSERVICE=sshd\nLEADER=812\nAUDIT=3\n\
    REALTIME=1700000100500000\nMONOTONIC=81266134\n";

#[test]
fn sessions_of_logind() {
    let login = |text: &str| {
        session::login(text.as_bytes()).map(|Login { user, at_us }| (user.to_vec(), at_us))
    };
    let jane = Some((b"jane".to_vec(), 1_700_000_100_500_000));
    assert_eq!(login(SESSION), jane);
    for (part, other, expected) in [
        ("CLASS=user\n", "CLASS=user-early\n", jane.clone()),
        ("CLASS=user\n", "CLASS=user-light\n", jane.clone()),
        ("CLASS=user\n", "", jane.clone()),
        ("CLASS=user\n", "CLASS=greeter\n", None),
        ("CLASS=user\n", "CLASS=lock-screen\n", None),
        ("CLASS=user\n", "CLASS=background\n", None),
        ("CLASS=user\n", "CLASS=manager\n", None),
        ("CLASS=user\n", "CLASS=manager-early\n", None),
        ("STATE=active", "STATE=online", jane.clone()),
        ("STATE=active", "STATE=opening", jane.clone()),
        ("STATE=active", "STATE=closing", None),
        ("USER=jane", "USER=", None),
        ("USER=jane\n", "", None),
        ("REALTIME=1700000100500000", "REALTIME=", None),
        ("REALTIME=1700000100500000", "REALTIME=99999999999999999999", None),
        ("REALTIME=1700000100500000\n", "", None),
        ("AUDIT=3", "no assignment", jane.clone()),
        ("AUDIT=3", "REMOTE_USER=\"open", jane.clone()),
    ] {
        assert!(SESSION.contains(part));
        assert_eq!(login(&SESSION.replace(part, other)), expected, "{other}");
    }
    assert_eq!(login(""), None);
}

#[test]
fn seconds_with_a_fraction() {
    for (us, expected) in [
        (0, "0"),
        (1, "0.000001"),
        (10, "0.00001"),
        (500_000, "0.5"),
        (999_999, "0.999999"),
        (1_000_000, "1"),
        (1_050_000, "1.05"),
        (1_700_000_000_123_456, "1700000000.123456"),
        (1_700_000_050_000_000, "1700000050"),
        (u64::MAX, "18446744073709.551615"),
    ] {
        assert_eq!(written(|writer| seconds::write(us, writer)), expected);
    }
    for _ in 0..100_000 {
        let us = fastrand::u64(..) >> fastrand::u32(..64);
        let found = written(|writer| seconds::write(us, writer));
        let plain = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
        assert_eq!(found, plain.trim_end_matches('0').trim_end_matches('.'));
    }
}
