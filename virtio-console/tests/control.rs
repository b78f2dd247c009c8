//! The control protocol: messages of a device in every order, sound and malformed, against what
//! must follow.

mod common;

use common::{NAME, Random};
use virtio_console::control::{
    Control, Event, Message, NAME_BYTES_MAX, PORTS_MAX, PortId, Refused,
};

const ADD: u16 = 1;
const REMOVE: u16 = 2;
const CONSOLE: u16 = 4;
const RESIZE: u16 = 5;
const OPEN: u16 = 6;
const NAMED: u16 = 7;

fn message(id: u32, event: u16, value: u16, rest: &[u8]) -> Vec<u8> {
    [&id.to_le_bytes()[..], &event.to_le_bytes(), &value.to_le_bytes(), rest].concat()
}

fn port(id: u32) -> PortId {
    PortId::new(id).expect("a port that is followed")
}

/// All that is due: id, event, value.
fn due(control: &mut Control<'_>) -> Vec<(u32, u16, u16)> {
    let mut all = Vec::new();
    while let Some(next) = control.pending() {
        let [a, b, c, d, e, f, g, h] = Message::bytes(next);
        all.push((
            u32::from_le_bytes([a, b, c, d]),
            u16::from_le_bytes([e, f]),
            u16::from_le_bytes([g, h]),
        ));
        control.sent();
        assert!(all.len() < 1000, "messages without end");
    }
    all
}

#[test]
fn a_port_is_found_opened_left_and_removed() {
    let mut control = Control::new(NAME);
    assert_eq!(due(&mut control), [(0, 0, 1)], "DEVICE_READY first");
    assert_eq!(control.received(&message(3, ADD, 1, b"")), Ok(None));
    assert_eq!(due(&mut control), [(3, 3, 1)], "PORT_READY");
    assert_eq!(control.received(&message(3, RESIZE, 0, &[80, 0, 25, 0])), Ok(None));
    let found = control.received(&message(3, NAMED, 1, b"org.qemu.guest_agent.0\0"));
    assert_eq!(found, Ok(Some(Event::Found { port: port(3), connected: false })));
    assert_eq!(due(&mut control), [], "the guest opens it, not the protocol");
    control.open();
    assert_eq!(due(&mut control), [(3, 6, 1)]);
    for (value, event) in [(1, Event::Connected), (0, Event::Disconnected), (1, Event::Connected)] {
        assert_eq!(control.received(&message(3, OPEN, value, b"")), Ok(Some(event)));
        assert_eq!(control.is_connected(), value == 1);
        assert_eq!(control.received(&message(3, OPEN, value, b"")), Ok(None), "said twice");
    }
    control.close();
    assert_eq!(due(&mut control), [(3, 6, 0)]);
    assert_eq!(control.received(&message(3, REMOVE, 0, b"")), Ok(Some(Event::Removed)));
    assert_eq!((control.found(), control.is_connected()), (None, false));
    assert_eq!(control.received(&message(3, OPEN, 1, b"")), Err(Refused::Unknown(port(3))));
    // It comes back under another number.
    assert_eq!(control.received(&message(5, ADD, 1, b"")), Ok(None));
    assert_eq!(control.received(&message(5, OPEN, 1, b"")), Ok(None));
    let found = control.received(&message(5, NAMED, 1, NAME));
    assert_eq!(found, Ok(Some(Event::Found { port: port(5), connected: true })));
}

#[test]
fn queues_belong_to_ports_as_the_specification_says() {
    let queues = [0, 1, 2, 30].map(|id| (port(id).receive_queue(), port(id).transmit_queue()));
    assert_eq!(queues, [(0, 1), (4, 5), (6, 7), (62, 63)]);
    assert_eq!(port(PORTS_MAX - 1).transmit_queue(), 129);
    assert_eq!(PortId::new(PORTS_MAX), None);
}

#[test]
fn malformed_messages_are_refused_and_change_nothing() {
    let mut control = Control::new(NAME);
    due(&mut control);
    for id in [1, 2] {
        assert_eq!(control.received(&message(id, ADD, 1, b"")), Ok(None));
    }
    let found = control.received(&message(1, NAMED, 1, NAME));
    assert!(matches!(found, Ok(Some(Event::Found { .. }))));
    due(&mut control);
    let full = message(1, OPEN, 1, b"");
    for len in 0..full.len() {
        assert_eq!(control.received(&full[..len]), Err(Refused::Short(len)));
    }
    let cases = [
        (message(0, 0, 1, b""), Refused::Event(0)),
        (message(1, 3, 1, b""), Refused::Event(3)),
        (message(1, 8, 1, b""), Refused::Event(8)),
        (message(1, u16::MAX, 1, b""), Refused::Event(u16::MAX)),
        (message(PORTS_MAX, ADD, 1, b""), Refused::Beyond(PORTS_MAX)),
        (message(u32::MAX, OPEN, 1, b""), Refused::Beyond(u32::MAX)),
        (message(7, OPEN, 1, b""), Refused::Unknown(port(7))),
        (message(7, NAMED, 1, NAME), Refused::Unknown(port(7))),
        (message(7, REMOVE, 1, b""), Refused::Unknown(port(7))),
        (message(7, CONSOLE, 1, b""), Refused::Unknown(port(7))),
        (message(2, ADD, 1, b""), Refused::Repeated(port(2))),
        (message(1, OPEN, 2, b""), Refused::Value(2)),
        (message(2, NAMED, 1, b""), Refused::Name(port(2))),
        (message(2, NAMED, 1, b"\0"), Refused::Name(port(2))),
        (message(2, NAMED, 1, b"org\0qemu"), Refused::Name(port(2))),
        (message(2, NAMED, 1, NAME), Refused::Taken(port(2))),
        (message(1, NAMED, 1, b"another"), Refused::Taken(port(1))),
    ];
    for (bytes, refused) in cases {
        assert_eq!(control.received(&bytes), Err(refused));
        assert_eq!(due(&mut control), [], "something is due after {refused:?}");
        assert_eq!((control.found(), control.is_connected()), (Some(port(1)), false));
    }
    assert_eq!(control.received(&message(1, OPEN, 1, b"")), Ok(Some(Event::Connected)));
}

