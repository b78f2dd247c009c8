//! libFuzzer's entry to qga_fuzz::formats. Built without `cargo fuzz` it replays the files that
//! it is given.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| qga_fuzz::formats::run(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    qga_fuzz::replay(qga_fuzz::formats::run)
}
