//! The agent: bytes from the channel in, bytes for the channel out, and between them one bounded
//! unit of work at a time. Control flow only: it knows no command.
//!
//! ```text
//! space/received -> Framer -> check -> envelope -> THE TABLE -> Pieces -> Window -> pending/sent
//! ```
//!
//! It performs no I/O of its own and never waits. The next request is not looked at before the
//! response to the last is drained, so a client that does not read stops itself and nobody else;
//! only while something takes longer it is, for the sake of a guest-sync.

mod doing;
mod execute;
mod job;
mod lists;
mod stop;
mod understand;

use crate::bulk::wipe_stack;
use crate::errno::Errno;
use crate::exec::Programs;
use crate::frame::{Framer, Scan};
use crate::freezer::Limit;
use crate::limits::WINDOW_BYTES_MIN;
use crate::list::List;
use crate::platform::{Files, Freezing as _, Kept as _, Platform, Reason};
use crate::response::{Cursor, Window};
use crate::state::State;
use doing::{Asker, Doing, Job, Secret, Stop, refuse};

/// What the agent needs next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Bytes: put some into [`Agent::space`].
    Receive,
    /// Room: take some of [`Agent::pending`].
    Transmit,
    /// Time: step again when a child has ended, or at [`Agent::deadline`], which counts with every
    /// step. Bytes that come in between may be put into [`Agent::space`], if there is any: who has
    /// asked may have gone, and another one come.
    Wait,
    /// Nothing: step again.
    Continue,
    /// To end: it was asked to stop, and all that it had frozen runs again.
    Exit,
}

/// A guest agent with a buffer of `FRAME` bytes for a request and `WINDOW` bytes for a response.
/// All zero when new, so that a static one takes no place in a file.
#[repr(C)]
pub struct Agent<P: Platform, const FRAME: usize, const WINDOW: usize> {
    // In this order an idle agent has written to three pages: the beginning of the window shares
    // one with what stands before it, the beginning of the frame buffer with the framer, the state
    // has one. Before the window stands first what is used most, within what a short address
    // reaches: 90 bytes less.
    doing: Doing<P>,
    stop: Stop,
    secret: Secret,
    /// What takes longer.
    job: Job<P>,
    /// Whose reply says that everything is frozen, until that begins to leave.
    told: Option<Asker>,
    deadline_ms: Option<u64>,
    /// Where the body goes on that is being written in pieces.
    cursor: Cursor,
    freeze_limit: Limit,
    window: Window<WINDOW>,
    framer: Framer<FRAME>,
    state: State<P>,
}

impl<P: Platform, const FRAME: usize, const WINDOW: usize> Agent<P, FRAME, WINDOW> {
    const SIZES: () = assert!(FRAME >= 1024 && WINDOW >= WINDOW_BYTES_MIN);

    /// An agent that has not started.
    pub const fn new() -> Self {
        let () = Self::SIZES;
        Agent {
            doing: Doing::Listening,
            cursor: Cursor::new(),
            job: Job::NONE,
            stop: Stop::NONE,
            secret: Secret::Nothing,
            told: None,
            deadline_ms: None,
            freeze_limit: Limit::new(),
            window: Window::new(),
            framer: Framer::new(),
            state: State::new(),
        }
    }

    /// A freeze lasts for `ms_max` milliseconds at most, then the agent thaws by itself; without it
    /// a freeze may last for ever, as with the reference. To be called before [`Agent::start`]:
    /// what an earlier agent left frozen counts from there on.
    pub fn limit_freezes(&mut self, ms_max: Option<u64>) {
        self.freeze_limit.ms_max = ms_max;
    }

    /// A freeze that would leave out a filesystem that is hidden from the agent, or frozen by
    /// somebody else, fails instead; without it that is a warning in the log.
    pub fn refuse_unreachable(&mut self, refuse: bool) {
        self.state.freezer.set_strict(refuse);
    }

    /// A filesystem may take `ms_max` milliseconds to be found, frozen or thawed, then it counts as
    /// hanging, and a freeze is rolled back; without it [`crate::limits::FREEZE_STEP_MS_MAX`]. Only
    /// where a worker freezes: see [`crate::platform::Freeze::work`].
    pub fn limit_steps(&mut self, ms_max: u64) {
        self.state.freezer.set_step_limit(ms_max);
    }

    /// Takes over what an earlier agent left: handle numbers and frozen filesystems. Call it once,
    /// first. Errors: the saved state cannot be read or written.
    #[inline(never)]
    pub fn start(&mut self, platform: &mut P) -> Result<(), Errno> {
        self.state.freezer.restore(platform);
        self.freeze_limit.keep(platform, &mut self.state.freezer);
        let frozen = self.state.freezer.is_frozen();
        if <P as Files>::OFFERED { self.state.files.restore(platform, frozen) } else { Ok(()) }
    }

    /// Where bytes of the channel go; to be asked for after [`Step::Receive`], when it is never
    /// empty, or [`Step::Wait`] only, because until then the request being answered stands there.
    pub fn space(&mut self) -> &mut [u8] {
        if self.job.asker.is_some() { self.framer.room() } else { self.framer.space() }
    }

    /// The first `len` bytes of [`Agent::space`] are filled.
    pub fn received(&mut self, len: usize) {
        self.framer.received(len);
    }

    /// Bytes for the channel.
    pub fn pending(&self) -> &[u8] {
        self.window.pending()
    }

