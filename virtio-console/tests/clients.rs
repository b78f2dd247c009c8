//! Clients that come and go, at any moment, also in the middle of what the driver does: what each
//! of them said is heard as its own.

mod common;

use common::{Block, NAME, Random, Registers};
use embedded_io::{Read, ReadReady, Write};
use virtio_console::{Console, Ends, Rings};

fn found(ends: Ends) -> (Registers, Console<'static, Registers, Block>) {
    let registers = Registers::new(Rings::Free);
    registers.with(|device| {
        device.add_port(1, NAME);
        device.port(1).connected = true;
    });
    let mut console = registers.console();
    console.set_ends(ends);
    console.restart().expect("a sound device");
    for _ in 0..4 {
        console.poll().expect("a sound device");
    }
    (registers, console)
}

/// What is read until nothing is ready: one text for each stretch between ends.
fn stretches(console: &mut Console<'_, Registers, Block>) -> Vec<String> {
    let mut all = vec![String::new()];
    while console.read_ready().expect("a sound device") {
        let mut bytes = [0; 5];
        match console.read(&mut bytes).expect("a sound device") {
            0 => all.push(String::new()),
            len => all.last_mut().expect("one").push_str(&String::from_utf8_lossy(&bytes[..len])),
        }
        assert!(all.len() < 1000, "ends without end");
    }
    all
}

#[test]
fn last_words_are_heard_and_the_end_is_behind_them() {
    let (registers, mut console) = found(Ends::Read);
    registers.with(|device| {
        device.send(1, b"first, ");
        device.send(1, b"last");
        device.disconnect(1);
    });
    assert_eq!(stretches(&mut console), ["first, last", ""]);
    assert_eq!(stretches(&mut console), [""], "an end is read once");
    registers.with(|device| {
        device.connect(1);
        device.send(1, b"next");
    });
    assert_eq!(stretches(&mut console), ["next"]);
    registers.with(|device| device.disconnect(1));
    assert_eq!(stretches(&mut console), ["", ""]);
}

#[test]
fn an_end_can_be_told_instead_of_read() {
    let (registers, mut console) = found(Ends::Told);
    registers.with(|device| {
        device.send(1, b"last");
        device.disconnect(1);
    });
    assert_eq!(console.take_end(), Ok(false), "there are bytes before it");
    assert_eq!(stretches(&mut console), ["last"]);
    assert_eq!((console.take_end(), console.take_end()), (Ok(true), Ok(false)));
    // Nobody asks: it is told later.
    registers.with(|device| {
        device.connect(1);
        device.send(1, b"one");
    });
    assert_eq!(stretches(&mut console), ["one"]);
    registers.with(|device| device.disconnect(1));
    assert_eq!(stretches(&mut console), [""]);
    registers.with(|device| {
        device.connect(1);
        device.send(1, b"two");
    });
    assert_eq!(stretches(&mut console), ["two"]);
    assert_eq!((console.take_end(), console.take_end()), (Ok(true), Ok(false)));
}

#[test]
fn a_newcomers_first_words_are_not_lost_where_nobody_saw_the_change() {
    let change = |registers: &Registers| {
        registers.with(|device| {
            device.send(1, b"half a req");
            device.disconnect(1);
            device.connect(1);
            device.send(1, b"whole");
        });
    };
    let (registers, mut console) = found(Ends::Read);
    change(&registers);
    assert_eq!(
        stretches(&mut console),
        ["", "half a reqwhole"],
        "one end, before what is in doubt"
    );
    let (registers, mut console) = found(Ends::ReadInDoubt);
    change(&registers);
    assert_eq!(stretches(&mut console), ["", "half a req", "whole", ""]);
    // Long ones are not torn: a buffer that is full is not the last of its chunk.
    let long = "x".repeat(9000);
    registers.with(|device| {
        device.disconnect(1);
        device.connect(1);
        device.send(1, long.as_bytes());
    });
    assert_eq!(stretches(&mut console), ["", &long, ""]);
}

#[test]
fn bytes_say_that_somebody_is_there_should_the_message_be_lost() {
    let (registers, mut console) = found(Ends::Read);
    registers.with(|device| device.disconnect(1));
    assert_eq!(stretches(&mut console), ["", ""]);
    assert!(!console.is_connected());
    registers.with(|device| {
        device.port(1).connected = true;
        device.send(1, b"hello");
    });
    assert_eq!(stretches(&mut console), ["hello"]);
    assert!(console.is_connected());
    console.write_all(b"yes").expect("room");
    assert_eq!(registers.with(|device| device.port(1).got.clone()), b"yes");
}

/// Every message of every client, sent in one piece, is read in a stretch in which nothing of
/// another client stands before it, and in order. Clients come and go between any two reads of the
/// driver.
#[test]
fn no_half_message_of_one_client_spoils_the_next_ones() {
    let (mut ends_seen, mut messages_seen) = (0, 0);
    for seed in 0..3000 {
        let mut random = Random::new(seed);
        let (registers, mut console) = found(Ends::ReadInDoubt);
        let mut expected = Vec::new();
        registers.with(|device| {
            for client in 0..12 {
                for message in 0..random.below(3) {
                    let text = format!("<{client}.{message}>");
                    expected.push(text.clone());
                    device.steps.push_back(Box::new(move |device| device.send(1, text.as_bytes())));
                }
                if random.below(2) == 0 {
                    let half = format!("<{client}");
                    device.steps.push_back(Box::new(move |device| device.send(1, half.as_bytes())));
                }
                device.steps.push_back(Box::new(|device| device.disconnect(1)));
                device.steps.push_back(Box::new(|device| device.connect(1)));
            }
            let one_in = 1 + random.below(12);
            device.pace = Some((random, one_in));
        });
        let mut heard = vec![String::new()];
        let mut idle = 0;
        while idle < 3 {
            let mut new = stretches(&mut console);
            heard.last_mut().expect("one").push_str(&new.remove(0));
            heard.append(&mut new);
            console.write_all(b"reply").expect("room or nobody");
            let over = registers.with(|device| device.steps.is_empty());
            idle = if over { idle + 1 } else { 0 };
        }
        assert_eq!(registers.with(|device| device.lost), 0, "seed {seed}: a message was lost");
        let mut found = Vec::new();
        for stretch in &heard {
            let mut rest = stretch.as_str();
            while let Some((message, after)) = rest
                .split_inclusive('>')
                .next()
                .map(|first| (first.to_owned(), &rest[first.len()..]))
            {
                if message.ends_with('>') {
                    assert_eq!(message.matches('<').count(), 1, "seed {seed}: {message} is joined");
                    found.push(message);
                }
                rest = after;
            }
            ends_seen += 1;
        }
        messages_seen += found.len();
        assert_eq!(found, expected, "seed {seed}");
    }
    assert!(ends_seen > 10_000 && messages_seen > 10_000, "{ends_seen} ends, {messages_seen}");
}
