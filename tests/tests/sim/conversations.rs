//! Every conversation gives the same bytes, however they are cut on the way in and out, whatever
//! the sizes of the agent's buffers, and although every transfer of the guest is short or
//! interrupted.

use crate::guest::{Cut, Large, Small, check};
use qga_sim::Session;
use qga_tests::conversations::{Conversation, load};

fn all<const FRAME: usize, const WINDOW: usize>(
    cut: Cut,
    prepare: impl Fn(&mut Session<FRAME, WINDOW>),
) {
    let conversations = load();
    assert!(conversations.len() > 150, "only {} conversations", conversations.len());
    let failures: Vec<String> = conversations
        .iter()
        .filter_map(|conversation| check(conversation, cut, &prepare).err())
        .collect();
    let (failed, held) = (failures.len(), conversations.len());
    assert!(failures.is_empty(), "{failed} of {held} failed:\n{}", failures.join("\n"));
}

#[test]
fn whole() {
    all(Cut::Whole, |_: &mut Large| {});
    all(Cut::Whole, |_: &mut Small| {});
}

#[test]
fn byte_by_byte() {
    all(Cut::Pieces(1), |_: &mut Large| {});
    all(Cut::Pieces(1), |_: &mut Small| {});
}

#[test]
fn in_pieces_of_other_sizes() {
    for len in [2, 3, 5, 7, 16, 31, 64, 1000] {
        all(Cut::Pieces(len), |_: &mut Small| {});
    }
}

#[test]
fn all_requests_at_once() {
    all(Cut::Stream, |_: &mut Large| {});
    all(Cut::Stream, |_: &mut Small| {});
    all(Cut::Stream, |session: &mut Small| session.take_bytes_max = 1);
}

#[test]
fn output_taken_byte_by_byte() {
    all(Cut::Whole, |session: &mut Large| session.take_bytes_max = 1);
    all(Cut::Whole, |session: &mut Small| session.take_bytes_max = 1);
    all(Cut::Pieces(1), |session: &mut Small| session.take_bytes_max = 1);
}

#[test]
fn transfers_short_and_interrupted() {
    for len in [1, 2, 3, 100] {
        all(Cut::Whole, |session: &mut Small| {
            session.sim.with(|world| {
                world.faults.shorten(len);
                world.faults.interrupt();
            });
        });
    }
}

#[test]
fn cut_in_two_at_every_byte() {
    let mut failures = Vec::new();
    let mut cuts = 0;
    for conversation in load() {
        cuts += conversation.sent_bytes();
        failures.extend(cut_everywhere(&conversation));
    }
    let failed = failures.len();
    failures.truncate(20);
    assert!(failed == 0, "{failed} of {cuts} cuts failed:\n{}", failures.join("\n"));
    assert!(cuts > 30_000, "only {cuts} cuts");
}

fn cut_everywhere(conversation: &Conversation) -> Vec<String> {
    // After the folder's name in a request the places are others than in the data, and a few more.
    let places = conversation.sent_bytes() + 8 * conversation.steps.len();
    (1..places)
        .filter_map(|at| check(conversation, Cut::At(at), |_: &mut Small| {}).err())
        .collect()
}
