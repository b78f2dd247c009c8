//! Where a session's choices come from: a seed, a script, or the bytes of a fuzzer's input in;
//! acts, numbers and bytes, one after the other, out. Invariant: the same beginning gives the same
//! choices.
//!
//! A seed also draws its *swarm*: which acts and which kinds of trouble this session knows at all.
//! Sessions that know only a few go deeper into these than sessions that know all of them.

use qga_sim::Random;

macro_rules! acts {
    ($($act:ident: $weight:literal, $text:literal;)*) => {
        /// What can happen next in a session.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Act { $(#[doc = $text] $act,)* }

        /// All acts, and how often each is drawn.
        const ACTS: &[(Act, u32)] = &[$((Act::$act, $weight)),*];
    };
}

acts! {
    Raw: 0, "Any bytes are sent.";
    Simple: 2, "guest-sync, guest-ping, guest-info, guest-get-time.";
    Open: 5, "guest-file-open.";
    Close: 2, "guest-file-close.";
    Read: 4, "guest-file-read.";
    Write: 6, "guest-file-write.";
    Seek: 3, "guest-file-seek.";
    Flush: 1, "guest-file-flush.";
    Status: 1, "guest-fsfreeze-status.";
    Freeze: 4, "guest-fsfreeze-freeze.";
    Thaw: 4, "guest-fsfreeze-thaw.";
    ShutDown: 1, "guest-shutdown.";
    Odd: 1, "A request that is wrong, or written in an odd way.";
    Disconnect: 1, "The client hangs up between two requests.";
    Restart: 2, "The agent is killed between two requests, and another one started.";
    KilledAmid: 2, "The agent is killed in the middle of a request.";
    Break: 4, "From now on something fails.";
    Meddle: 2, "Somebody else freezes or thaws a filesystem.";
    Pieces: 1, "The channel's pieces get another size.";
    TimePasses: 1, "The clocks go on, or the time of day jumps.";
    Stop: 1, "Somebody asks the agent to end.";
    Burst: 2, "Several requests are sent at once.";
    Stall: 1, "The client asks and does not read for a while.";
    BreakOff: 2, "The client hangs up in the middle of a request or of its reply.";
    Mount: 2, "A filesystem is mounted, or one is taken away.";
    Damage: 1, "What outlives the agent is damaged, foreign, or of another boot.";
    Reclaim: 1, "The memory of large requests is given back.";
    Abandon: 2, "A client leaves half a request, and nobody tells the agent that it has gone.";
    Store: 2, "A place for marks is full, covered, or holds what no agent wrote; a second agent starts.";
    Limit: 2, "The agent is killed, and another one started with another longest time of a freeze.";
}

/// What can be made to fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// Nothing fails any more.
    Clear,
    /// Calls fail by chance.
    Chance,
    /// Transfers are short.
    Short,
    /// Transfers are interrupted.
    Interrupted,
    /// One call fails, or all calls of a kind from then on.
    Planned,
    /// A filesystem cannot be frozen.
    Freeze,
    /// A filesystem cannot be thawed.
    Thaw,
    /// The disk has another size.
    Disk,
}

use Trouble::{Chance, Clear, Disk, Interrupted, Planned, Short};
const TROUBLES: [Trouble; 8] =
    [Clear, Chance, Short, Interrupted, Planned, Trouble::Freeze, Trouble::Thaw, Disk];

/// Choices, one after the other.
pub trait Source {
    /// A byte.
    fn byte(&mut self) -> u8;
    /// Appends up to `len` bytes.
    fn bytes(&mut self, len: usize, into: &mut Vec<u8>);
    /// The next act; nothing at the end of the session.
    fn act(&mut self) -> Option<Act>;
    /// What fails next.
    fn trouble(&mut self) -> Trouble;
    /// A number for an argument: mostly small, sometimes extreme.
    fn number(&mut self) -> i64;

    /// One of several things.
    fn one_of<T: Copy>(&mut self, choice: &[T]) -> T {
        choice[usize::from(self.byte()) % choice.len()]
    }
}

/// Choices from the bytes of a fuzzer's input; zeros when there are no more.
pub struct Bytes<'d>(pub &'d [u8]);

impl Source for Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    fn bytes(&mut self, len: usize, into: &mut Vec<u8>) {
        let (head, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        into.extend_from_slice(head);
    }

    /// The first 240 values mean what they meant when the corpus was begun.
    fn act(&mut self) -> Option<Act> {
        use Act::*;
        const OLD: [Act; 24] = [
            Raw, Simple, Open, Open, Close, Read, Write, Write, Seek, Flush, Status, Freeze, Thaw,
            ShutDown, Odd, Disconnect, Restart, KilledAmid, Break, Break, Meddle, Pieces,
            TimePasses, Stop,
        ];
        const NEW: [Act; 16] = [
            Burst, Stall, BreakOff, Mount, Damage, Reclaim, Abandon, Limit, Burst, Stall, BreakOff,
            Mount, Damage, Reclaim, Store, Limit,
        ];
        if self.0.is_empty() {
            return None;
        }
        let byte = self.byte();
        Some(match byte.checked_sub(240) {
            None => OLD[usize::from(byte % 24)],
            Some(new) => NEW[usize::from(new % 16)],
        })
    }

    fn trouble(&mut self) -> Trouble {
        TROUBLES[usize::from(self.byte() % 8)]
    }

    fn number(&mut self) -> i64 {
        match i16::from_le_bytes([self.byte(), self.byte()]) {
            i16::MIN => i64::MIN,
            i16::MAX => i64::MAX,
            number => i64::from(number),
        }
    }
}

