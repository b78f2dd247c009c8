//! Why each kind of call can fail: the ERRORS sections of the man pages of the system calls behind
//! it, in sections 2 and 3, and what filesystems give besides (EIO, EUCLEAN, ESTALE).
//!
//! What would say something untrue about the guest is not here, because a kernel does not say it:
//! that there is no mark (ENOENT of open(2)) while there is one, that a frozen filesystem is not
//! frozen (EINVAL, EOPNOTSUPP, ENOTTY of FITHAW), that a mount point is gone. Those come from the
//! guest's state, when they are true.

use crate::kind::Kind;
use qga_core::Errno;
use qga_core::Errno as E;

/// open(2)
#[rustfmt::skip]
const OPEN: &[E] = &[
    E::ACCES, E::BUSY, E::DQUOT, E::EXIST, E::FBIG, E::INTR, E::INVAL, E::IO, E::ISDIR, E::LOOP,
    E::MFILE, E::NAMETOOLONG, E::NFILE, E::NODEV, E::NOENT, E::NOMEM, E::NOSPC, E::NOTDIR,
    E::NXIO, E::OPNOTSUPP, E::OVERFLOW, E::PERM, E::ROFS, E::TXTBSY, E::AGAIN, E::STALE,
];

/// write(2)
#[rustfmt::skip]
const WRITE: &[E] = &[
    E::AGAIN, E::BADF, E::DQUOT, E::FAULT, E::FBIG, E::INTR, E::INVAL, E::IO, E::NOMEM, E::NOSPC,
    E::PERM, E::PIPE, E::ROFS, E::STALE,
];

/// open(2), read(2) of the state file, which exists or does not: no ENOENT here
#[rustfmt::skip]
const LOAD_STATE: &[E] = &[
    E::ACCES, E::AGAIN, E::INTR, E::IO, E::ISDIR, E::LOOP, E::MFILE, E::NFILE, E::NOMEM, E::PERM,
    E::STALE, E::OVERFLOW,
];

/// open(2), write(2), rename(2)
#[rustfmt::skip]
const SAVE_STATE: &[E] = &[
    E::ACCES, E::BUSY, E::DQUOT, E::EXIST, E::FBIG, E::INTR, E::IO, E::ISDIR, E::LOOP, E::MFILE,
    E::NFILE, E::NOENT, E::NOMEM, E::NOSPC, E::NOTDIR, E::PERM, E::ROFS, E::AGAIN,
];

/// open(2) of a folder
#[rustfmt::skip]
const OPEN_MOUNT: &[E] = &[
    E::ACCES, E::INTR, E::IO, E::LOOP, E::MFILE, E::NAMETOOLONG, E::NFILE, E::NOMEM, E::OVERFLOW,
    E::PERM, E::STALE,
];

/// ioctl(2), FIFREEZE: EBUSY and EOPNOTSUPP leave the filesystem as it is, as all the others do
#[rustfmt::skip]
const FREEZE: &[E] = &[
    E::BADF, E::BUSY, E::INTR, E::IO, E::NOMEM, E::NOSPC, E::NOTTY, E::OPNOTSUPP, E::PERM, E::ROFS,
    E::UCLEAN,
];

/// open(2) of a new file
#[rustfmt::skip]
const CREATE_MARK: &[E] = &[
    E::ACCES, E::DQUOT, E::EXIST, E::INTR, E::IO, E::ISDIR, E::LOOP, E::MFILE, E::NFILE, E::NOENT,
    E::NOMEM, E::NOSPC, E::NOTDIR, E::PERM, E::ROFS,
];

/// rename(2)
#[rustfmt::skip]
const PUBLISH_MARK: &[E] = &[
    E::ACCES, E::BUSY, E::DQUOT, E::EXIST, E::IO, E::ISDIR, E::NOENT, E::NOMEM, E::NOSPC, E::PERM,
    E::ROFS,
];

/// fork(2), execve(2), waitpid(2)
#[rustfmt::skip]
const START_PROGRAM: &[E] = &[
    E::ACCES, E::AGAIN, E::CHILD, E::FAULT, E::INVAL, E::IO, E::ISDIR, E::LOOP, E::MFILE, E::NFILE,
    E::NOENT, E::NOEXEC, E::NOMEM, E::NOSYS, E::NOTDIR, E::PERM, E::TOOBIG, E::TXTBSY,
];

/// mount(2)
#[rustfmt::skip]
const REMOUNT_READ_ONLY: &[E] = &[
    E::ACCES, E::BUSY, E::FAULT, E::INVAL, E::IO, E::LOOP, E::NOENT, E::NOMEM, E::NOTDIR, E::PERM,
    E::ROFS,
];

