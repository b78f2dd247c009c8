//! Programs of clients: calls of [`Exec`] come in, what they do to pipes and processes goes out.
//! Invariant: what would wait for ever in a real guest is a violation.

use crate::exec::{Pipe, Queue, Run};
use crate::kind::Kind;
use crate::sim::Sim;
use qga_core::Errno;
use qga_core::platform::{Become, Exec, Exit, Keeps, Packed, Standard};
use std::cell::RefCell;
use std::rc::Rc;

#[derive(Debug)]
enum What {
    Nothing,
    Memory(Rc<RefCell<Content>>),
    Reads(Pipe),
    Writes(Pipe),
}

/// What memory has.
#[derive(Debug, Default)]
struct Content {
    /// How much of its beginning was given back.
    gone: usize,
    bytes: Vec<u8>,
}

/// What the agent has open for a program.
#[derive(Debug)]
pub struct Open {
    sim: Sim,
    what: What,
}

impl Open {
    fn new(sim: &Sim, what: What) -> Self {
        sim.with(|world| world.exec.open += 1);
        if let What::Writes(pipe) = &what {
            pipe.borrow_mut().writers += 1;
        }
        Open { sim: sim.clone(), what }
    }

    fn pipe(&self) -> Option<&Pipe> {
        match &self.what {
            What::Reads(pipe) | What::Writes(pipe) => Some(pipe),
            _ => None,
        }
    }

    fn queue(&self) -> Result<&RefCell<Queue>, Errno> {
        self.pipe().map(|pipe| &**pipe).ok_or(Errno::BADF)
    }

    fn content(&self) -> Result<&RefCell<Content>, Errno> {
        match &self.what {
            What::Memory(memory) => Ok(memory),
            _ => Err(Errno::SPIPE),
        }
    }

    /// All that can be read of it.
    fn read_all(&self) -> Vec<u8> {
        match &self.what {
            What::Nothing => Vec::new(),
            What::Memory(memory) => memory.borrow().bytes.clone(),
            What::Reads(pipe) | What::Writes(pipe) => pipe.borrow().bytes.iter().copied().collect(),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.sim.with(|world| world.exec.open -= 1);
        if let What::Writes(pipe) = &self.what {
            pipe.borrow_mut().writers -= 1;
        }
    }
}

/// The text at a place, up to its NUL.
fn text(room: &[u8], at: usize) -> Option<String> {
    let rest = room.get(at..)?;
    let end = rest.iter().position(|&byte| byte == 0)?;
    Some(String::from_utf8_lossy(&rest[..end]).into_owned())
}

/// The texts of a list of addresses.
fn texts(room: &[u8], mut at: usize) -> Option<Vec<String>> {
    let mut found = Vec::new();
    loop {
        let bytes = room.get(at..)?.first_chunk()?;
        match usize::from_ne_bytes(*bytes) {
            0 => return Some(found),
            address => found.push(text(room, address.checked_sub(room.as_ptr().addr())?)?),
        }
        at += size_of::<usize>();
    }
}

impl Exec for Sim {
    const OFFERED: bool = true;
    type Pipe = Open;
    type Memory = Keeps<1>;

    fn nothing(&mut self) -> Result<Open, Errno> {
        self.call(
            Kind::Nothing,
            |world| {
                if world.exec.no_null { Err(Errno::NOENT) } else { Ok(()) }
            },
        )?;
        Ok(Open::new(self, What::Nothing))
    }

    fn memory(&mut self) -> Result<Open, Errno> {
        self.call(Kind::Memory, |_| Ok(()))?;
        Ok(Open::new(self, What::Memory(Rc::default())))
    }

    fn pipe(&mut self) -> Result<[Open; 2], Errno> {
        self.call(Kind::Pipe, |_| Ok(()))?;
        let pipe = Pipe::default();
        Ok([Open::new(self, What::Reads(pipe.clone())), Open::new(self, What::Writes(pipe))])
    }

    fn enlarge(&mut self, pipe: &Open, bytes: usize) -> Result<(), Errno> {
        self.call(Kind::Enlarge, |world| match world.exec.pipe_bytes_max {
            Some(most) if bytes > most => Err(Errno::PERM),
            _ => Ok(()),
        })?;
        pipe.queue()?.borrow_mut().capacity = Some(bytes);
        Ok(())
    }

    fn put_into_pipe(&mut self, pipe: &Open, bytes: &[u8]) -> Result<usize, Errno> {
        let len = self.call(Kind::PutIntoPipe, |world| Ok(world.faults.transfer(bytes.len())))?;
        let mut queue = pipe.queue()?.borrow_mut();
        if queue.free() < len {
            self.with(|world| world.violations.push("waits for a program to read".into()));
            return Err(Errno::DEADLK);
        }
        queue.bytes.extend(&bytes[..len]);
        Ok(len)
    }

    fn put_into_memory(&mut self, memory: &Open, at: usize, bytes: &[u8]) -> Result<usize, Errno> {
        let len = self.call(Kind::PutIntoMemory, |world| Ok(world.faults.transfer(bytes.len())))?;
        let content = &mut memory.content()?.borrow_mut().bytes;
        content.truncate(at);
        content.resize(at, 0);
        content.extend(&bytes[..len]);
        Ok(len)
    }

    fn watch(&mut self, pipe: &Open) -> Result<(), Errno> {
        self.call(Kind::Watch, |_| Ok(()))?;
        pipe.queue()?.borrow_mut().watched = true;
        Ok(())
    }