#[test]
fn other_names_are_not_the_name() {
    let longer = [NAME, b"1"].concat();
    let long = vec![b'x'; 4096];
    for name in [&NAME[..NAME.len() - 1], &longer, &long, b"ORG.QEMU.GUEST_AGENT.0", b"\xFF\xFE"] {
        let mut control = Control::new(NAME);
        control.received(&message(1, ADD, 1, b"")).expect("added");
        assert_eq!(control.received(&message(1, NAMED, 1, name)), Ok(None));
        assert_eq!(control.found(), None);
    }
    assert!(NAME_BYTES_MAX >= NAME.len());
}

#[test]
fn a_text_console_is_opened_whoever_uses_it() {
    let mut control = Control::new(NAME);
    due(&mut control);
    control.received(&message(0, ADD, 1, b"")).expect("added");
    control.received(&message(0, CONSOLE, 1, b"")).expect("a console");
    assert_eq!(due(&mut control), [(0, 3, 1), (0, 6, 1)]);
}

/// What must hold after any messages, kept the simple way.
#[derive(Default)]
struct Model {
    added: Vec<u32>,
    connected: Vec<u32>,
    found: Option<u32>,
}

impl Model {
    fn receive(&mut self, id: u32, event: u16, value: u16, name: &[u8]) {
        let known = self.added.contains(&id);
        match event {
            ADD if !known && id < PORTS_MAX => self.added.push(id),
            REMOVE if known => {
                self.added.retain(|other| *other != id);
                self.connected.retain(|other| *other != id);
                self.found = self.found.filter(|found| *found != id);
            }
            OPEN if known && value < 2 => {
                self.connected.retain(|other| *other != id);
                if value == 1 {
                    self.connected.push(id);
                }
            }
            NAMED if known && name == NAME && self.found.is_none() => self.found = Some(id),
            _ => {}
        }
    }
}

#[test]
fn any_messages_in_any_order_lead_where_the_model_does() {
    for seed in 0..2000 {
        let mut random = Random::new(seed);
        let (mut control, mut model) = (Control::new(NAME), Model::default());
        for step in 0..200 {
            let id = [0, 1, 2, 3, 63, 64, u32::MAX][random.below(7) as usize];
            let event = random.below(9) as u16;
            let value = random.below(3) as u16;
            let name: &[u8] = [NAME, b"other", b"", b"a\0b"][random.below(4) as usize];
            let before = (model.found, model.found.is_some_and(|id| model.connected.contains(&id)));
            model.receive(id, event, value, name);
            let after = (model.found, model.found.is_some_and(|id| model.connected.contains(&id)));
            let event = control.received(&message(id, event, value, name));
            let expected = match (before, after) {
                ((None, _), (Some(id), connected)) => {
                    Some(Event::Found { port: port(id), connected })
                }
                ((Some(_), _), (None, _)) => Some(Event::Removed),
                ((_, false), (_, true)) => Some(Event::Connected),
                ((_, true), (_, false)) => Some(Event::Disconnected),
                _ => None,
            };
            assert_eq!(event.unwrap_or(None), expected, "seed {seed} step {step}");
            assert_eq!(control.found(), model.found.map(port), "seed {seed} step {step}");
            assert_eq!(control.is_connected(), after.1, "seed {seed} step {step}");
            if random.below(4) == 0 {
                let messages = due(&mut control);
                let of_known =
                    |&(id, event, _): &(u32, u16, u16)| event == 0 || model.added.contains(&id);
                assert!(messages.iter().all(of_known), "seed {seed}: {messages:?}");
            }
        }
    }
}

#[test]
fn the_introduction_of_a_port_may_come_in_any_order() {
    for seed in 0..500 {
        let mut random = Random::new(seed);
        let mut rest = vec![
            message(1, CONSOLE, 1, b""),
            message(1, OPEN, 1, b""),
            message(1, NAMED, 1, NAME),
            message(2, NAMED, 1, b"other"),
            message(2, OPEN, 1, b""),
        ];
        random.shuffle(&mut rest);
        let mut control = Control::new(NAME);
        for id in [1, 2] {
            control.received(&message(id, ADD, 1, b"")).expect("added");
        }
        for bytes in rest {
            control.received(&bytes).expect("sound");
        }
        assert_eq!((control.found(), control.is_connected()), (Some(port(1)), true));
        let messages = due(&mut control);
        assert_eq!(messages, [(0, 0, 1), (1, 3, 1), (2, 3, 1), (1, 6, 1)]);
    }
}
