//! QEMU's JSON dialect cut into tokens: bytes in, in pieces of any size, token boundaries out.
//!
//! The lexer knows the shape of a token, not its meaning: escapes, UTF-8, keywords and grammar are
//! checked on the whole frame ([`super::check`]). It keeps one state between calls, so cutting the
//! input elsewhere never changes what it finds. Dialect: single-quoted strings too; no `+1`, `01`,
//! `.5`, `5.`, `0e1`; no control characters in strings; 0xFF resets (guest-sync-delimited in the
//! QGA schema).

use super::text::plain_prefix;
use core::ops::Range;

/// What a token is, by its first byte. Those from [`Token::Colon`] on mean nothing to who looks for
/// a text's end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
#[repr(u8)]
pub enum Token {
    /// `{`
    ObjectOpen,
    /// `}`
    ObjectClose,
    /// `[`
    ArrayOpen,
    /// `]`
    ArrayClose,
    /// `,`
    Comma,
    /// A quoted string, quotes included.
    String,
    /// `:`
    Colon,
    /// A number.
    Number,
    /// A run of small letters; only `true`, `false` and `null` mean something.
    Keyword,
}

/// What the lexer came upon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// The input ends here, possibly inside a token.
    End,
    /// A whole token, from [`Lexer::start`] to the position reached.
    Token(Token),
    /// Bytes that are no token, from [`Lexer::start`] to the position reached, the offending one
    /// included.
    Stray,
    /// A 0xFF.
    Sentinel,
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum LexerState {
    Between = 0,
    DoubleQuoted,
    DoubleQuotedEscape,
    SingleQuoted,
    SingleQuotedEscape,
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
    Keyword,
}

/// Where a byte leads.
enum Go {
    /// On, within the token.
    To(LexerState),
    /// The token ends before this byte.
    Before(Token),
    /// The byte cannot stand here.
    Stray,
}

/// The lexer's state between two pieces of input. All zero when new.
pub struct Lexer {
    state: LexerState,
    /// Where the present token, or the last one found, begins.
    pub start: usize,
    /// Whether it has anything in it, if a string, that is not plain: see [`plain_prefix`].
    pub special: bool,
}

impl Lexer {
    /// A lexer at the beginning of a text.
    pub const fn new() -> Self {
        Lexer { state: LexerState::Between, start: 0, special: false }
    }

    /// Whether a token has begun and not ended.
    pub fn inside(&self) -> bool {
        self.state != LexerState::Between
    }

    /// Forgets the present token.
    pub fn reset(&mut self) {
        self.state = LexerState::Between;
    }

    /// Reads `bytes` from `at` on to the end of the next token. `at` moves past what was used.
    pub fn next(&mut self, bytes: &[u8], at: &mut usize) -> Found {
        loop {
            let quote = self.quote();
            if let Some(quote) = quote {
                *at += plain_prefix(bytes.get(*at..).unwrap_or(&[]), quote);
            }
            let Some(&byte) = bytes.get(*at) else { return Found::End };
            let state = core::mem::replace(&mut self.state, LexerState::Between);
            if quote == Some(byte) {
                *at += 1;
                return Found::Token(Token::String);
            }
            if byte == 0xFF {
                *at += 1;
                return Found::Sentinel;
            }
            let go = if state == LexerState::Between {
                self.start = *at;
                self.special = false;
                // Most tokens are one byte long.
                let token = match byte {
                    b'{' => Token::ObjectOpen,
                    b'}' => Token::ObjectClose,
                    b'[' => Token::ArrayOpen,
                    b']' => Token::ArrayClose,
                    b':' => Token::Colon,
                    b',' => Token::Comma,
                    _ => {
                        *at += 1;
                        match begin(byte) {
                            Some(state) => {
                                self.state = state;
                                continue;
                            }
                            None => return Found::Stray,
                        }
                    }
                };
                *at += 1;
                return Found::Token(token);
            } else {
                self.special |= quote.is_some();
                on(state, byte)
            };
            if !matches!(go, Go::Before(_)) {
                *at += 1;
            }
            match go {
                Go::To(state) => self.state = state,
                Go::Before(token) => return Found::Token(token),
                Go::Stray => return Found::Stray,
            }
        }
    }

