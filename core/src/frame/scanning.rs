//! Finding frames: the bytes in the buffer in, what the framer comes upon next out. Tokens are
//! counted, not judged; what is no token, too deep or too long is skipped, and a guest-sync inside
//! it is looked for.

use super::bytes::{ends_line, last_sync};
use super::{Fault, Framer, FramerState, Scan};
use crate::json::lexer::{Found, Token};
use crate::limits::DEPTH_MAX;

impl<const N: usize> Framer<N> {
    /// Looks for the next whole frame in what was received.
    #[inline(never)]
    pub fn scan(&mut self) -> Scan {
        if self.state == FramerState::Unsaid {
            self.state = FramerState::Collect;
            return Scan::Bad(Fault::Unfinished);
        }
        loop {
            if self.state > FramerState::Swallow
                && let Some(sync) = self.skip()
            {
                return sync;
            }
            // A frame that is too long is so wherever the channel cut it.
            let end = if self.tight {
                self.filled.min(self.begin(self.scanned) + self.most())
            } else {
                self.filled
            };
            let bytes = self.buffer.get(..end).unwrap_or(&[]);
            match self.lexer.next(bytes, &mut self.scanned) {
                Found::End => {
                    if let Some(found) = self.ran_out(end) {
                        return found;
                    }
                }
                Found::Sentinel => self.drop_partial(),
                Found::Stray => {
                    if let Some(bad) = self.stray() {
                        return bad;
                    }
                }
                Found::Token(token) => {
                    if let Some(found) = self.token(token) {
                        return found;
                    }
                }
            }
        }
    }

    fn token(&mut self, token: Token) -> Option<Scan> {
        if self.in_frame && token >= Token::Colon {
            return None;
        }
        let close = matches!(token, Token::ObjectClose | Token::ArrayClose);
        if self.state == FramerState::Refused && !self.in_frame && close {
            self.start = self.scanned;
            return None;
        }
        if !core::mem::replace(&mut self.in_frame, true) {
            self.start = self.lexer.start;
        }
        match token {
            Token::ObjectOpen => self.braces += 1,
            Token::ObjectClose => self.braces -= 1,
            Token::ArrayOpen => self.brackets += 1,
            Token::ArrayClose => self.brackets -= 1,
            _ => {}
        }
        let open = self.braces >= 0 && self.brackets >= 0 && self.braces + self.brackets > 0;
        if open {
            let too_deep = self.braces + self.brackets > DEPTH_MAX as i32;
            if too_deep && self.state != FramerState::Swallow {
                self.state = FramerState::Swallow;
                return Some(Scan::Bad(Fault::TooDeep));
            }
            return self.inside(token);
        }
        self.found = self.start;
        let swallowed = self.state == FramerState::Swallow;
        self.drop_partial();
        if swallowed {
            self.refused();
            return None;
        }
        Some(Scan::Frame)
    }

    /// A token inside a frame: whether a guest-sync may end with it.
    fn inside(&mut self, token: Token) -> Option<Scan> {
        let outermost = self.braces == 1 && self.brackets == 0;
        match token {
            Token::Comma if outermost => self.in_id = false,
            Token::String if outermost => {
                // Names that only end so are spared as well.
                let text = self.buffer.get(..self.scanned).unwrap_or(&[]);
                self.in_id |= self.lexer.special || matches!(text, [.., b'i', b'd', _]);
            }
            Token::ObjectClose => return self.sync(),
            _ => {}
        }
        None
    }

    /// The object that ends here, if it may be a guest-sync that begins a conversation.
    fn sync(&mut self) -> Option<Scan> {
        let low = self.scanned.saturating_sub(Self::SYNC_BYTES);
        let before = last_sync(self.buffer.get(low..self.scanned)?)?;
        let last = before.trim_ascii_end().last();
        let nested = self.in_id && matches!(last, None | Some(b':' | b',' | b'['));
        self.found = low + before.len();
        // The frame itself is none inside a frame.
        let inside = self.is_dropping() || self.found > self.start;
        (!nested && inside).then_some(Scan::Sync)
    }

    fn stray(&mut self) -> Option<Scan> {
        self.found = self.lexer.start;
        let offence = self.scanned.checked_sub(1).and_then(|last| self.buffer.get(last).copied());
        let swallowed = self.state == FramerState::Swallow;
        self.unbalance();
        self.state = if offence.is_some_and(ends_line) {
            FramerState::LineStart
        } else {
            FramerState::SkipLine
        };
        if swallowed { None } else { Some(Scan::Bad(Fault::Stray)) }
    }

    /// Where the frame begins that is being read, or `next` if none is.
    fn begin(&self, next: usize) -> usize {
        match (self.in_frame, self.lexer.inside()) {
            (true, _) => self.start,
            (false, true) => self.lexer.start,
            (false, false) => next,
        }
    }

    /// The bytes up to `end` are used up before the frame is whole.
    fn ran_out(&mut self, end: usize) -> Option<Scan> {
        if self.is_dropping() {
            self.start = end;
        } else {
            self.start = self.begin(end);
            if end - self.start.min(end) >= self.most() {
                self.state = FramerState::Swallow;
                return Some(Scan::Bad(Fault::TooLong));
            }
        }
        (end >= self.filled).then_some(Scan::More)
    }

    /// Skips to where a new request can begin, to what may be a guest-sync, or to the end of what
    /// was received.
    fn skip(&mut self) -> Option<Scan> {
        while let Some(&byte) = self.buffer.get(self.scanned..self.filled).and_then(<[u8]>::first) {
            let (at_start, ends) = (self.state == FramerState::LineStart, ends_line(byte));
            let begins = byte == 0xFF || at_start && byte == b'{';
            if !begins {
                self.scanned += 1;
            }
            if begins || ends && !at_start {
                self.drop_partial();
                return None;
            }
            if at_start {
                if !ends && !matches!(byte, b' ' | b'\t') {
                    self.state = FramerState::SkipLine;
                }
            } else if byte == b'}' {
                let sync = self.sync();
                if sync.is_some() {
                    return sync;
                }
            }
        }
        None
    }
}
