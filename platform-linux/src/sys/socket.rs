//! Sockets: unix(7) ones that clients connect to, and the pair by which a worker tells the agent
//! what it does. A path or a value comes in, descriptors and values go out.

use super::process::{Fork, fork};
use super::{call, call_fd, signal_when_readable};
use crate::fd::Fd;
use core::arch::asm;
use core::ffi::CStr;
use linux_raw_sys::general as raw;
use qga_core::Errno;

/// A unix stream socket, not inherited, that never waits (socket(2)).
pub fn unix_socket() -> Result<Fd, Errno> {
    // SOCK_STREAM; SOCK_CLOEXEC and SOCK_NONBLOCK are the flags of open(2) by definition
    // (socket(2)).
    let kind = 1 | raw::O_CLOEXEC | raw::O_NONBLOCK;
    // SAFETY: no memory is involved.
    unsafe { call_fd(raw::__NR_socket, AF_UNIX as usize, kind as usize, 0, 0) }
}

const AF_UNIX: u16 = 1;

/// A socket for lists of interfaces and addresses, not inherited, that never waits (netlink(7)).
/// Each list is as narrow as it was asked for, where the kernel (since 4.20) can do that
/// (NETLINK_GET_STRICT_CHK).
pub fn netlink() -> Result<Fd, Errno> {
    const AF_NETLINK: usize = 16;
    const NETLINK_ROUTE: usize = 0;
    const SOL_NETLINK: usize = 270;
    const NETLINK_GET_STRICT_CHK: usize = 12;
    // SOCK_RAW, and flags as above.
    let kind = 3 | raw::O_CLOEXEC | raw::O_NONBLOCK;
    // SAFETY: no memory is involved.
    let socket = unsafe { call_fd(raw::__NR_socket, AF_NETLINK, kind as usize, NETLINK_ROUTE, 0) }?;
    let on = 1i32;
    let number = socket.raw() as usize;
    // SAFETY: the kernel's calling convention, as in `call`; it reads a number that lives until the
    // call returns.
    unsafe {
        asm!("syscall", inlateout("rax") raw::__NR_setsockopt as isize => _, in("rdi") number,
            in("rsi") SOL_NETLINK, in("rdx") NETLINK_GET_STRICT_CHK, in("r10") &raw const on,
            in("r8") size_of::<i32>(), lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    Ok(socket)
}

/// `struct sockaddr_un` of unix(7).
#[repr(C)]
pub struct Address {
    family: u16,
    path: [u8; 108],
}

impl Address {
    /// That of no path yet. No constant, which would stand in the file with all its zeros.
    pub fn unset() -> Self {
        Address { family: AF_UNIX, path: [0; 108] }
    }

    /// Becomes that of a path. Errors: ENAMETOOLONG above 107 bytes.
    pub fn set(&mut self, path: &CStr) -> Result<(), Errno> {
        let bytes = path.to_bytes();
        if bytes.len() >= self.path.len() {
            return Err(Errno::NAMETOOLONG);
        }
        for (place, &byte) in self.path.iter_mut().zip(bytes) {
            *place = byte;
        }
        Ok(())
    }
}

/// Connects a unix socket (connect(2)). Errors: ECONNREFUSED when nobody listens there, EAGAIN when
/// others wait.
pub fn connect(socket: &Fd, address: &Address) -> Result<(), Errno> {
    name_socket(raw::__NR_connect, socket, address)
}

/// Gives a unix socket its path and lets clients connect, of which `backlog` may wait (bind(2),
/// listen(2)). Errors: EADDRINUSE, those of open(2).
pub fn listen_at(socket: &Fd, address: &Address, backlog: u32) -> Result<(), Errno> {
    name_socket(raw::__NR_bind, socket, address)?;
    // SAFETY: no memory is involved.
    unsafe { call(raw::__NR_listen, socket.raw() as usize, backlog as usize, 0, 0) }.map(drop)
}

fn name_socket(number: u32, socket: &Fd, address: &Address) -> Result<(), Errno> {
    let (fd, pointer) = (socket.raw() as usize, &raw const *address as usize);
    // SAFETY: both calls only read the address, which lives until the call returns.
    unsafe { call(number, fd, pointer, size_of::<Address>(), 0) }.map(drop)
}

/// The user whose process is at the other end of a connection (SO_PEERCRED of unix(7)); nobody's
/// number if that cannot be told.
pub fn peer(connection: &Fd) -> u32 {
    const SOL_SOCKET: usize = 1;
    const SO_PEERCRED: usize = 17;
    const NOBODY: u32 = u32::MAX;
    // `struct ucred`: process, user, group.
    let mut ids = [0, NOBODY, NOBODY];
    let mut len = size_of_val(&ids) as u32;
    // SAFETY: the kernel's calling convention, as in `call`; the kernel writes at most `len` bytes
    // there.
    unsafe {
        asm!("syscall", inlateout("rax") raw::__NR_getsockopt as isize => _,
            in("rdi") connection.raw() as usize, in("rsi") SOL_SOCKET, in("rdx") SO_PEERCRED,
            in("r10") &raw mut ids, in("r8") &raw mut len, lateout("rcx") _, lateout("r11") _,
            options(nostack));
    }
    let [_, user, _] = ids;
    user
}

/// The next connection of a socket, not inherited, that never waits (accept4(2)).
pub fn accept(listener: &Fd) -> Result<Fd, Errno> {
    let flags = (raw::O_CLOEXEC | raw::O_NONBLOCK) as usize;
    // SAFETY: a null pointer asks for no address.
    unsafe { call_fd(raw::__NR_accept4, listener.raw() as usize, 0, 0, flags) }
}

/// Makes a copy of this process (fork(2)), and a socket between the two that keeps messages apart.
/// Each gets its end and whether it is the copy, which must end by [`super::exit`]. The old one
/// gets SIGIO when something comes.
#[inline(never)]
pub fn fork_with_socket() -> Result<(Fd, bool), Errno> {
    let (ours, copys) = socket_pair()?;
    signal_when_readable(&ours)?;
    // SAFETY: both callers see to it that the child ends by exit.
    match unsafe { fork() }? {
        Fork::Parent(_) => Ok((ours, false)),
        Fork::Child => Ok((copys, true)),
    }
}

/// Two ends of a socket that keeps messages apart, not inherited (socketpair(2)).
fn socket_pair() -> Result<(Fd, Fd), Errno> {
    const SOCK_SEQPACKET: u32 = 5;
    let kind = SOCK_SEQPACKET | raw::O_CLOEXEC;
    let mut ends = [0i32; 2];
    let pointer = &raw mut ends as usize;
    // SAFETY: the kernel writes two numbers into a variable that lives until the call returns.
    unsafe { call(raw::__NR_socketpair, AF_UNIX as usize, kind as usize, 0, pointer) }?;
    let [one, other] = ends;
    // SAFETY: the call made both, for nobody else. Descriptors are not negative, and the compiler
    // is to see that.
    Ok(unsafe { (Fd::from_raw(one & 0x7FFF_FFFF), Fd::from_raw(other & 0x7FFF_FFFF)) })
}

/// Lets the other end send nothing more; what it has sent can still be received (shutdown(2),
/// SHUT_RD).
pub fn stop_receiving(socket: &Fd) {
    // SAFETY: no memory is involved.
    let _ = unsafe { call(raw::__NR_shutdown, socket.raw() as usize, 0, 0, 0) };
}

/// `struct msghdr` of recvmsg(2) with one `struct iovec`, and the control message of unix(7) that
/// hands one descriptor over.
#[repr(C)]
struct Message {
    name: usize,
    name_bytes: usize,
    parts: usize,
    parts_count: usize,
    control: usize,
    control_bytes: usize,
    flags: usize,
    part: [usize; 2],
    right_bytes: usize,
    right_kind: [u32; 2],
    right: [i32; 2],
}

/// Passes a value of `part`, an address and its bytes, between two processes of this program. With
/// `control_bytes` a descriptor goes with it: the number in `right`, and what came stands there
/// afterwards.
///
/// # Safety
/// The value is there, and may be read or written as the call does.
#[inline(never)]
unsafe fn pass(
    number: u32,
    socket: &Fd,
    flags: u32,
    part: [usize; 2],
    control_bytes: usize,
    right: &mut i32,
) -> Result<u32, Errno> {
    const SOL_SOCKET: u32 = 1;
    const SCM_RIGHTS: u32 = 1;
    let mut message = Message {
        name: 0,
        name_bytes: 0,
        parts: 0,
        parts_count: 1,
        control: 0,
        control_bytes,
        flags: 0,
        part,
        right_bytes: 20,
        right_kind: [SOL_SOCKET, SCM_RIGHTS],
        right: [*right, 0],
    };
    message.parts = &raw mut message.part as usize;
    message.control = &raw mut message.right_bytes as usize;
    // SAFETY: the message and what it points to lives until the call returns.
    let len = unsafe {
        call(number, socket.raw() as usize, &raw mut message as usize, flags as usize, 0)
    };
    [*right, _] = message.right;
    len
}

/// The room that a descriptor takes in a [`Message`].
const RIGHT_BYTES: usize = 24;

/// Sends a value of plain numbers to another process of this program, and a descriptor
/// (sendmsg(2)).
pub fn send_with<T: Copy>(socket: &Fd, value: &T, fd: Option<&Fd>) -> Result<(), Errno> {
    let part = [&raw const *value as usize, size_of::<T>()];
    // SAFETY: the value lives until the call returns.
    unsafe { send_part(socket, part, fd) }
}

/// # Safety
/// The value of `part` is there.
#[inline(never)]
unsafe fn send_part(socket: &Fd, part: [usize; 2], fd: Option<&Fd>) -> Result<(), Errno> {
    let (control_bytes, mut right) = fd.map_or((0, -1), |fd| (RIGHT_BYTES, fd.raw()));
    // SAFETY: the kernel only reads the value.
    unsafe { pass(raw::__NR_sendmsg, socket, 0, part, control_bytes, &mut right) }.map(drop)
}

/// Receives what [`send_with`] has sent at the other end, of the same type, not inherited
/// (recvmsg(2)). Errors: EAGAIN for nothing yet; ECHILD when the other end is closed.
pub fn receive_with<T: Copy>(socket: &Fd, value: &mut T) -> Result<Option<Fd>, Errno> {
    let part = [&raw mut *value as usize, size_of::<T>()];
    // SAFETY: the kernel writes at most as many bytes as the value has: nothing, or all of a value
    // of that type, because the socket keeps messages apart.
    unsafe { receive_part(socket, part) }
}

/// # Safety
/// The value of `part` is there, and may be written.
#[inline(never)]
unsafe fn receive_part(socket: &Fd, part: [usize; 2]) -> Result<Option<Fd>, Errno> {
    const MSG_DONTWAIT: u32 = 0x40;
    const MSG_CMSG_CLOEXEC: u32 = 0x4000_0000;
    let flags = MSG_DONTWAIT | MSG_CMSG_CLOEXEC;
    let mut right = -1;
    // SAFETY: passed on.
    let len = unsafe { pass(raw::__NR_recvmsg, socket, flags, part, RIGHT_BYTES, &mut right) }?;
    if len == 0 {
        return Err(Errno::CHILD);
    }
    // SAFETY: where the kernel has put a descriptor it is this process's own, and nobody else knows
    // it.
    Ok((right >= 0).then(|| unsafe { Fd::from_raw(right & 0x7FFF_FFFF) }))
}
