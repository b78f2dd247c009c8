//! The console against a device: initialisation, finding the port, bytes both ways, devices that
//! are missing something or are broken. Where one client ends and the next begins is in
//! `clients.rs`.

mod common;

use common::{NAME, Registers};
use embedded_io::{Error as _, Read, ReadReady, Write, WriteReady};
use virtio_console::console::MULTIPORT;
use virtio_console::control::{PortId, Refused};
use virtio_console::queue::Broken;
use virtio_console::transport::{VERSION_1, status};
use virtio_console::{Console, Error, Rings};

const ALL: [Rings; 3] = [Rings::Free, Rings::Paged, Rings::PagedGiven];

/// A device with the wanted port as `id`, a client at its other end, and a console that has found
/// it.
fn found(rings: Rings, id: u32) -> (Registers, Console<'static, Registers, common::Block>) {
    let registers = Registers::new(rings);
    registers.with(|device| {
        device.add_port(id, NAME);
        device.port(id).connected = true;
    });
    let mut console = registers.console();
    console.restart().expect("a sound device");
    for _ in 0..4 {
        console.poll().expect("a sound device");
    }
    assert_eq!(console.found(), PortId::new(id));
    assert!(console.is_connected() && registers.with(|device| device.port(id).guest_open));
    (registers, console)
}

fn read(console: &mut Console<'_, Registers, common::Block>) -> Vec<u8> {
    let mut all = Vec::new();
    while console.read_ready().expect("a sound device") {
        let mut bytes = [0; 700];
        let len = console.read(&mut bytes).expect("a sound device");
        all.extend_from_slice(&bytes[..len]);
    }
    all
}

#[test]
fn bytes_go_both_ways_over_every_transport() {
    for rings in ALL {
        let (registers, mut console) = found(rings, 1);
        assert_eq!(registers.with(|device| device.resets), 1, "the first guess was right");
        let long: Vec<u8> = (0..100_000u32).map(|n| ((n * 7) >> 3) as u8).collect();
        registers.with(|device| device.send(1, &long));
        assert_eq!(read(&mut console), long, "{rings:?}");
        console.write_all(&long).expect("room");
        assert_eq!(registers.with(|device| std::mem::take(&mut device.port(1).got)), long);
        assert_eq!((console.is_drained(), console.dropped_bytes()), (Ok(true), 0));
        assert_eq!(console.read(&mut []), Ok(0));
        assert_eq!(console.write(&[]), Ok(0));
        assert_eq!(registers.with(|device| device.lost), 0);
    }
}

#[test]
fn indexes_of_every_queue_run_through_65536() {
    let (registers, mut console) = found(Rings::Free, 1);
    for round in 0..70_000u32 {
        let bytes = round.to_le_bytes();
        registers.with(|device| device.send(1, &bytes));
        assert_eq!(read(&mut console), bytes);
        console.write_all(&bytes).expect("room");
        registers.with(|device| {
            assert_eq!(std::mem::take(&mut device.port(1).got), bytes);
            device.disconnect(1);
            device.connect(1);
        });
    }
    assert_eq!(console.refused(), (0, None));
}

#[test]
fn bytes_from_before_the_guest_came_are_not_left_behind() {
    for lazy in [false, true] {
        let registers = Registers::new(Rings::Paged);
        registers.with(|device| {
            device.lazy = lazy;
            device.add_port(1, NAME);
            device.port(1).connected = true;
            device.port(1).coming.push_back(b"early".to_vec());
        });
        let mut console = registers.console();
        console.restart().expect("a sound device");
        for _ in 0..8 {
            registers.with(|device| device.run());
            console.poll().expect("a sound device");
        }
        assert_eq!(read(&mut console), b"early", "lazy: {lazy}");
    }
}

#[test]
fn another_port_than_the_first_is_found_with_one_more_reset() {
    for (rings, id) in [(Rings::Free, 2), (Rings::Paged, 30), (Rings::PagedGiven, 17)] {
        let (registers, mut console) = found(rings, id);
        assert_eq!(registers.with(|device| device.resets), 2);
        registers.with(|device| device.send(id, b"hello"));
        assert_eq!(read(&mut console), b"hello");
    }
}

#[test]
fn all_ports_of_a_large_device_are_asked_and_no_message_is_lost() {
    for lazy in [false, true] {
        let registers = Registers::new(Rings::PagedGiven);
        registers.with(|device| {
            device.lazy = lazy;
            for id in 1..30 {
                device.add_port(id, b"another");
                device.port(id).connected = true;
                device.port(id).is_console = id % 2 == 0;
            }
            device.add_port(30, NAME);
        });
        let mut console = registers.console();
        console.restart().expect("a sound device");
        for _ in 0..100 {
            console.poll().expect("a sound device");
            registers.with(|device| device.run());
        }
        assert!(console.is_settled() && console.has_names());
        assert_eq!(console.found(), PortId::new(30));
        registers.with(|device| {
            assert_eq!((device.lost, device.resets), (0, 2));
            let open: Vec<u32> =
                device.ports.iter().filter(|port| port.guest_open).map(|port| port.id).collect();
            let consoles = (1..30).filter(|id| id % 2 == 0);
            assert_eq!(open, consoles.chain([30]).collect::<Vec<_>>());
        });
    }
}