    fn spawn(
        &mut self,
        slot: usize,
        standard: Standard<'_, Open>,
        room: usize,
        program: Become<'_, Self>,
    ) -> Result<i32, Errno> {
        self.call(Kind::Spawn, |world| {
            world.exec.becomes = None;
            Ok(())
        })?;
        let mut room = vec![0; room];
        let became = program(self, &mut room);
        let report = standard.report.pipe().cloned();
        if let (Err(errno), Some(report)) = (became, &report) {
            report.borrow_mut().bytes.extend(errno.number().to_ne_bytes());
        }
        let outputs = [standard.output, standard.error].map(|open| open.pipe().cloned());
        let input = standard.input.read_all();
        Ok(self.with(|world| {
            if let Some((program, run)) = &mut world.exec.becomes {
                if program.echoes {
                    let bytes = input.clone();
                    program
                        .prints
                        .insert(0, crate::exec::Print { after_ms: 0, error: false, bytes });
                }
                run.input = input;
            }
            let now_ms = world.time.now_ms;
            world.exec.spawn(slot, outputs, report, now_ms)
        }))
    }

    fn execute(&mut self, room: &[u8], packed: Packed) -> Result<(), Errno> {
        self.call(Kind::Execute, |world| {
            let path = text(room, packed.path).ok_or(Errno::FAULT)?;
            let words = texts(room, packed.words).ok_or(Errno::FAULT)?;
            let variables = match packed.variables {
                Some(at) => Some(texts(room, at).ok_or(Errno::FAULT)?),
                None => None,
            };
            let found = world.exec.programs.iter().find(|program| program.path == path);
            let program = found.ok_or(Errno::NOENT)?.clone();
            if let Some(errno) = program.error {
                return Err(errno);
            }
            let run = Run { path, words, variables, input: Vec::new() };
            world.exec.becomes = Some((program, run));
            Ok(())
        })
    }

    fn search_path(&self) -> Option<&'static [u8]> {
        self.with(|world| world.exec.search.map(str::as_bytes))
    }

    fn report(&mut self, report: &Open) -> Result<Option<Errno>, Errno> {
        self.call(Kind::Report, |world| {
            world.exec.go_on(world.time.now_ms);
            Ok(())
        })?;
        let mut queue = report.queue()?.borrow_mut();
        let number: Vec<u8> = queue.bytes.drain(..).collect();
        match number.first_chunk() {
            Some(number) => Ok(Some(Errno::new(u32::from_ne_bytes(*number)))),
            None if queue.writers > 0 => Err(Errno::AGAIN),
            None => Ok(None),
        }
    }

    fn is_readable(&mut self) -> bool {
        true
    }

    fn keep(&mut self, pipe: &Open, memory: &Open, bytes_max: usize) -> Result<u32, Errno> {
        let most = self.call(Kind::Keep, |world| {
            world.exec.go_on(world.time.now_ms);
            Ok(world.faults.transfer(bytes_max))
        })?;
        let bytes = pipe.take(most)?;
        let mut content = memory.content()?.borrow_mut();
        content.bytes.extend(&bytes);
        self.with(|world| {
            let most = &mut world.exec.held_bytes_max;
            *most = content.bytes.len().max(*most);
        });
        Ok(bytes.len() as u32)
    }

    fn discard(&mut self, pipe: &Open) -> Result<u32, Errno> {
        let most = self.call(Kind::Discard, |world| {
            world.exec.go_on(world.time.now_ms);
            Ok(world.faults.transfer(4096))
        })?;
        pipe.take(most).map(|bytes| bytes.len() as u32)
    }

    fn kept(&mut self, memory: &Open, at: u64, into: &mut [u8]) -> usize {
        let most = self.sure(Kind::Kept, 0, |world| world.faults.transfer(into.len()));
        let Ok(content) = memory.content() else { return 0 };
        let content = content.borrow();
        let at = usize::try_from(at).ok().and_then(|at| at.checked_sub(content.gone));
        if at.is_none() {
            self.with(|world| world.violations.push("reads what was given back".into()));
        }
        let from = at.and_then(|at| content.bytes.get(at..)).unwrap_or(&[]);
        let len = from.len().min(most);
        into[..len].copy_from_slice(&from[..len]);
        len
    }

    fn forget(&mut self, memory: &Open, until: u64) -> Result<(), Errno> {
        self.call(Kind::Forget, |_| Ok(()))?;
        let mut content = memory.content()?.borrow_mut();
        let until = usize::try_from(until).map_err(|_| Errno::INVAL)?;
        let len = until.saturating_sub(content.gone).min(content.bytes.len());
        content.bytes.drain(..len);
        content.gone += len;
        Ok(())
    }

    fn kill(&mut self, slot: usize) -> Result<(), Errno> {
        self.call(Kind::Kill, |world| {
            let now_ms = world.time.now_ms;
            world.exec.go_on(now_ms);
            world.exec.end(slot, now_ms)
        })
    }

    fn ended(&mut self, slot: usize) -> Option<Exit> {
        self.with(|world| {
            world.exec.go_on(world.time.now_ms);
            world.exec.exit(slot)
        })
    }
}

impl Open {
    /// Takes bytes out of a pipe.
    fn take(&self, most: usize) -> Result<Vec<u8>, Errno> {
        let mut queue = self.queue()?.borrow_mut();
        if queue.bytes.is_empty() && queue.writers > 0 {
            if !queue.watched {
                self.sim.with(|world| world.violations.push("waits for a program".into()));
            }
            return Err(Errno::AGAIN);
        }
        let len = queue.bytes.len().min(most);
        Ok(queue.bytes.drain(..len).collect())
    }
}
