//! What the framer finds.

/// What the framer found in the bytes received so far; where, says [`super::Framer::place`].
/// The numbered first variant makes what holds one all zero when new.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Scan {
    /// Nothing whole; more bytes are needed.
    More = 0,
    /// A whole JSON text.
    Frame,
    /// A malformed request.
    Bad(Fault),
    /// What may be a whole guest-sync inside a malformed request: to be answered by
    /// [`super::Framer::resume`] if it is one.
    Sync,
}

/// Why a request was refused before it was whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// These bytes are no token.
    Stray,
    /// More nesting than [`crate::limits::DEPTH_MAX`].
    TooDeep,
    /// It does not go on: a guest-sync begins in it.
    Unfinished,
    /// More bytes than the buffer holds, or may hold now ([`super::Framer::limit`]).
    TooLong,
}