#[test]
fn a_device_that_settles_without_the_port_has_none() {
    let registers = Registers::new(Rings::Free);
    registers.with(|device| device.add_port(1, b"another"));
    let mut console = registers.console();
    console.restart().expect("a sound device");
    assert!(!console.is_settled(), "it was not heard yet");
    for _ in 0..4 {
        console.poll().expect("a sound device");
    }
    assert_eq!((console.is_settled(), console.found()), (true, None));
    assert_eq!((console.read_ready(), console.write(b"to nobody")), (Ok(false), Ok(9)));
    // Plugged in later.
    registers.with(|device| {
        device.add_port(2, NAME);
        device.say(2, 1, 1, b"");
    });
    for _ in 0..8 {
        console.poll().expect("a sound device");
    }
    assert_eq!(console.found(), PortId::new(2));
}

#[test]
fn a_port_that_is_unplugged_and_comes_back_is_found_again() {
    let (registers, mut console) = found(Rings::Free, 1);
    registers.with(|device| {
        device.ports.clear();
        device.say(1, 2, 0, b"");
    });
    assert_eq!((console.read_ready(), console.found()), (Ok(false), None));
    assert_eq!(console.take_end(), Ok(true));
    let mut resets = registers.with(|device| device.resets);
    for id in [1, 3] {
        registers.with(|device| {
            device.ports.clear();
            device.add_port(id, NAME);
            device.say(id, 1, 1, b"");
        });
        for _ in 0..8 {
            console.poll().expect("a sound device");
        }
        assert_eq!(console.found(), PortId::new(id));
        // What the device still held of the old port is its own no more.
        resets += 1;
        assert!(registers.with(|device| device.resets) >= resets, "it did not begin anew");
        registers.with(|device| {
            device.connect(id);
            device.send(id, b"again");
        });
        assert_eq!(read(&mut console), b"again");
        registers.with(|device| device.say(id, 2, 0, b""));
        assert_eq!((console.read_ready(), console.found()), (Ok(false), None));
    }
}

#[test]
fn a_device_without_multiport_has_one_port() {
    for rings in ALL {
        let registers = Registers::new(rings);
        registers.with(|device| {
            device.features &= !MULTIPORT;
            device.add_port(0, b"");
            device.port(0).connected = true;
        });
        let mut console = registers.console();
        console.restart().expect("a sound device");
        assert!(console.found() == Some(PortId::ZERO) && !console.has_names());
        registers.with(|device| device.send(0, b"hello"));
        assert_eq!(read(&mut console), b"hello");
        console.write_all(b"good morning").expect("room");
        assert_eq!(registers.with(|device| device.port(0).got.clone()), b"good morning");
    }
}

#[test]
fn a_device_with_one_port_only_is_no_mistake() {
    let registers = Registers::new(Rings::Free);
    registers.with(|device| {
        device.ports_max = 1;
        device.add_port(0, NAME);
    });
    let mut console = registers.console();
    console.restart().expect("a sound device");
    for _ in 0..4 {
        console.poll().expect("a sound device");
    }
    assert_eq!(console.found(), Some(PortId::ZERO));
    assert_eq!(registers.with(|device| device.resets), 1);
}

#[test]
fn devices_that_cannot_be_used_are_refused_and_given_up() {
    type Break = fn(&mut common::SimDevice);
    let cases: [(Rings, Break, Error); 5] = [
        (Rings::Free, |device| device.features &= !VERSION_1, Error::Version),
        (Rings::Free, |device| device.features_refused = true, Error::Features),
        (Rings::Free, |device| device.queue_size = 0, Error::NoQueue(2)),
        (Rings::PagedGiven, |device| device.ports_max = 0, Error::NoQueue(2)),
        (
            Rings::PagedGiven,
            |device| device.queue_size = 1024,
            Error::TooSmall { queue: 4, wanted_bytes: 28_736 + 4160 },
        ),
    ];
    for (rings, breaks, error) in cases {
        let registers = Registers::new(rings);
        registers.with(breaks);
        let mut console = registers.console();
        let refused = console.restart();
        assert_eq!(refused, Err(error));
        assert_ne!(registers.with(|device| device.status) & status::FAILED, 0, "{error}");
        assert_eq!(console.read_ready().map_err(|error| error.text()), Err(error.text()));
        assert!(error.to_string().starts_with("virtio console: "), "{error}");
        assert_ne!(error.kind(), embedded_io::ErrorKind::Other);
    }
    let registers = Registers::new(Rings::Free);
    registers.with(|device| device.reset_hangs = true);
    assert_eq!(registers.console().restart(), Err(Error::Reset));
    for name in [&b""[..], &[b'x'; 129]] {
        let registers = Registers::new(Rings::Free);
        let regions = registers.regions();
        assert_eq!(Console::new(registers, regions, name).restart(), Err(Error::Name));
    }
}

