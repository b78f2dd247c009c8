//! One request: its frame in, the beginning of its response out, and then the rest of that, a
//! window at a time.

use super::Agent;
use super::doing::{Asker, Doing, Secret, refuse};
use super::understand::understand;
use crate::command::{Call, Later, Reply};
use crate::error::{Error, Raised, Slot};
use crate::frame::Scan;
use crate::platform::{Freezing as _, Level, Platform};
use crate::response::{Echo, Failed, RETURN, describe, fill};
use crate::rules::Rules;
use crate::text::{Phrase, Text};

impl<P: Platform, const FRAME: usize, const WINDOW: usize> Agent<P, FRAME, WINDOW> {
    /// Whether what was found is a guest-sync, with which a client begins.
    pub(super) fn is_sync(&mut self, platform: &P, found: Scan) -> bool {
        let place = self.framer.place();
        let text = self.framer.part(place);
        let understood = || {
            let (_, found) = understand(platform, text, &Rules::new(), false, &Slot::new());
            found.map(|(row, _)| row.command.is_sync())
        };
        matches!(found, Scan::Frame | Scan::Sync) && understood() == Ok(true)
    }

    /// Runs the request in the frame buffer. One that stands inside a malformed request is run next
    /// if it is a guest-sync, with which a new client begins, after the error for what was left
    /// unfinished before it.
    pub(super) fn execute(&mut self, platform: &mut P, found: Scan) {
        let Self { doing, cursor, job, framer, window, state, secret, .. } = self;
        let frame = framer.place();
        let inside = found == Scan::Sync;
        let text = framer.part(frame.clone());
        let slot = Slot::new();
        let frozen = state.freezer.is_frozen();
        let (id, found) = understand(platform, text, &state.rules, frozen, &slot);
        if inside {
            if matches!(found, Ok((row, _)) if row.command.is_sync()) {
                framer.resume();
            }
            return;
        }
        let Ok((row, arguments)) = found else {
            *secret = Secret::Open;
            if !slot.is_empty() {
                refuse(doing, window, &slot.get(), id, frame);
                framer.refused();
            }
            return;
        };
        // A thaw takes over from another one, and from a freeze.
        let thaws = job.poll.is_none() && row.command.while_frozen;
        if row.command.takes_time && !thaws {
            let under_way = match job.poll {
                Some(_) => job.command.map(|command| command.name),
                None => state.freezer.is_under_way().then_some("a thaw"),
            };
            if let Some(what) = under_way {
                let error = Error::Told(UNDER_WAY, what.as_bytes(), 0);
                return refuse(doing, window, &error, id, frame);
            }
        }
        if row.command.secret || *secret == Secret::Open {
            *secret = Secret::Ended;
        }
        if state.freezer.may_write() {
            platform.log(Level::Info, &[Phrase::plain(row.command.name), phrase!(" called")]);
        }
        let arguments = text.get_mut(arguments).unwrap_or(&mut []);
        let slot = Slot::new();
        let mut out = window.writer();
        out.ascii(RETURN);
        let call = Call { platform, state, arguments, slot: &slot, out: &mut out, cursor };
        let reply = (row.run)(call);
        let (full, len) = (out.is_full(), out.len());
        window.keep(len);
        let body = match reply {
            Ok(Reply::Value) => None,
            Ok(Reply::Pieces(piece)) => Some(piece),
            Ok(Reply::Later(Later { poll, finish, alone })) => {
                window.clear();
                (job.poll, job.finish, job.alone) = (Some(poll), finish, alone);
                (job.asker, job.command) = (Some(Asker { id, frame }), Some(&row.command));
                return;
            }
            Err(Raised) => return refuse(doing, window, &slot.get(), id, frame),
        };
        if full {
            let error = Error::Text(TOO_LARGE);
            return refuse(doing, window, &error, id, frame);
        }
        *doing = Doing::Responding(body, Echo::new(id), frame);
    }

    /// Writes the next window of the response, if there is one.
    pub(super) fn respond(&mut self, platform: &mut P) {
        let Doing::Responding(body, echo, frame) = &mut self.doing else { return };
        let mut out = self.window.writer();
        let whole = match body {
            None => true,
            Some(piece) => {
                match fill(*piece, platform, &mut self.state, &mut self.cursor, &mut out) {
                    Ok(whole) => whole,
                    Err(Failed(what, errno)) => {
                        // Pieces fail only before they commit, so the window holds nothing but
                        // their beginning.
                        self.state.list.close();
                        out.rewind(0);
                        describe(&Error::Failed(what, errno), &mut out);
                        true
                    }
                }
            }
        };
        if whole {
            *body = None;
        }
        let ended = whole && echo.fill(self.framer.part(frame.clone()), &mut out);
        let len = out.len();
        self.window.keep(len);
        if ended {
            self.doing = Doing::Listening;
            // What nobody follows has nothing left to undo.
            if self.job.poll.is_none() {
                self.job.alone = None;
            }
        }
    }
}

/// What must end first.
const UNDER_WAY: Phrase = phrase!("= is under way");
const TOO_LARGE: Text = text!("reply larger than the window");
