//! Values that one processor uses without locks: a static's content in, exclusive access for the
//! length of a closure out, and nothing instead of a second access inside the first.

use core::cell::{Cell, UnsafeCell};

/// A value for a machine in which one processor runs and no code runs in interrupts.
pub struct Single<T> {
    taken: Cell<bool>,
    value: UnsafeCell<T>,
}

// SAFETY: the guest starts no second processor, and its interrupt handlers touch no memory but
// their own stack frame (see `arch::interrupts`), so there is nobody to share with. On a host,
// where the tests have threads, nothing of this type is static.
unsafe impl<T> Sync for Single<T> {}

impl<T> Single<T> {
    /// Wraps a value. All zero when the value is.
    pub const fn new(value: T) -> Self {
        Single { taken: Cell::new(false), value: UnsafeCell::new(value) }
    }

    /// Calls `run` with the value, or not at all while an earlier call has not returned.
    pub fn with<R>(&self, run: impl FnOnce(&mut T) -> R) -> Option<R> {
        if self.taken.replace(true) {
            return None;
        }
        // SAFETY: `taken` keeps a second reference from being made while this one lives.
        let result = run(unsafe { &mut *self.value.get() });
        self.taken.set(false);
        Some(result)
    }

    /// Gives the value away for good; nothing the second time.
    #[expect(clippy::mut_from_ref, reason = "exclusive by `taken`, as a lock's is")]
    pub fn take(&'static self) -> Option<&'static mut T> {
        match self.taken.replace(true) {
            true => None,
            // SAFETY: `taken` stays set, so no other reference is ever made.
            false => Some(unsafe { &mut *self.value.get() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_lent_once_at_a_time() {
        let value = Single::new(1);
        let outcome = value.with(|inner| {
            *inner += 1;
            value.with(|_| ()).is_none()
        });
        assert_eq!((outcome, value.with(|inner| *inner)), (Some(true), Some(2)));
        let forever: &'static Single<i32> = Box::leak(Box::new(Single::new(3)));
        assert_eq!(forever.take().copied(), Some(3));
        assert!(forever.take().is_none() && forever.with(|_| ()).is_none());
    }
}
