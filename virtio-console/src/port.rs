//! A port: one queue on which bytes come, one on which they go, and where in what comes one client
//! ends and the next one begins.
//!
//! Bytes that go are *copied* into the memory of the queue and not lent to the device: the caller
//! has its buffer back at once, nobody waits for the device before the next response is written,
//! and the caller's buffer need not lie where a device can reach it. The copy is one of several
//! that the bytes see on their way.
//!
//! The end of a client has no place in the stream of bytes: it is said on the control queue. It is
//! put into the stream by the index of the receive queue at that time (`ends_at`), so that what a
//! client said before it went is still heard, and what the next one says is not taken for its
//! predecessor's. Where the next one was there before anybody looked, the place is known only
//! within bounds ([`Port::end_between`]).

use crate::memory::Memory;
use crate::queue::{Broken, Queue};

/// What a reader finds next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Bytes.
    Bytes,
    /// The end of a client.
    End,
    /// Nothing for now.
    Nothing,
}

/// A buffer that came and is being read: bytes `at..len` of a slot.
#[derive(Clone, Copy)]
struct Coming {
    slot: u16,
    at: usize,
    len: usize,
}

/// A pair of queues that carries bytes.
pub struct Port<M> {
    pub(crate) receive: Queue<M>,
    pub(crate) transmit: Queue<M>,
    coming: Option<Coming>,
    /// The index of the receive queue at which a client ends.
    ends_at: Option<u16>,
    /// Up to this index there are more ends, at each place where there may be one.
    doubt_until: Option<u16>,
    connected: bool,
    /// The buffers that the device had when it was last looked at and nobody had gone.
    sent_before: u64,
    /// Buffers were given back since the device was last told so.
    refilled: bool,
    dropped_bytes: u64,
}

impl<M: Memory> Port<M> {
    /// A port on two queues that are configured elsewhere.
    pub const fn new(receive: Queue<M>, transmit: Queue<M>) -> Self {
        Port {
            receive,
            transmit,
            coming: None,
            ends_at: None,
            doubt_until: None,
            connected: false,
            sent_before: 0,
            refilled: false,
            dropped_bytes: 0,
        }
    }

    /// The queues were configured anew: gives the device all buffers in which bytes can come. What
    /// was on its way is lost, and the client with it.
    pub fn restart(&mut self) {
        let ended = self.connected || self.coming.is_some() || self.ends_at.is_some();
        self.coming = None;
        (self.connected, self.sent_before) = (false, 0);
        self.ends_at = ended.then_some(self.receive.taken());
        self.doubt_until = None;
        self.receive.post_all();
        self.refilled = true;
    }

    /// Whether somebody is at the other end, as far as is known.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Somebody is.
    pub fn connect(&mut self) {
        self.connected = true;
    }

    /// Nobody is any more. QEMU (7.2 at least) then loses the buffer whose bytes the client did not
    /// take: it never returns it. So what the device has had since before the client went, and has
    /// not returned by the time it says so, is taken back; without that a port falls silent after
    /// as many clients as it has buffers.
    pub fn disconnect(&mut self) {
        self.connected = false;
        self.reclaim();
        self.transmit.abandon(self.sent_before);
        self.sent_before = 0;
    }

    /// Nobody had gone by now.
    pub fn keep_in_mind(&mut self) {
        self.sent_before = self.transmit.posted_slots();
    }

    /// Takes the buffers whose bytes have gone. A device that breaks the rules here stays broken
    /// and shows so with whoever asks next.
    fn reclaim(&mut self) {
        while let Ok(Some(used)) = self.transmit.take() {
            self.sent_before &= !1u64.wrapping_shl(u32::from(used.slot));
        }
    }

    /// A client ends where the receive queue has this index. Of several ends the last one counts:
    /// what the clients between sent is of interest to nobody who is still there.
    pub fn end_at(&mut self, index: u16) {
        (self.ends_at, self.doubt_until) = (Some(self.not_behind(index)), None);
    }

    /// One client or several end somewhere between these indexes of the receive queue. There is an
    /// end at the first one, at the last one, and after every buffer between that is not full: a
    /// client's bytes begin a buffer. So the last words of one are not taken for the beginning of
    /// the next one's, whatever they are; a request of the next one in several buffers that are not
    /// full is torn, should all of it have come so early. What was in doubt before stays so.
    pub fn end_between(&mut self, first: u16, last: u16) {
        let (first, last) = (self.not_behind(first), self.not_behind(last));
        if self.doubt_until.is_none() && self.ends_at.is_none() {
            self.ends_at = Some(first);
        }
        self.doubt_until = (self.ends_at != Some(last)).then_some(last);
    }

