//! Every capacity of the core, each with its reason. Sizes that depend on the guest (the frame, the
//! window) are const parameters of [`crate::Agent`]; what they must satisfy is asserted there.

/// Deepest nesting of one request, the request's own object included. No QGA argument nests deeper
/// than three; the bound also makes "which bracket closes here" one bit a level in a single `u64`.
pub const DEPTH_MAX: usize = 64;

/// Most members in all the objects that are open at one point of a request. Needed to refuse
/// duplicate keys in constant memory and bounded time; QGA's largest argument object has five.
pub const MEMBERS_MAX: usize = 128;

/// Most files open at one time. Clients open one and close it; the bound is for those that forget
/// to.
pub const HANDLES_MAX: usize = 128;

/// First handle number that an agent without history gives out, as the reference agent does.
pub const HANDLE_FIRST: u64 = 1000;

/// Most filesystems frozen at one time, each with an open descriptor. Above it nothing is frozen at
/// all.
pub const FROZEN_MAX: usize = 512;

/// Most devices that are looked at below one filesystem, the disks of a RAID among them: files on
/// loop devices on files are rarely three deep. What lies deeper does not count.
pub const DEVICES_BELOW_MAX: usize = 64;

/// How long one filesystem may take to be found, frozen or thawed before it counts as hanging,
/// unless somebody says otherwise: writing back the dirty memory of a large guest to a slow disk is
/// not to be cut off.
pub const FREEZE_STEP_MS_MAX: u64 = 120_000;

/// How long a thaw waits for a freeze that it has ended to undo what it was about, before it goes
/// on without: a client is to be answered within 100 ms.
pub const LINGER_MS_MAX: u64 = 50;

/// How often a worker that waits for a freeze hook looks whether anybody waits for it: twice in the
/// time that a thaw waits for it.
pub const HOOK_LOOK_MS: u64 = LINGER_MS_MAX / 2;

/// Most filesystems that may hang in one freeze or thaw before it is given up: each makes everybody
/// wait.
pub const HANGING_MAX: usize = 8;

/// Descriptors that an agent keeps free of a freeze that it takes over, where they are short: a
/// socket and its client, or a port and what waits for its opening, and one to begin the thaw with.
pub const SPARE_DESCRIPTORS: usize = 3;

/// Longest line of the mount table that is read in full. It must hold a mount point of `PATH_MAX`
/// bytes, each escaped to four (`\040`), before the filesystem type.
pub const MOUNT_LINE_BYTES_MAX: usize = 20 * 1024;
const _: () = assert!(MOUNT_LINE_BYTES_MAX > 4 * PATH_BYTES_MAX + 2048);

/// Most places in which frozen marks lie: the state directory, two in memory beside it, and one
/// that only an agent of another make has used.
pub const MARK_PLACES_MAX: usize = 4;

/// Longest path, without the final NUL (`PATH_MAX` of limits.h less one).
pub const PATH_BYTES_MAX: usize = 4095;

/// How much of a mount point an error shows.
pub const PATH_SHOWN_BYTES: usize = 256;

/// Largest `count` of guest-file-read: 48 MiB (QGA schema, guest-file-read).
pub const READ_COUNT_MAX: i64 = 48 * 1024 * 1024;

/// `count` of guest-file-read when the client names none (QGA schema, guest-file-read).
pub const READ_COUNT_DEFAULT: i64 = 4096;

/// Longest foreign text (a path, a name, a token) shown in an error; what is beyond is cut with
/// `...`. Escaped to six bytes each it must leave room in the smallest window: see
/// [`WINDOW_BYTES_MIN`].
pub const SUBJECT_BYTES_MAX: usize = 512;

/// Largest piece of a reply: that is how much a call has room for. The largest element of a list
/// that is written at once is a row of guest-info, 120 bytes; longer texts go on in the next piece.
/// Reading a file in less would cost more calls.
pub const PIECE_BYTES_MAX: usize = 1024;

