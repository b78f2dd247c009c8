//! `qga_confined PROGRAM ARGUMENTS...` becomes the program (an absolute path), under the filter of
//! `fire_filter`: whatever gets memory or makes a process is killed by SIGSYS.

use qga_tests::fire_filter;
use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;

fn main() {
    let words = std::env::args_os().skip(1).map(|word| CString::new(word.into_vec()));
    let words: Vec<CString> = words.collect::<Result<_, _>>().expect("arguments without NUL");
    let mut pointers: Vec<_> = words.iter().map(|word| word.as_ptr()).collect();
    pointers.push(std::ptr::null());
    assert!(pointers.len() > 1, "usage: qga_confined PROGRAM ARGUMENTS...");
    fire_filter::install().expect("a seccomp filter");
    // SAFETY: a list of C strings with a null pointer at its end, all alive; nothing allocates from
    // here on.
    unsafe {
        libc::execv(pointers[0], pointers.as_ptr());
        libc::_exit(127);
    }
}
