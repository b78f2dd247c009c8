//! The guest's clocks.

/// Time, for deadlines and for numbers that must not repeat.
pub trait Clock {
    /// Milliseconds of a clock that never jumps; where it starts does not matter.
    fn now_ms(&mut self) -> u64;

    /// Milliseconds since 1970, as far as the guest knows.
    fn wall_ms(&mut self) -> u64;
}