#[test]
fn a_port_without_queues_is_refused_and_forgotten_by_the_restart() {
    let registers = Registers::new(Rings::Free);
    registers.with(|device| {
        device.ports_max = 4;
        device.add_port(40, NAME);
    });
    let mut console = registers.console();
    console.restart().expect("the control queues are there");
    let error = (0..4).find_map(|_| console.poll().err());
    assert_eq!(error, Some(Error::NoQueue(82)));
    registers.with(|device| {
        device.ports.clear();
        device.add_port(1, NAME);
    });
    console.restart().expect("a sound device");
    for _ in 0..4 {
        console.poll().expect("a sound device");
    }
    assert_eq!(console.found(), PortId::new(1));
}

#[test]
fn a_broken_device_is_an_error_until_the_console_is_restarted() {
    for (queue, id) in [(2, 40), (3, 9), (4, 70), (5, 5)] {
        let (registers, mut console) = found(Rings::Free, 1);
        registers.with(|device| device.push(queue, id, 1));
        let mut error = None;
        for _ in 0..3 {
            let read = console.read_ready().err();
            let write = console.write_ready().err();
            error = error.or(read).or(write);
        }
        match error {
            Some(Error::Broken { queue: at, broken: Broken::NotPosted(got) }) => {
                assert_eq!((at, got), (queue, id));
            }
            // Of a queue with nothing out every entry is one too many.
            Some(Error::Broken { queue: at, broken: Broken::Jumped(1) }) => {
                assert!(at == queue && matches!(queue, 3 | 5));
            }
            other => panic!("queue {queue}: {other:?}"),
        }
        console.restart().expect("a sound device");
        for _ in 0..4 {
            console.poll().expect("a sound device");
        }
        registers.with(|device| device.send(1, b"hello"));
        // What the restart cut off is told first.
        assert_eq!(console.take_end(), Ok(true));
        assert_eq!(read(&mut console), b"hello");
    }
}

#[test]
fn malformed_control_messages_are_counted_and_disturb_nothing() {
    let (registers, mut console) = found(Rings::Free, 1);
    registers.with(|device| {
        device.say_bytes(b"short");
        device.say(1, 99, 0, b"");
        device.say(1, 1, 1, b"");
        device.say(200, 1, 1, b"");
        device.say(9, 6, 1, b"");
        device.say(1, 7, 1, &[b'x'; 1000]);
        device.send(1, b"hello");
    });
    assert_eq!(read(&mut console), b"hello");
    assert_eq!(console.refused().0, 6);
    assert_eq!(console.refused().1, PortId::new(1).map(Refused::Taken));
}

#[test]
fn a_client_that_does_not_read_stops_the_writer_and_nobody_else() {
    let (registers, mut console) = found(Rings::Free, 1);
    registers.with(|device| device.port(1).stalled = true);
    let mut sent = console.write(b"first").expect("room");
    assert!(!registers.with(|device| device.wants_interrupt(5)), "nobody waits");
    while console.write_ready().expect("a sound device") {
        sent += console.write(&[sent as u8; 5000]).expect("room");
        assert!(sent < 1_000_000, "room without end");
    }
    assert!(registers.with(|device| device.wants_interrupt(5)), "room would not be heard of");
    // Requests still come.
    registers.with(|device| device.send(1, b"more"));
    assert_eq!(read(&mut console), b"more");
    // A write that waits is woken when there is room.
    registers.meanwhile.borrow_mut().push(Box::new(|device| device.happen()));
    registers.meanwhile.borrow_mut().push(Box::new(|device| device.resume(1)));
    sent += console.write(b"tail").expect("room after a while");
    assert!(registers.meanwhile.borrow().is_empty());
    assert_eq!(registers.with(|device| device.port(1).got.len()), sent);
    assert!(registers.with(|device| device.port(1).got.ends_with(b"tail")));
}

#[test]
fn a_client_that_goes_frees_the_writer_and_the_next_one_is_served() {
    // More often than there are buffers: each time the device keeps one.
    let (registers, mut console) = found(Rings::Free, 1);
    for round in 0..200u32 {
        registers.with(|device| device.port(1).stalled = true);
        while console.write_ready().expect("a sound device") {
            console.write(b"nobody takes this").expect("room");
        }
        registers.meanwhile.borrow_mut().push(Box::new(|device| device.disconnect(1)));
        assert_eq!(console.write(b"and neither this"), Ok(16));
        assert!(!console.is_connected() && console.dropped_bytes() == 16 * u64::from(round + 1));
        registers.with(|device| device.connect(1));
        console.write_all(&round.to_le_bytes()).expect("room");
        let got = registers.with(|device| std::mem::take(&mut device.port(1).got));
        assert_eq!(got, round.to_le_bytes());
    }
}

#[test]
fn a_read_waits_for_bytes() {
    let (registers, mut console) = found(Rings::Free, 1);
    registers.meanwhile.borrow_mut().push(Box::new(|_| {}));
    registers.meanwhile.borrow_mut().push(Box::new(|device| device.send(1, b"late")));
    let mut bytes = [0; 16];
    assert_eq!(console.read(&mut bytes), Ok(4));
    assert!(bytes.starts_with(b"late") && registers.meanwhile.borrow().is_empty());
}
