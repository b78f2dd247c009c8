//! A FUSE filesystem of one folder in a jail: it answers, is told to stop answering, and goes on
//! when it is told to.
//!
//! The protocol is spoken here, as far as it takes to walk to that folder (linux/fuse.h,
//! `fuse(4)`). The kernel may remember nothing, so each look at the folder, or at anything that is
//! mounted on it, is a question.

use crate::jail::Jail;
use crate::sys;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The name of the one folder.
pub const FOLDER: &str = "inner";

const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const READDIR: u32 = 28;
const RELEASEDIR: u32 = 29;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;

/// The numbers that the kernel knows the root and the folder by.
const ROOT_NODE: u64 = 1;
const FOLDER_NODE: u64 = 2;
/// What stands before the arguments of a question.
const HEADER_LEN: usize = 40;
/// More than the kernel wants to have room for.
const QUESTION_MAX: usize = 1 << 17;

/// A mounted filesystem and who answers for it, until it is unmounted everywhere.
#[derive(Clone)]
pub struct Fuse {
    device: Arc<File>,
    waiting: Arc<Mutex<Waiting>>,
}

/// What is not answered.
#[derive(Default)]
struct Waiting {
    silent: bool,
    questions: Vec<Question>,
}

/// What the kernel asks.
struct Question {
    code: u32,
    number: u64,
    node: u64,
    arguments: Vec<u8>,
}

impl Fuse {
    /// Whether the test `name` must be skipped because nothing can be mounted this way here; counts
    /// the skip.
    pub fn impossible(name: &str) -> bool {
        let missing = open().err();
        if let Some(error) = &missing {
            crate::skip(name, &format!("needs /dev/fuse ({error})"));
        }
        missing.is_some()
    }

    /// Mounts one on the folder `at` of a jail, which is made.
    pub fn mount(jail: &Jail, at: &str) -> Fuse {
        std::fs::create_dir_all(jail.path(at)).expect("a mount point");
        let fuse = Fuse { device: Arc::new(open().expect("/dev/fuse")), waiting: Arc::default() };
        let server = fuse.clone();
        std::thread::spawn(move || server.serve());
        let number = fuse.device.as_raw_fd();
        let options = format!("fd={number},rootmode=40000,user_id=0,group_id=0,allow_other");
        let mounts = File::open(format!("/proc/{}/ns/mnt", jail.init)).expect("a namespace");
        let at = at.to_owned();
        // A thread that shares no folder with others may have mounts of its own.
        let mounting = std::thread::spawn(move || {
            sys::unshare(libc::CLONE_FS)?;
            sys::enter_namespace(&mounts)?;
            sys::mount_with(&options, Path::new(&at), "fuse")
        });
        mounting.join().expect("a thread").unwrap_or_else(|error| panic!("no FUSE: {error}"));
        fuse
    }

    /// No question is answered from now on. They are taken, so that whoever asks cannot even be
    /// killed.
    pub fn stop(&self) {
        self.waiting().silent = true;
    }

    /// Whether somebody waits for an answer.
    pub fn is_asked(&self) -> bool {
        !self.waiting().questions.is_empty()
    }

    /// Answers what was not answered, and all that comes.
    pub fn go_on(&self) {
        let mut waiting = self.waiting();
        waiting.silent = false;
        for question in waiting.questions.drain(..) {
            self.answer(&question);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        let mut buffer = vec![0; QUESTION_MAX];
        loop {
            let count = match (&*self.device).read(&mut buffer) {
                Ok(count) => count,
                // Before it is mounted, one that was taken back, a signal.
                Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                    std::thread::yield_now();
                    continue;
                }
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => continue,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // Unmounted.
                Err(_) => return,
            };
            let question = Question::read(&buffer[..count]);
            let mut waiting = self.waiting();
            match question.code {
                FORGET | BATCH_FORGET | INTERRUPT => {}
                _ if waiting.silent => waiting.questions.push(question),
                _ => self.answer(&question),
            }
        }
    }

    fn answer(&self, question: &Question) {
        let (error, body) = match question.reply() {
            Ok(body) => (0, body),
            Err(error) => (-error, Vec::new()),
        };
        let mut reply = (16 + body.len() as u32).to_ne_bytes().to_vec();
        reply.extend(error.to_ne_bytes());
        reply.extend(question.number.to_ne_bytes());
        reply.extend(body);
        // Whoever asked may have gone, and the mount with it.
        let _ = (&*self.device).write(&reply);
    }
}

impl Question {
    fn read(bytes: &[u8]) -> Question {
        let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let long = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let arguments = bytes[HEADER_LEN..].to_vec();
        Question { code: word(4), number: long(8), node: long(16), arguments }
    }

    /// What to answer, or the error's number.
    fn reply(&self) -> Result<Vec<u8>, i32> {
        match self.code {
            INIT => Ok(version()),
            LOOKUP
                if self.node == ROOT_NODE && self.arguments == format!("{FOLDER}\0").as_bytes() =>
            {
                // Node, generation, and four times that this holds for no time at all.
                let mut entry = longs(&[FOLDER_NODE, 0, 0, 0, 0]);
                entry.extend(attributes(FOLDER_NODE));
                Ok(entry)
            }
            LOOKUP => Err(libc::ENOENT),
            GETATTR => {
                let mut reply = longs(&[0, 0]);
                reply.extend(attributes(self.node));
                Ok(reply)
            }
            OPENDIR => Ok(longs(&[0, 0])),
            READDIR | RELEASEDIR => Ok(Vec::new()),
            _ => Err(libc::ENOSYS),
        }
    }
}

/// The device; one that is open and not mounted is nothing.
fn open() -> std::io::Result<File> {
    File::options().read(true).write(true).open("/dev/fuse")
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn longs(longs: &[u64]) -> Vec<u8> {
    longs.iter().flat_map(|long| long.to_ne_bytes()).collect()
}

/// `fuse_init_out` of version 7.31: no abilities, and writes of a page.
fn version() -> Vec<u8> {
    const PAGE: u32 = 4096;
    let mut reply = words(&[7, 31, PAGE, 0, 0, PAGE, 1]);
    reply.resize(64, 0);
    reply
}

/// `fuse_attr` of a folder of root's.
fn attributes(node: u64) -> Vec<u8> {
    let (mode, links) = (libc::S_IFDIR | 0o755, 2);
    let mut reply = longs(&[node, 0, 0, 0, 0, 0]);
    reply.extend(words(&[0, 0, 0, mode, links, 0, 0, 0, 4096, 0]));
    reply
}