    /// The last token of a text that has ended: a number or keyword needs no byte after it then.
    pub fn finish(&mut self) -> Option<Token> {
        let go = on(self.state, b' ');
        self.reset();
        match go {
            Go::Before(token) => Some(token),
            _ => None,
        }
    }

    fn quote(&self) -> Option<u8> {
        match self.state {
            LexerState::DoubleQuoted => Some(b'"'),
            LexerState::SingleQuoted => Some(b'\''),
            _ => None,
        }
    }
}

impl Default for Lexer {
    fn default() -> Self {
        Lexer::new()
    }
}

/// Where the next value of a checked text is, commas and colons skipped; an empty place at the end
/// of an array or object.
pub fn next_value(text: &[u8]) -> Range<usize> {
    let (mut lexer, mut at) = (Lexer::new(), 0);
    let (mut depth, mut start) = (0u32, None);
    loop {
        match lexer.next(text, &mut at) {
            Found::Token(Token::Comma | Token::Colon) => continue,
            Found::Token(Token::ObjectOpen | Token::ArrayOpen) => depth += 1,
            Found::Token(Token::ObjectClose | Token::ArrayClose) if depth > 0 => depth -= 1,
            Found::Token(Token::String | Token::Number | Token::Keyword) => {}
            _ => return 0..0,
        }
        let start = *start.get_or_insert(lexer.start);
        if depth == 0 {
            return start..at;
        }
    }
}

/// Where a byte inside a token leads; a string's end quote is none.
#[inline(always)]
fn on(state: LexerState, byte: u8) -> Go {
    use LexerState as S;
    match (state, byte) {
        (S::DoubleQuoted, b'\\') => Go::To(S::DoubleQuotedEscape),
        (S::SingleQuoted, b'\\') => Go::To(S::SingleQuotedEscape),
        (S::DoubleQuoted | S::DoubleQuotedEscape, 0x20..=0xFD) => Go::To(S::DoubleQuoted),
        (S::SingleQuoted | S::SingleQuotedEscape, 0x20..=0xFD) => Go::To(S::SingleQuoted),
        (S::Minus, b'0') => Go::To(S::Zero),
        (S::Minus, b'1'..=b'9') | (S::Integer, b'0'..=b'9') => Go::To(S::Integer),
        (S::Zero | S::Integer, b'.') => Go::To(S::Point),
        (S::Point | S::Fraction, b'0'..=b'9') => Go::To(S::Fraction),
        (S::Integer | S::Fraction, b'e' | b'E') => Go::To(S::Exponent),
        (S::Exponent, b'+' | b'-') => Go::To(S::ExponentSign),
        (S::Exponent | S::ExponentSign | S::ExponentDigits, b'0'..=b'9') => {
            Go::To(S::ExponentDigits)
        }
        (S::Zero, b'0'..=b'9') => Go::Stray,
        (S::Zero | S::Integer | S::Fraction | S::ExponentDigits, _) => Go::Before(Token::Number),
        (S::Keyword, b'a'..=b'z') => Go::To(S::Keyword),
        (S::Keyword, _) => Go::Before(Token::Keyword),
        _ => Go::Stray,
    }
}

/// Where the first byte of a token leads.
fn begin(byte: u8) -> Option<LexerState> {
    Some(match byte {
        b' ' | b'\t' | b'\r' | b'\n' => LexerState::Between,
        b'"' => LexerState::DoubleQuoted,
        b'\'' => LexerState::SingleQuoted,
        b'-' => LexerState::Minus,
        b'0' => LexerState::Zero,
        b'1'..=b'9' => LexerState::Integer,
        b'a'..=b'z' => LexerState::Keyword,
        _ => return None,
    })
}