    /// An index, or here if it is behind what was taken already.
    fn not_behind(&self, index: u16) -> u16 {
        let taken = self.receive.taken();
        if index.wrapping_sub(taken).cast_signed() >= 0 { index } else { taken }
    }

    /// What comes next, of the buffers before the index `until` of the receive queue: those that
    /// were there before the control queue was last looked at. Later ones may be a newcomer's, of
    /// whom nothing was heard yet. Bytes after the end of the last client say that there is
    /// another one, even where the device's message that it came was lost. Errors: the device is
    /// broken.
    pub fn peek(&mut self, until: u16) -> Result<Next, Broken> {
        // Empty buffers are no bytes. A device that sends nothing else gets as much attention as
        // there are buffers.
        for _ in 0..=self.receive.slots() {
            if self.coming.is_some() {
                return Ok(Next::Bytes);
            }
            if self.ends_at == Some(self.receive.taken()) {
                return Ok(Next::End);
            }
            if self.receive.taken() == until {
                return Ok(Next::Nothing);
            }
            let Some(used) = self.receive.take()? else { return Ok(Next::Nothing) };
            self.coming = Some(Coming { slot: used.slot, at: 0, len: used.len });
            if used.len == 0 {
                self.give_back();
            } else if self.ends_at.is_none() {
                self.connected = true;
            }
        }
        Ok(Next::Nothing)
    }

    /// Takes [`Next::End`] away.
    pub fn pass_end(&mut self) {
        if self.ends_at == Some(self.receive.taken()) {
            self.ends_at = None;
        }
    }

    /// Copies what [`Port::peek`] found to `to`: from one buffer, so that no read goes past an end.
    pub fn read(&mut self, to: &mut [u8]) -> usize {
        let Some(Coming { slot, at, len }) = self.coming else { return 0 };
        let left = len.saturating_sub(at);
        let most = to.len().min(left);
        let Some(to) = to.get_mut(..most) else { return 0 };
        let copied = self.receive.read(slot, at, to);
        if copied == left {
            self.give_back();
        } else {
            self.coming = Some(Coming { slot, at: at + copied, len });
        }
        copied
    }

    fn give_back(&mut self) {
        if let Some(coming) = self.coming.take() {
            let last = self.doubt_until == Some(self.receive.taken());
            let full = coming.len == self.receive.slot_bytes();
            if self.doubt_until.is_some() && self.ends_at.is_none() && (last || !full) {
                self.ends_at = Some(self.receive.taken());
            }
            if last {
                self.doubt_until = None;
            }
            self.receive.post(coming.slot, usize::MAX);
            self.refilled = true;
        }
    }

    /// The device is to be told of its buffers once more.
    pub fn tell_again(&mut self) {
        self.refilled = true;
    }

    /// Whether the device is to be told that it has buffers again. Asking makes it told.
    pub fn take_refilled(&mut self) -> bool {
        core::mem::take(&mut self.refilled) && self.receive.wants_notification()
    }

    /// Whether [`Port::write`] takes bytes now. Where it does not, the device interrupts when it
    /// will. Errors: the device is broken.
    pub fn has_room(&mut self) -> Result<bool, Broken> {
        if !self.connected || self.has_free()? {
            return Ok(true);
        }
        // Otherwise nobody needs to know that bytes have gone.
        self.transmit.want_interrupt(true);
        self.has_free()
    }

    fn has_free(&mut self) -> Result<bool, Broken> {
        self.reclaim();
        match self.transmit.broken() {
            Some(broken) => Err(broken),
            None => Ok(self.transmit.free_slot().is_some()),
        }
    }

    /// Takes bytes that go: as many as a buffer holds, `None` while the device has all buffers, and
    /// all of them to nowhere while nobody is at the other end. The device must then be told.
    pub fn write(&mut self, bytes: &[u8]) -> Result<Option<usize>, Broken> {
        if !self.has_room()? {
            return Ok(None);
        }
        if !self.connected {
            self.dropped_bytes = self.dropped_bytes.saturating_add(bytes.len() as u64);
            return Ok(Some(bytes.len()));
        }
        let Some(slot) = self.transmit.free_slot() else { return Ok(None) };
        self.transmit.want_interrupt(false);
        let len = self.transmit.fill(slot, bytes);
        self.transmit.post(slot, len);
        Ok(Some(len))
    }

    /// Whether the device has used all bytes that went. It need not interrupt when it has. Errors:
    /// the device is broken.
    pub fn is_drained(&mut self) -> Result<bool, Broken> {
        self.has_free()?;
        Ok(self.transmit.posted() == 0)
    }

    /// How many bytes were written while nobody was at the other end.
    pub fn dropped_bytes(&self) -> u64 {
        self.dropped_bytes
    }
}