/// Choices from a seed.
pub struct Seeded {
    random: Random,
    acts_left: u64,
    acts: Vec<Act>,
    troubles: Vec<Trouble>,
}

impl Seeded {
    /// The choices of `seed`: with all kinds of trouble that its swarm knows, or, for a session in
    /// which calls are made to fail from outside, without any.
    pub fn new(seed: u64, troubled: bool) -> Self {
        let mut random = Random::new(seed);
        let acts_left = 4 + random.below(28);
        let known = random.number();
        let mut acts = Vec::with_capacity(64);
        for (number, &(act, weight)) in ACTS.iter().enumerate() {
            // Requests there are in every session, of every family in most of them.
            let often = number < Act::ShutDown as usize;
            let drawn = known >> number & 1 == 1 || often && known >> (number + 32) & 1 == 1;
            let breaks = matches!(act, Act::Break | Act::Damage);
            if (drawn || act == Act::Simple) && (troubled || !breaks) {
                acts.extend((0..weight).map(|_| act));
            }
        }
        let mut troubles: Vec<Trouble> =
            TROUBLES.into_iter().filter(|_| random.below(3) == 0).collect();
        if troubles.is_empty() {
            troubles.push(TROUBLES[random.below(8) as usize]);
        }
        Seeded { random, acts_left, acts, troubles }
    }
}

impl Source for Seeded {
    fn byte(&mut self) -> u8 {
        self.random.number() as u8
    }

    fn bytes(&mut self, len: usize, into: &mut Vec<u8>) {
        for _ in 0..len.div_ceil(8) {
            into.extend_from_slice(&self.random.number().to_le_bytes());
        }
        into.truncate(into.len() - (len.div_ceil(8) * 8 - len));
    }

    fn act(&mut self) -> Option<Act> {
        self.acts_left = self.acts_left.checked_sub(1)?;
        Some(self.acts[self.random.below(self.acts.len() as u64) as usize])
    }

    fn trouble(&mut self) -> Trouble {
        self.troubles[self.random.below(self.troubles.len() as u64) as usize]
    }

    fn number(&mut self) -> i64 {
        let number = self.random.number();
        match number & 15 {
            0 => [i64::MIN, i64::MAX, 1 << 40, -(1 << 40)][(number >> 4 & 3) as usize],
            1 => i64::from((number >> 8) as i16),
            2 => -i64::from((number >> 8) as u8),
            3..=5 => i64::from((number >> 8) as u16 & 0x3FFF),
            _ => i64::from((number >> 8) as u8),
        }
    }
}

/// Acts and bytes that are written down.
pub struct Script {
    acts: std::slice::Iter<'static, Line>,
    bytes: std::slice::Iter<'static, u8>,
}

/// An act and the bytes for its choices.
type Line = (Act, &'static [u8]);

/// Opens /d/new for writing.
const OPEN: Line = (Act::Open, &[2, 1]);
/// Opens /d/small for reading and appending.
const APPEND: Line = (Act::Open, &[0, 5]);
/// Writes 40 bytes to the first open file.
const WRITE: Line = (Act::Write, &[0, 40, 4]);
/// The same to the second.
const WRITE_SECOND: Line = (Act::Write, &[1, 40, 4]);
/// Transfers move 16 bytes at most.
const SHORT: Line = (Act::Break, &[0, 15, 0]);
const CLOSE: Line = (Act::Close, &[0]);
/// To the file's beginning.
const SEEK: Line = (Act::Seek, &[0, 0, 0, 0]);
const READ: Line = (Act::Read, &[0, 100, 0]);
const FREEZE: Line = (Act::Freeze, &[]);
const THAW: Line = (Act::Thaw, &[]);
const STATUS: Line = (Act::Status, &[]);
const RESTART: Line = (Act::Restart, &[]);
/// From here on a freeze lasts for 700 ms.
const LIMIT: Line = (Act::Limit, &[2]);
/// A second.
const SECOND: Line = (Act::TimePasses, &[3, 10]);
const STOP: Line = (Act::Stop, &[]);

impl Script {
    /// The scripts: around a freeze, around a freeze that outlives its agent, around one that the
    /// end of the agent ends, around one that its time ends, around file writes.
    pub const ALL: [(&'static str, &'static [Line]); 6] = [
        ("freeze and thaw", &[FREEZE, STATUS, THAW, STATUS]),
        ("freeze, another agent, thaw", &[FREEZE, RESTART, STATUS, THAW]),
        ("freeze and the end of the agent", &[FREEZE, STOP]),
        ("freeze that is over by itself", &[LIMIT, FREEZE, SECOND, STATUS, THAW]),
        ("file writes", &[OPEN, SHORT, WRITE, WRITE, SEEK, WRITE, CLOSE]),
        ("appending beside writing", &[OPEN, APPEND, WRITE, WRITE_SECOND, READ, RESTART, APPEND]),
    ];

    /// The script of this number.
    pub fn new(number: usize) -> Self {
        Script { acts: Self::ALL[number].1.iter(), bytes: [].iter() }
    }
}

impl Source for Script {
    fn byte(&mut self) -> u8 {
        self.bytes.next().copied().unwrap_or(0)
    }

    fn bytes(&mut self, len: usize, into: &mut Vec<u8>) {
        into.extend((0..len).map(|number| number as u8 ^ 0x5A));
    }

    fn act(&mut self) -> Option<Act> {
        let (act, bytes) = self.acts.next()?;
        self.bytes = bytes.iter();
        Some(*act)
    }

    fn trouble(&mut self) -> Trouble {
        Trouble::Short
    }

    fn number(&mut self) -> i64 {
        i64::from(i16::from_le_bytes([self.byte(), self.byte()]))
    }
}
