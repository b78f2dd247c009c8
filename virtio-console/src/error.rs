//! Why a console is of no use, in words and numbers.

use crate::queue::Broken;
use core::fmt;

/// What keeps a console from working. [`crate::Console::restart`] tries anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The device does not come out of its reset.
    Reset,
    /// A device of version 1 or later does not offer `VIRTIO_F_VERSION_1`.
    Version,
    /// The device does not accept the features that it offered.
    Features,
    /// The device has no queue of this number.
    NoQueue(u16),
    /// The transport could not tell the device where this queue is.
    QueueRefused(u16),
    /// The memory of this queue is too small for the size that the device insists on: it takes so
    /// many bytes.
    TooSmall {
        /// The queue's number.
        queue: u16,
        /// The bytes it takes, with one buffer.
        wanted_bytes: usize,
    },
    /// The device broke the rules on this queue.
    Broken {
        /// The queue's number.
        queue: u16,
        /// How.
        broken: Broken,
    },
    /// The name that is looked for is empty or longer than [`crate::control::NAME_BYTES_MAX`].
    Name,
}

impl Error {
    /// What is wrong, without the numbers: for whom formatting is too large.
    pub const fn text(&self) -> &'static str {
        match self {
            Error::Reset => "virtio console: the device stays in its reset",
            Error::Version => {
                "virtio console: the device lacks VIRTIO_F_VERSION_1; use its legacy interface"
            }
            Error::Features => {
                "virtio console: the device refuses what it offered; is it behind an IOMMU?"
            }
            Error::NoQueue(_) => "virtio console: the device lacks a queue",
            Error::QueueRefused(_) => {
                "virtio console: the device refuses a queue; does its memory lie too high?"
            }
            Error::TooSmall { .. } => "virtio console: too little memory for a queue",
            Error::Broken { broken: Broken::Jumped(_), .. } => {
                "virtio console: the device returned more buffers than it has; restart it"
            }
            Error::Broken { broken: Broken::NotPosted(_), .. } => {
                "virtio console: the device returned a buffer that it does not have; restart it"
            }
            Error::Broken { broken: Broken::TooLong(_), .. } => {
                "virtio console: the device wrote more than a buffer holds; restart it"
            }
            Error::Name => "virtio console: the port's name is empty or too long",
        }
    }

    /// The numbers that belong to it: the queue, and how many entries, bytes, or which buffer.
    pub const fn numbers(&self) -> (Option<u16>, Option<u64>) {
        match *self {
            Error::Reset | Error::Version | Error::Features | Error::Name => (None, None),
            Error::NoQueue(queue) | Error::QueueRefused(queue) => (Some(queue), None),
            Error::TooSmall { queue, wanted_bytes } => (Some(queue), Some(wanted_bytes as u64)),
            Error::Broken { queue, broken } => {
                let number = match broken {
                    Broken::Jumped(number) => number as u64,
                    Broken::NotPosted(number) | Broken::TooLong(number) => number as u64,
                };
                (Some(queue), Some(number))
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.text())?;
        match self.numbers() {
            (Some(queue), Some(number)) => write!(to, " (queue {queue}, {number})"),
            (Some(queue), None) => write!(to, " (queue {queue})"),
            _ => Ok(()),
        }
    }
}

impl core::error::Error for Error {}

impl embedded_io::Error for Error {
    fn kind(&self) -> embedded_io::ErrorKind {
        use embedded_io::ErrorKind;
        match self {
            Error::Reset => ErrorKind::TimedOut,
            Error::Version | Error::Features | Error::QueueRefused(_) => ErrorKind::Unsupported,
            Error::NoQueue(_) => ErrorKind::NotFound,
            Error::TooSmall { .. } => ErrorKind::OutOfMemory,
            Error::Broken { .. } => ErrorKind::InvalidData,
            Error::Name => ErrorKind::InvalidInput,
        }
    }
}
