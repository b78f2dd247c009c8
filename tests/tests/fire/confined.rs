//! The agent gets no memory and makes no process after its start: all conversations under a filter
//! that kills on the attempt.

use qga_tests::agent::{Agent, Options};
use qga_tests::conversations;
use qga_tests::fire_filter::FORBIDDEN;
use qga_tests::fire_oracle::is_harmless;
use qga_tests::play::{Cut, play};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

const CONFINED: &str = env!("CARGO_BIN_EXE_qga_confined");

/// The filter works: a program with a C library, which maps memory when it starts, does not get
/// far.
#[test]
fn others_are_killed() {
    let mut command = Command::new(CONFINED);
    let status = command.arg("/bin/ls").stdout(Stdio::null()).status().expect("the helper starts");
    assert_eq!(status.signal(), Some(libc::SIGSYS), "{status}");
}

#[test]
fn every_conversation_without_new_memory_or_processes() {
    let all = conversations::load().into_iter().filter(is_harmless);
    let (mut held, mut failures) = (0, Vec::new());
    for conversation in all {
        for cut in [Cut::Whole, Cut::EveryByte] {
            let wrapper = vec![CONFINED.to_owned()];
            let mut agent = Agent::start(Options { wrapper, ..Options::default() });
            let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid()));
            assert!(status.expect("its status").contains("\nSeccomp:\t2\n"), "no filter");
            failures.extend(play(&mut agent, &conversation, cut).err());
            agent.signal(libc::SIGTERM);
            let status = agent.wait();
            if status.code() != Some(0) {
                failures.push(format!("{}, {cut:?}: the agent ended: {status}", conversation.name));
            }
            held += 1;
        }
    }
    assert!(failures.is_empty(), "{} of {held}:\n{}", failures.len(), failures.join("\n"));
    assert!(held > 280, "only {held} conversations");
    println!("{held} conversations, {} system calls forbidden", FORBIDDEN.len());
}
