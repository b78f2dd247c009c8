//! The agent as a guest of its own: no Linux, no libc, no allocator. It boots, answers on the
//! virtio console's port or a serial line, sleeps while nothing is to do, and can end the machine.
//!
//! * [`run`]: from the hypervisor's entry to the agent's loop.
//! * [`arch`]: the machine: `x86_64` (q35, pc, microvm) or `aarch64` (virt), of which the rest sees
//!   the same.
//! * [`guest`]: the core's traits. [`files`]: a tree in memory. [`channel`]: where requests come
//!   from.
//! * [`virtio`]: the transports of the virtio console.
//!
//! ```sh
//! cargo build --release -p qga-baremetal
//! qemu-system-x86_64 -accel tcg -machine microvm -m 64 -nodefaults -display none \
//!     -kernel target/release/qga-baremetal \
//!     -chardev socket,id=qga0,path=/tmp/qga.sock,server=on,wait=off -device virtio-serial-device \
//!     -device virtserialport,chardev=qga0,name=org.qemu.guest_agent.0
//! ```
//!
//! On q35 the device is `virtio-serial-pci`. `-append qga.port=com1` chooses another line (see
//! [`channel`]); `-initrd` hands over files, in a cpio archive (see [`files::archive`]). For Arm:
//! `rustup target add aarch64-unknown-none`, then `--target aarch64-unknown-none` and
//! `qemu-system-aarch64 -machine virt -cpu cortex-a57`.

#![cfg_attr(not(test), no_std)]

#[cfg(target_arch = "aarch64")]
pub mod aarch64;
pub mod channel;
pub mod device_tree;
pub mod files;
pub mod guest;
pub mod run;
pub mod single;
pub mod virtio;
pub mod words;
#[cfg(target_arch = "x86_64")]
pub mod x86_64;

#[cfg(target_arch = "aarch64")]
pub use aarch64 as arch;
#[cfg(target_arch = "x86_64")]
pub use x86_64 as arch;

pub use run::entry;