impl Kind {
    /// Why a call of this kind can fail; nothing for one that cannot.
    #[rustfmt::skip]
    pub const fn errnos(self) -> &'static [Errno] {
        match self {
            Kind::Now | Kind::Log | Kind::HookOutput | Kind::EndHook | Kind::ProgramExit | Kind::ProgramOutput | Kind::IsScript
            | Kind::IsInit | Kind::HoldInit | Kind::SignalAll | Kind::ProcessesRemain | Kind::Sync | Kind::Kept => &[],
            Kind::Wall | Kind::SetWall | Kind::Rtc | Kind::SetRtc => self.errnos_of_clocks(),
            Kind::Open => OPEN,
            // close(2)
            Kind::Close => &[E::BADF, E::INTR, E::IO, E::NOSPC, E::DQUOT],
            // read(2)
            Kind::Read => &[E::AGAIN, E::BADF, E::FAULT, E::INTR, E::INVAL, E::IO, E::ISDIR, E::NOMEM, E::STALE],
            Kind::Write => WRITE,
            // fsync(2)
            Kind::Flush => &[E::BADF, E::INTR, E::IO, E::NOSPC, E::ROFS, E::INVAL, E::DQUOT],
            // lseek(2)
            Kind::Seek => &[E::BADF, E::INVAL, E::NXIO, E::OVERFLOW, E::SPIPE],
            Kind::LoadState => LOAD_STATE,
            Kind::SaveState => SAVE_STATE,
            // open(2) of /proc/self/mountinfo
            Kind::Mounts => &[E::ACCES, E::INTR, E::IO, E::MFILE, E::NFILE, E::NOENT, E::NOMEM, E::PERM],
            Kind::ReadTable => &[E::AGAIN, E::FAULT, E::INTR, E::INVAL, E::IO, E::NOMEM],
            // stat(2)
            Kind::Inspect => &[E::ACCES, E::IO, E::LOOP, E::NAMETOOLONG, E::NOMEM, E::OVERFLOW, E::STALE],
            // fstat(2)
            // fork(2), socketpair(2)
            Kind::Work => &[E::AGAIN, E::NOMEM, E::MFILE, E::NFILE, E::NOSYS],
            // open(2), read(2), ioctl(2): nobody hears why
            Kind::Below => &[E::NOENT],
            Kind::InspectOpen => &[E::BADF, E::IO, E::NOMEM, E::OVERFLOW, E::STALE],
            Kind::OpenMount => OPEN_MOUNT,
            Kind::Freeze => FREEZE,
            // ioctl(2), FITHAW
            Kind::Thaw => &[E::BADF, E::INTR, E::IO, E::NOMEM, E::PERM, E::UCLEAN],
            Kind::CreateMark => CREATE_MARK,
            Kind::PublishMark => PUBLISH_MARK,
            // ENOTDIR would say, as ENOENT, that there is none
            Kind::OpenMark => &[E::ACCES, E::INTR, E::IO, E::LOOP, E::MFILE, E::NFILE, E::NOMEM, E::PERM],
            // unlink(2)
            Kind::RemoveMark => &[E::ACCES, E::BUSY, E::IO, E::NOMEM, E::PERM, E::ROFS],
            Kind::ReadMark => &[E::AGAIN, E::FAULT, E::INTR, E::IO, E::NOMEM],
            Kind::WriteMark => &[E::AGAIN, E::DQUOT, E::FAULT, E::FBIG, E::INTR, E::IO, E::NOMEM, E::NOSPC, E::PERM],
            Kind::SeekMark => &[E::BADF, E::INVAL, E::OVERFLOW],
            Kind::BootId => &[E::ACCES, E::INTR, E::IO, E::MFILE, E::NFILE, E::NOENT, E::NOMEM],
            Kind::StartProgram | Kind::StartHook => START_PROGRAM,
            // wait4(2)
            Kind::WaitForHook => &[E::CHILD],
            // open(2), readlink(2) in /proc
            Kind::About => &[E::ACCES, E::IO, E::MFILE, E::NFILE, E::NOENT, E::NOMEM, E::PERM],
            // kill(2)
            Kind::SignalInit => &[E::INVAL, E::PERM, E::SRCH, E::OPNOTSUPP],
            // capget(2)
            Kind::MayReboot => &[E::PERM, E::INVAL, E::FAULT],
            // umount(2)
            Kind::Unmount => &[E::AGAIN, E::BUSY, E::FAULT, E::INVAL, E::NOENT, E::NOMEM, E::PERM],
            Kind::RemountReadOnly => REMOUNT_READ_ONLY,
            Kind::Text | Kind::ReadText | Kind::Folder | Kind::NextName => self.errnos_of_texts(),
            Kind::BeginTask | Kind::PutMade | Kind::Usage | Kind::Link | Kind::Health => self.errnos_of_disks(),
            Kind::SetText | Kind::OpenTrim | Kind::Trim | Kind::RunProgram | Kind::BecomeUser | Kind::Parent
            | Kind::MakeFolder | Kind::Old | Kind::ReadOld | Kind::Draft | Kind::WriteDraft | Kind::Publish
            | Kind::RemoveFile | Kind::LockUsers | Kind::LockFile => self.errnos_of_errands(),
            // uname(2)
            Kind::Name => &[E::FAULT, E::OPNOTSUPP],
            Kind::Links | Kind::Addresses | Kind::NextLink | Kind::NextAddress => self.errnos_of_links(),
            Kind::Nothing | Kind::Memory | Kind::Pipe | Kind::Enlarge | Kind::PutIntoPipe | Kind::PutIntoMemory
            | Kind::Watch | Kind::Spawn | Kind::Execute | Kind::Report | Kind::Keep | Kind::Discard | Kind::Forget | Kind::Kill => self.errnos_of_programs(),
            // reboot(2)
            Kind::Reboot => &[E::FAULT, E::INVAL, E::PERM],
        }
    }

    /// Those of texts and folders.
    #[rustfmt::skip]
    const fn errnos_of_texts(self) -> &'static [E] {
        match self {
            // open(2) of files below /proc, /sys, /etc
            Kind::Text => &[E::ACCES, E::INTR, E::IO, E::LOOP, E::MFILE, E::NFILE, E::NOENT, E::NOMEM, E::PERM],
            Kind::ReadText => &[E::AGAIN, E::FAULT, E::INTR, E::INVAL, E::IO, E::ISDIR, E::NOMEM],
            // open(2), getdents64(2)
            Kind::Folder => &[E::ACCES, E::IO, E::MFILE, E::NFILE, E::NOENT, E::NOMEM, E::NOTDIR],
            Kind::NextName => &[E::IO, E::NOENT],
            _ => &[],
        }
    }

    /// Those of what copies of the agent change.
    const fn errnos_of_errands(self) -> &'static [E] {
        match self {
            // open(2), write(2) below /sys
            Kind::SetText => &[
                E::ACCES,
                E::BUSY,
                E::INVAL,
                E::IO,
                E::MFILE,
                E::NOENT,
                E::NOMEM,
                E::PERM,
                E::ROFS,
            ],
            // open(2) of a folder
            Kind::OpenTrim => OPEN_MOUNT,
            // ioctl(2), FITRIM
            Kind::Trim => {
                &[E::INTR, E::INVAL, E::IO, E::NOMEM, E::NOTTY, E::OPNOTSUPP, E::PERM, E::ROFS]
            }
            // memfd_create(2), fork(2), access(2): ENOENT when there is no such program
            Kind::RunProgram => &[E::ACCES, E::AGAIN, E::MFILE, E::NFILE, E::NOENT, E::NOMEM],
            // setgroups(2), setresgid(2), setresuid(2)
            Kind::BecomeUser => &[E::AGAIN, E::INVAL, E::NOMEM, E::PERM],
            // open(2), openat2(2)
            Kind::Parent | Kind::Old => &[
                E::ACCES,
                E::IO,
                E::LOOP,
                E::MFILE,
                E::NFILE,
                E::NOMEM,
                E::PERM,
                E::STALE,
                E::XDEV,
            ],
            // mkdirat(2)
            Kind::MakeFolder => {
                &[E::ACCES, E::DQUOT, E::EXIST, E::IO, E::NOMEM, E::NOSPC, E::PERM, E::ROFS]
            }
            Kind::ReadOld => &[E::INTR, E::IO, E::NOMEM, E::STALE],
            Kind::Draft => CREATE_MARK,
            Kind::WriteDraft => WRITE,
            Kind::Publish => PUBLISH_MARK,
            // unlinkat(2)
            Kind::RemoveFile => &[E::ACCES, E::BUSY, E::IO, E::NOENT, E::NOMEM, E::PERM, E::ROFS],
            // open(2), fcntl(2)
            Kind::LockUsers => &[E::ACCES, E::AGAIN, E::IO, E::MFILE, E::NOLCK, E::NOMEM, E::ROFS],
            // open(2), write(2), linkat(2)
            Kind::LockFile => {
                &[E::ACCES, E::DQUOT, E::EXIST, E::IO, E::MLINK, E::NOSPC, E::PERM, E::ROFS]
            }
            _ => &[],
        }
    }

    /// Those of interfaces and their addresses.
    const fn errnos_of_links(self) -> &'static [E] {
        match self {
            // socket(2), send(2)
            Kind::Links | Kind::Addresses => {
                &[E::AFNOSUPPORT, E::MFILE, E::NFILE, E::NOBUFS, E::NOMEM, E::PERM]
            }
            // recv(2), NLM_F_DUMP_INTR
            _ => &[E::AGAIN, E::INTR, E::NOBUFS, E::NOMEM],
        }
    }

    /// Those of programs that clients start.
    const fn errnos_of_programs(self) -> &'static [E] {
        match self {
            // open(2) of /dev/null
            Kind::Nothing => {
                &[E::ACCES, E::INTR, E::IO, E::MFILE, E::NFILE, E::NODEV, E::NOENT, E::NOMEM]
            }
            // memfd_create(2)
            Kind::Memory => &[E::MFILE, E::NFILE, E::NOMEM],
            // pipe2(2)
            Kind::Pipe => &[E::MFILE, E::NFILE],
            // fcntl(2)
            Kind::Enlarge => &[E::BUSY, E::INVAL, E::NOMEM, E::PERM],
            Kind::Watch => &[E::BADF, E::INVAL, E::NOMEM, E::PERM],
            // write(2)
            Kind::PutIntoPipe => &[E::INTR, E::PIPE],
            Kind::PutIntoMemory => &[E::FBIG, E::INTR, E::NOMEM, E::NOSPC],
            // fork(2)
            Kind::Spawn => &[E::AGAIN, E::NOMEM, E::NOSYS],
            // execve(2)
            Kind::Execute => &[
                E::ACCES,
                E::FAULT,
                E::INVAL,
                E::IO,
                E::ISDIR,
                E::LOOP,
                E::MFILE,
                E::NAMETOOLONG,
                E::NFILE,
                E::NOENT,
                E::NOEXEC,
                E::NOMEM,
                E::NOTDIR,
                E::PERM,
                E::TOOBIG,
                E::TXTBSY,
            ],
            // read(2)
            Kind::Report => &[E::AGAIN, E::IO],
            Kind::Discard => &[E::AGAIN, E::INTR, E::IO],
            // fallocate(2)
            Kind::Forget => &[E::INTR, E::NOMEM, E::NOSYS, E::OPNOTSUPP, E::PERM],
            // kill(2)
            Kind::Kill => &[E::PERM, E::SRCH],
            // splice(2)
            Kind::Keep => &[E::AGAIN, E::INTR, E::IO, E::NOMEM, E::NOSPC, E::NOSYS],
            _ => &[],
        }
    }

    /// Those of the time of day and the hardware clock.
    #[rustfmt::skip]
    const fn errnos_of_clocks(self) -> &'static [E] {
        match self {
            // clock_gettime(2)
            Kind::Wall => &[E::INVAL, E::NODEV, E::PERM, E::NOSYS, E::OPNOTSUPP],
            // clock_settime(2)
            Kind::SetWall => &[E::INVAL, E::PERM, E::NOSYS],
            // open(2), ioctl(2) of rtc(4)
            _ => &[E::ACCES, E::BUSY, E::INVAL, E::IO, E::MFILE, E::NFILE, E::NODEV, E::NOENT, E::NXIO, E::PERM],
        }
    }

    /// Those of copies of the agent, and of disks.
    const fn errnos_of_disks(self) -> &'static [E] {
        match self {
            // memfd_create(2), fork(2)
            Kind::BeginTask => &[E::AGAIN, E::MFILE, E::NFILE, E::NOMEM, E::NOSYS],
            // write(2) into memory
            Kind::PutMade => &[E::NOMEM, E::NOSPC],
            // statfs(2)
            Kind::Usage => {
                &[E::ACCES, E::IO, E::LOOP, E::NAMETOOLONG, E::NOENT, E::NOMEM, E::NOTDIR]
            }
            // readlink(2)
            Kind::Link => &[E::ACCES, E::INVAL, E::IO, E::LOOP, E::NOENT, E::NOMEM, E::NOTDIR],
            // open(2), ioctl(2)
            Kind::Health => &[E::ACCES, E::IO, E::MFILE, E::NOENT, E::NOTTY, E::PERM],
            _ => &[],
        }
    }
}