/// Smallest window an agent can have: one error with two subjects in full, or a few pieces.
pub const WINDOW_BYTES_MIN: usize = 4096;
const _: () = assert!(SUBJECT_BYTES_MAX * 6 + 512 <= WINDOW_BYTES_MIN);

/// Bytes at the start of the frame buffer that are kept when the rest is given back after a large
/// request (see [`crate::Agent::reclaim`]): a request of ordinary size never costs a page fault
/// again.
pub const FRAME_KEEP_BYTES: usize = 16 * 1024;

/// The same of the window, which most replies do not fill: with what stands before it in the agent,
/// a page.
pub const WINDOW_KEEP_BYTES: usize = 3584;

/// Longest name that a system gives itself (`__NEW_UTS_LEN` of linux/utsname.h).
pub const NAME_BYTES_MAX: usize = 64;

/// Longest line of os-release that is read, and so its longest value: no distribution's has more
/// than some 100 bytes.
pub const OS_RELEASE_LINE_BYTES_MAX: usize = 1024;

/// Longest list of CPUs that is read: a machine whose CPUs have gaps between them everywhere could
/// have some 400.
pub const CPU_LIST_BYTES_MAX: usize = 1024;

/// Longest path that is made below /sys/devices/system: the longest beginning, a number of 20
/// digits, a name.
pub const SYSFS_PATH_BYTES_MAX: usize = 64;

/// Longest name of a user: more than useradd(8) allows (32), and as much as utmp(5) has.
pub const USER_BYTES_MAX: usize = 32;

/// Longest name of a session of logind: numbers, with a letter before them for some.
pub const SESSION_NAME_BYTES_MAX: usize = 16;

/// Longest text in which logind says something of a session: some 400 bytes, and more with many
/// devices.
pub const SESSION_BYTES_MAX: usize = 2048;

/// Longest path below /sys that is read or made: those of disks behind several bridges and
/// expanders have some 250 bytes.
pub const SYS_PATH_BYTES_MAX: usize = 512;

/// How long a disk may take to say one thing of itself before it is left out of a list. Two may,
/// and clients wait for lists no longer than some seconds.
pub const TASK_STEP_MS_MAX: u64 = 1_000;

/// How long disks may take together: then all that one may wait for is left out.
pub const TASK_MS_MAX: u64 = 5_000;

/// How long a command may take that changes the guest and that a copy of the agent carries out: a
/// CPU or memory block to be emptied first, a program that asks somebody else, a home on a disk
/// that does not answer.
pub const ERRAND_MS_MAX: u64 = 30_000;

/// How long the guest may take to be suspended, in time that passes while it runs.
pub const SUSPEND_MS_MAX: u64 = 60_000;

/// How often somebody who changes the password of a user asks for a lock that another one has, a
/// tenth of a second after it was refused: as long as busybox waits, within [`ERRAND_MS_MAX`].
pub const LOCK_TRIES_MAX: u32 = 100;

/// How long that is.
pub const LOCK_PAUSE_MS: u64 = 100;
const _: () = assert!(LOCK_TRIES_MAX as u64 * LOCK_PAUSE_MS < ERRAND_MS_MAX);

/// Most groups that a user has beside the first one; those beyond are left out, which takes rights
/// and gives none.
pub const USER_GROUPS_MAX: usize = 64;

/// Where programs are looked for that are named without their folder, where the environment does
/// not say so: never in the folder that somebody happens to be in.
pub const PROGRAM_FOLDERS: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How much of what a program prints an error shows.
pub const PROGRAM_SAID_BYTES_MAX: usize = 512;

/// Most copies of the agent that were given up and that the kernel keeps: after the first one that
/// hangs comes one that leaves out what that hung in, then only such as leave out all that may.
pub const ABANDONED_MAX: usize = 4;

/// Longest list of disks or filesystems: as much as libvirt takes (`QEMU_AGENT_MAX_RESPONSE`). What
/// is beyond is left out, and that is said in the log.
pub const MADE_BYTES_MAX: u64 = 9 * 1024 * 1024;

