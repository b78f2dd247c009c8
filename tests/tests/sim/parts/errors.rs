//! Every error in words, and how errors are put down.

use qga_core::Errno;
use qga_core::error::{Error, Parameter, Raised, Slot};
use qga_core::limits::SUBJECT_BYTES_MAX;
use qga_core::text;
use qga_core::text::Text;
use qga_core::writer::Writer;

/// The numbers that Linux has.
fn is_known(number: u32) -> bool {
    (1..=133).contains(&number) && ![41, 58].contains(&number)
}

fn strerror(number: u32) -> String {
    // SAFETY: strerror gives a text of its own, which no other thread asks for.
    let text = unsafe { std::ffi::CStr::from_ptr(libc::strerror(number as i32)) };
    text.to_str().expect("ASCII").to_owned()
}

#[test]
fn errno_is_worded_as_the_c_library_words_it() {
    // 0 is no error: the type has none for it.
    assert_eq!(Errno::new(0).text().map(|text| text.to_string()), None);
    for number in 1..200 {
        let errno = Errno::new(number);
        match errno.text() {
            Some(text) => {
                assert!(is_known(number), "{number}");
                assert_eq!(text.to_string(), strerror(number));
                assert_eq!(errno.to_string(), strerror(number));
            }
            None => {
                assert!(!is_known(number), "{number}");
                assert_eq!(errno.to_string(), format!("Unknown error {number}"));
            }
        }
    }
}

#[test]
fn errno_has_a_kind_for_generic_callers() {
    use embedded_io::{Error as _, ErrorKind as Kind};
    for (errno, kind) in [
        (Errno::NOENT, Kind::NotFound),
        (Errno::PERM, Kind::PermissionDenied),
        (Errno::ACCES, Kind::PermissionDenied),
        (Errno::EXIST, Kind::AlreadyExists),
        (Errno::INVAL, Kind::InvalidInput),
        (Errno::OPNOTSUPP, Kind::Unsupported),
        (Errno::NOMEM, Kind::OutOfMemory),
        (Errno::INTR, Kind::Interrupted),
        (Errno::TIMEDOUT, Kind::TimedOut),
        (Errno::IO, Kind::Other),
    ] {
        assert_eq!(errno.kind(), kind, "{errno}");
    }
}

#[test]
fn an_unknown_errno_shows_its_number_in_a_reply() {
    let error = Error::Failed(text!("failed to read file"), Errno::new(4095));
    assert_eq!(error.to_string(), "failed to read file: Unknown error 4095");
}

#[test]
fn an_argument_is_named_by_where_it_stands() {
    let plain = Parameter { list: None, index: 0, name: &"handle" };
    let element = Parameter { list: Some(&"env"), index: 3, name: &"" };
    let member = Parameter { list: Some(&"vcpus"), index: 12, name: &"online" };
    for (parameter, name) in [(plain, "handle"), (element, "env[3]"), (member, "vcpus[12].online")]
    {
        assert_eq!(Error::Missing(parameter).to_string(), format!("Parameter '{name}' is missing"));
        assert_eq!(
            Error::WrongType(parameter, "integer").to_string(),
            format!("Invalid parameter type for '{name}', expected: integer")
        );
        assert_eq!(
            Error::BadValue(parameter, b"up").to_string(),
            format!("Parameter '{name}' does not accept value 'up'")
        );
    }
    for (parameter, name) in [(plain, "x"), (element, "env[3].x"), (member, "vcpus[12].x")] {
        let text = Error::Unexpected(parameter, b"x").to_string();
        assert_eq!(text, format!("Parameter '{name}' is unexpected"));
    }
}

#[test]
fn foreign_text_is_cut_where_it_is_too_long() {
    let long = "x".repeat(SUBJECT_BYTES_MAX);
    let whole = Error::OpenMode(long.as_bytes()).to_string();
    assert_eq!(whole, format!("invalid file open mode '{long}'"));
    let longer = format!("{long}y");
    let cut = Error::OpenMode(longer.as_bytes()).to_string();
    assert_eq!(cut, format!("invalid file open mode '{long}...'"));
    let named = Error::CommandNotFound(longer.as_bytes()).to_string();
    assert_eq!(named, format!("The command {long} has not been found"));
}

#[test]
fn only_a_command_that_cannot_be_used_is_not_found() {
    for (error, class) in [
        (Error::CommandNotFound(b"x"), "CommandNotFound"),
        (Error::CommandDisabled("x", text!("a string")), "CommandNotFound"),
        (Error::MemberMissing, "GenericError"),
        (Error::Failed(text!("a string"), Errno::NOENT), "GenericError"),
    ] {
        assert_eq!(error.class(), class, "{error}");
    }
    let disabled = Error::CommandDisabled("x", text!("the agent is in frozen state"));
    assert_eq!(disabled.to_string(), "Command x has been disabled: the agent is in frozen state");
}

#[test]
fn a_slot_holds_the_last_error() {
    let slot = Slot::default();
    assert_eq!(slot.get(), Error::Text(Text::NONE));
    assert_eq!(slot.raise(&Error::NotAnObject), Raised);
    assert_eq!(slot.raise(&Error::MemberMissing), Raised);
    assert_eq!(slot.get(), Error::MemberMissing);
    assert_eq!(Raised.to_string(), "an error was raised");
    let (read, written) =
        (<Raised as serde::de::Error>::custom("x"), <Raised as serde::ser::Error>::custom("x"));
    assert_eq!((read, written), (Raised, Raised));
}

#[test]
fn an_error_of_a_path_shows_it_escaped() {
    let mut bytes = [0; 256];
    let mut out = Writer::new(&mut bytes);
    Error::FailedOn(text!("failed to thaw"), b"/mnt/\xFF\"", Errno::IO).describe(&mut out);
    assert_eq!(out.written(), b"failed to thaw /mnt/\\uFFFD\\\": Input/output error");
}