    /// The channel took the first `len` of [`Agent::pending`].
    pub fn sent(&mut self, len: usize) {
        (self.told, self.stop.owed) = (None, false);
        self.window.sent(len);
    }

    /// The time of [`crate::platform::Clock::now_ms`] by which to step again, whatever the last
    /// step asked for: always there after [`Step::Wait`], otherwise when a freeze may not last for
    /// ever.
    pub fn deadline(&self) -> Option<u64> {
        if self.stop.ends {
            return self.deadline_ms;
        }
        let own = self.deadline_ms.unwrap_or(u64::MAX);
        let limit = self.freeze_limit.deadline_ms().unwrap_or(u64::MAX);
        let programs = self.state.exec.kept().map_or(u64::MAX, Programs::next_ms);
        let first = own.min(limit).min(self.state.freezer.next_ms()).min(programs);
        (first != u64::MAX).then_some(first)
    }

    /// The channel has lost its client: a half request and a half response are of no use to the
    /// next one. Open handles and frozen filesystems stay. What it was about to ask for nobody
    /// knows: it is wiped.
    pub fn disconnected(&mut self) {
        self.secret = Secret::Ended;
        (self.told, self.stop.owed) = (None, false);
        self.window.clear();
        self.framer.reset();
        self.state.list.close();
        self.doing = Doing::Listening;
        self.job.nobody_asks();
    }

    /// Thaws although nobody has asked, for a platform on which nobody could ask while something is
    /// frozen; whether everything runs again, as far as that does not take longer
    /// ([`Agent::is_busy`]). The thaw that a client may still send then answers 0.
    pub fn thaw(&mut self, platform: &mut P) -> bool {
        self.state.freezer.thaw(platform, Reason::Over);
        !self.state.freezer.is_frozen()
    }

    /// Whether something is frozen that a thaw can reach, by a list or, without one, anything;
    /// where [`Agent::is_frozen`] says so as well of a mark that cannot be read.
    #[inline(never)]
    pub fn holds_frozen(&self) -> bool {
        self.state.freezer.holds()
    }

    /// Whether something is under way that takes longer, and that somebody must go on with.
    pub fn is_busy(&self) -> bool {
        self.job.poll.is_some() || self.state.freezer.is_under_way()
    }

    /// Whether there is nothing to go on with but requests.
    fn is_quiet(&self) -> bool {
        !self.is_busy() && !self.stop.told && self.may_write()
    }

    /// Whether it was told to stop and nothing stands in the way.
    pub fn is_stopping(&self) -> bool {
        self.stop.ends
    }

    /// Whether nothing may be written to filesystems now.
    pub fn is_frozen(&self) -> bool {
        self.state.freezer.is_frozen()
    }

    /// Whether files may be written to: nothing is frozen, nor can it be by something that hangs.
    pub fn may_write(&self) -> bool {
        self.state.freezer.may_write()
    }

    /// Memory that holds nothing any more and that the caller may give back to the system: ask
    /// until there is none.
    pub fn reclaim(&mut self) -> Option<&mut [u8]> {
        let idle = matches!(self.doing, Doing::Listening) && self.job.asker.is_none();
        if !idle {
            return None;
        }
        match self.framer.reclaim() {
            None if List::<P>::READ => self.state.list.reclaim(self.window.spare()?),
            large => large,
        }
    }

    /// The commands' state, for tests that look inside.
    #[doc(hidden)]
    pub fn state(&self) -> &State<P> {
        &self.state
    }

    /// One unit of work: at most one command, or one window of a response; after it a thaw, if a
    /// freeze has lasted too long.
    pub fn step(&mut self, platform: &mut P) -> Step {
        let next = self.work(platform);
        self.freeze_limit.keep(platform, &mut self.state.freezer);
        self.take_back();
        next
    }

    fn work(&mut self, platform: &mut P) -> Step {
        if self.stop.ends {
            return self.end(platform);
        }
        self.deadline_ms = None;
        if let Some(programs) = self.state.exec.kept_mut().filter(|programs| programs.is_active()) {
            programs.follow(platform);
        }
        if !self.is_quiet() {
            if self.job.poll.is_none() {
                self.state.freezer.tidy(platform);
            }
            self.follow(platform);
            self.stop_if_thawed(platform);
            if self.stop.ends {
                return Step::Continue;
            }
        }
        if !self.window.pending().is_empty() {
            return Step::Transmit;
        }
        if let Doing::Listening = self.doing
            && self.secret == Secret::Ended
            && self.job.asker.is_none()
            && self.job.held == Scan::More
        {
            self.secret = Secret::Nothing;
            self.framer.wipe();
            self.window.wipe();
            wipe_stack();
        }
        if let Doing::Listening = self.doing {
            match self.scan(platform) {
                Scan::More if self.job.asker.is_some() => return Step::Wait,
                Scan::More => return Step::Receive,
                found @ (Scan::Frame | Scan::Sync) => {
                    self.execute(platform, found);
                    if self.job.finish.is_some() {
                        // It may have taken no time.
                        self.follow(platform);
                    }
                }
                Scan::Bad(fault) => {
                    self.secret = Secret::Open;
                    let error = self.framer.error(fault);
                    refuse(&mut self.doing, &mut self.window, &error, 0..0, 0..0);
                }
            }
        }
        self.respond(platform);
        if self.window.pending().is_empty() { Step::Continue } else { Step::Transmit }
    }
}

impl<P: Platform, const FRAME: usize, const WINDOW: usize> Default for Agent<P, FRAME, WINDOW> {
    fn default() -> Self {
        Agent::new()
    }
}
