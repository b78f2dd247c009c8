//! The window: what a response has written goes in, what the channel takes goes out, from the
//! front.

use crate::limits::WINDOW_KEEP_BYTES;
use crate::writer::Writer;

/// The bytes that wait for the channel.
///
/// ```text
///  | sent |  pending  |    free    |
///  0     sent        len           N
/// ```
#[repr(C)]
pub struct Window<const N: usize> {
    sent: usize,
    len: usize,
    bytes: [u8; N],
}

impl<const N: usize> Window<N> {
    /// An empty window.
    pub const fn new() -> Self {
        Window { sent: 0, len: 0, bytes: [0; N] }
    }

    /// What the channel must take.
    pub fn pending(&self) -> &[u8] {
        self.bytes.get(self.sent..self.len).unwrap_or(&[])
    }

    /// The channel took the first `len` bytes of it.
    #[inline(never)]
    pub fn sent(&mut self, len: usize) {
        self.sent = (self.sent + len).min(self.len);
        if self.sent == self.len {
            self.clear();
        }
    }

    /// Drops what is pending.
    pub fn clear(&mut self) {
        self.sent = 0;
        self.len = 0;
    }

    /// Makes zero what the channel took.
    pub fn wipe(&mut self) {
        crate::bulk::wipe(&mut self.bytes);
    }

    /// What an ordinary reply does not reach; nothing while bytes are pending.
    pub fn spare(&mut self) -> Option<&mut [u8]> {
        if self.len == 0 { self.bytes.get_mut(WINDOW_KEEP_BYTES..) } else { None }
    }

    /// A writer after what is pending. [`Window::keep`] what it wrote.
    pub fn writer(&mut self) -> Writer<'_> {
        Writer::after(&mut self.bytes, self.len)
    }

    /// Takes over what a writer wrote, up to its length.
    pub fn keep(&mut self, len: usize) {
        self.len = len.min(N);
    }
}

impl<const N: usize> Default for Window<N> {
    fn default() -> Self {
        Window::new()
    }
}