/// Room for the end of an element that a copy of the agent makes, before it is written down: a
/// piece, and another one while that is being written.
pub const ELEMENTS_BYTES: usize = 2 * PIECE_BYTES_MAX;
const _: () = assert!(ELEMENTS_BYTES < LIST_BYTES);

/// How often a list in a reply is begun anew because it changed while it was read: where interfaces
/// come and go all the time, some of them may be missing.
pub const LIST_BEGUN_MAX: u8 = 8;

/// Room that a list keeps from one piece of its reply to the next: for the longest line of the
/// kernel's tables but one, which nobody needs, and for the largest file of a time zone (3,900
/// bytes).
pub const LIST_BYTES: usize = 4096;

/// How much of the stack is wiped after a secret: base64 takes two blocks there, 1,792 bytes, below
/// the few frames of a command.
pub const STACK_WIPE_BYTES: usize = 3 * 1024;

/// Longest guest-sync that is found inside a malformed request: known clients send up to 80 bytes.
pub const SYNC_BYTES_MAX: usize = 256;

/// Most programs of guest-exec that are running, or that nobody has asked for since they ended:
/// some clients never ask. Each takes 96 bytes while it is in use.
pub const EXEC_ENTRIES_MAX: usize = 256;

/// How much of what a program prints is kept, for each of its two outputs: 16 MiB, as with the
/// reference. What is beyond is read and dropped. Of a program whose output is told while it runs
/// that is how much may wait to be told.
pub const EXEC_OUTPUT_BYTES_MAX: u32 = 16 * 1024 * 1024;

/// Most calls in one step for what programs print: each moves what one pipe holds, 64 KiB, in some
/// 30 us, and a client that asks for something else is answered within 5 ms.
pub const EXEC_STEP_CALLS_MAX: usize = 32;

/// Input that any empty pipe holds, even where the user's pipes are short of memory: a page.
pub const EXEC_PIPE_BYTES_MIN: usize = 4096;

/// How often the agent looks at a program that has not begun to run, should nothing else wake it,
/// and how often it tries to kill one whose time is over and that it may not kill.
pub const EXEC_LOOK_MS: u64 = 1_000;

/// How long all programs of a shutdown may take together, before the agent goes on without them.
/// With what follows it is answered, or the machine ends, within 20 s: the last program may be
/// watched for [`SHUTDOWN_SIGN_MS`], and so may init, then come [`SHUTDOWN_TERM_MS`] and
/// [`SHUTDOWN_KILL_MS`].
pub const SHUTDOWN_PROGRAMS_MS_MAX: u64 = 7_000;
const _: () = assert!(
    SHUTDOWN_PROGRAMS_MS_MAX + 2 * SHUTDOWN_SIGN_MS + SHUTDOWN_TERM_MS + SHUTDOWN_KILL_MS < 20_000
);

/// How long the machine may take to be seen going down, after a program or init was asked and said
/// yes. Inits show it at once; this is for slow machines.
pub const SHUTDOWN_SIGN_MS: u64 = 4_000;

/// For how much of that time systemd is asked for its state, when nothing else was seen before.
pub const SHUTDOWN_STATE_MS: u64 = 2_500;

/// How long processes get between SIGTERM and SIGKILL when the agent itself shuts the guest down.
pub const SHUTDOWN_TERM_MS: u64 = 3_000;

/// How long they get after SIGKILL, before filesystems are unmounted under those that hang in the
/// kernel.
pub const SHUTDOWN_KILL_MS: u64 = 1_000;

/// How long an agent that was told to stop waits for its client to take an error in place of a
/// freeze's reply: a client that waits for that takes it at once.
pub const STOP_REPLY_MS_MAX: u64 = 1_000;

/// How often the agent looks whether those processes have gone.
pub const SHUTDOWN_TERM_POLL_MS: u64 = 50;

/// Space for the account of a failed shutdown: what was tried and why it did not work.
pub const SHUTDOWN_REPORT_BYTES_MAX: usize = 424;
