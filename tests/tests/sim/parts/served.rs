//! The ready-made loop over a port: what it asks of the port and when, and how it ends.

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write};
use qga_core::platform::Clock as _;
use qga_core::{Agent, serve};
use qga_sim::Sim;
use qga_sim::power::Program;
use std::collections::VecDeque;

/// A port as data.
#[derive(Default)]
struct Port {
    /// What comes; nothing ends it.
    comes: VecDeque<Vec<u8>>,
    /// Whether something has come.
    ready: bool,
    went: Vec<u8>,
    flushed: usize,
    /// What fails: the readiness, a read, a write, or a flush.
    fails: Option<&'static str>,
}

impl Port {
    fn with(pieces: &[&str]) -> Self {
        Port {
            comes: pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect(),
            ..Port::default()
        }
    }

    fn try_to(&self, what: &'static str) -> Result<(), ErrorKind> {
        if self.fails == Some(what) { Err(ErrorKind::BrokenPipe) } else { Ok(()) }
    }

    fn said(&self) -> &str {
        std::str::from_utf8(&self.went).expect("text")
    }
}

impl ErrorType for Port {
    type Error = ErrorKind;
}

impl ReadReady for Port {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        self.try_to("ask")?;
        Ok(self.ready)
    }
}

impl Read for Port {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, ErrorKind> {
        self.try_to("read")?;
        let piece = self.comes.pop_front().unwrap_or_default();
        into[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

impl Write for Port {
    fn write(&mut self, from: &[u8]) -> Result<usize, ErrorKind> {
        self.try_to("write")?;
        let len = from.len().min(7);
        self.went.extend_from_slice(&from[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        self.try_to("flush")?;
        self.flushed = self.went.len();
        Ok(())
    }
}

const PING: &str = "{\"execute\": \"guest-ping\"}\n";

fn agent(sim: &mut Sim) -> Box<Agent<Sim, 4096, 4096>> {
    let mut agent: Box<Agent<Sim, 4096, 4096>> = Box::default();
    agent.start(sim).expect("a start");
    agent
}

#[test]
fn it_serves_until_the_port_ends() {
    let mut sim = Sim::new(1);
    let mut agent = agent(&mut sim);
    let mut port = Port::with(&["{\"execute\": \"guest", "-ping\"}\n{\"exec", PING]);
    port.ready = true;
    let ended = serve(&mut agent, &mut sim, &mut port, |_, _| panic!("something is there"));
    assert_eq!(ended, Ok(()));
    assert_eq!(port.said().lines().next(), Some("{\"return\": {}}"));
    assert_eq!(port.flushed, port.went.len());
    // The half request went with its client.
    let mut port = Port::with(&[PING]);
    port.ready = true;
    assert_eq!(serve(&mut agent, &mut sim, &mut port, |_, _| ()), Ok(()));
    assert_eq!(port.said(), "{\"return\": {}}\n");
}

#[test]
fn it_is_idle_while_nothing_has_come() {
    let mut sim = Sim::new(1);
    let mut agent = agent(&mut sim);
    let mut port = Port::with(&[PING]);
    let mut times = 0;
    let port_ready = std::cell::Cell::new(false);
    struct Late<'p>(&'p mut Port, &'p std::cell::Cell<bool>);
    impl ErrorType for Late<'_> {
        type Error = ErrorKind;
    }
    impl ReadReady for Late<'_> {
        fn read_ready(&mut self) -> Result<bool, ErrorKind> {
            Ok(self.1.get())
        }
    }
    impl Read for Late<'_> {
        fn read(&mut self, into: &mut [u8]) -> Result<usize, ErrorKind> {
            self.0.read(into)
        }
    }
    impl Write for Late<'_> {
        fn write(&mut self, from: &[u8]) -> Result<usize, ErrorKind> {
            self.0.write(from)
        }
        fn flush(&mut self) -> Result<(), ErrorKind> {
            self.0.flush()
        }
    }
    let ended = serve(&mut agent, &mut sim, &mut Late(&mut port, &port_ready), |_, until| {
        assert_eq!(until, None, "nothing here takes time");
        times += 1;
        port_ready.set(times == 3);
        assert!(times <= 3, "idle although something is there");
    });
    assert_eq!((ended, times), (Ok(()), 3));
    assert_eq!(port.said(), "{\"return\": {}}\n");
}

#[test]
fn it_ends_where_the_port_fails() {
    for what in ["ask", "read", "write", "flush"] {
        let mut sim = Sim::new(1);
        let mut agent = agent(&mut sim);
        let mut port = Port::with(&[PING]);
        (port.ready, port.fails) = (true, Some(what));
        let ended = serve(&mut agent, &mut sim, &mut port, |_, _| ());
        assert_eq!(ended, Err(ErrorKind::BrokenPipe), "{what}");
    }
}

#[test]
fn it_waits_with_the_time_until_something_is_due() {
    let mut sim = Sim::new(1);
    let program = Program { runs_ms: Some(3000), ..Program::ending("/sbin/poweroff", 0) };
    sim.with(|world| world.machine.programs.push(program));
    let mut agent = agent(&mut sim);
    let mut port = Port::with(&["{\"execute\": \"guest-shutdown\"}\n"]);
    port.ready = true;
    let mut waited = 0;
    let ended = serve(&mut agent, &mut sim, &mut port, |sim, until| {
        waited += 1;
        let until = until.expect("a program runs, whose time is limited");
        assert!(until > sim.now_ms());
        sim.with(|world| world.time.advance(1000));
    });
    assert_eq!(ended, Ok(()));
    assert!((1..=4).contains(&waited), "waited {waited} times");
}

#[test]
fn it_ends_when_the_agent_is_to_end() {
    let mut sim = Sim::new(1);
    let mut agent = agent(&mut sim);
    assert!(!agent.is_stopping() && !agent.is_frozen());
    agent.stop(&mut sim);
    assert!(agent.is_stopping());
    let mut port = Port::default();
    assert_eq!(serve(&mut agent, &mut sim, &mut port, |_, _| panic!("idle")), Ok(()));
}
