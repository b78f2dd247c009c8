//! guest-set-vcpus, guest-set-memory-blocks: bringing CPUs and parts of memory online, and taking
//! them offline. Carried out by a copy of the agent: to empty one may take a while.

use super::errand::Desk;
use crate::errno::Errno;
use crate::error::{Error, Raised};
use crate::json::lists::{Switch, Switches};
use crate::limits::SYSFS_PATH_BYTES_MAX;
use crate::list::whole;
use crate::platform::{Platform, Settings, Texts};
use crate::response::Cursor;
use crate::writer::Writer;
use serde::Deserialize;

/// Schema: guest-set-vcpus (1.5).
#[derive(Deserialize)]
pub struct Vcpus<'a> {
    #[serde(borrow)]
    vcpus: Switches<'a, 0>,
}

/// Schema: guest-set-memory-blocks (2.3).
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MemoryBlocks<'a> {
    #[serde(borrow)]
    mem_blks: Switches<'a, 1>,
}

/// What there may be many of: its folder without the number, the attribute in it, and what stands
/// there, offline and online.
struct Kind {
    folder: &'static str,
    attribute: &'static str,
    states: [&'static [u8]; 2],
}

const CPU: Kind =
    Kind { folder: "/sys/devices/system/cpu/cpu", attribute: "/online", states: [b"0", b"1"] };
const BLOCK: Kind = Kind {
    folder: "/sys/devices/system/memory/memory",
    attribute: "/state",
    states: [b"offline", b"online"],
};

/// Why one is not as it was to be.
enum Unset {
    /// There is no such.
    Missing(Errno),
    /// It is there and has nothing to be set.
    Fixed,
    /// What it says cannot be read.
    Read(Errno),
    /// It cannot be set.
    Set(Errno),
}

impl Kind {
    /// Sets one, unless it is as it is to be; `path` is room for where it is.
    #[inline(never)]
    fn set<P: Texts + Settings>(
        &self,
        platform: &mut P,
        Switch { number, online }: Switch,
        path: &mut Writer<'_>,
    ) -> Result<(), Unset> {
        path.rewind(0);
        path.ascii(self.folder);
        path.unsigned(number);
        let folder = path.len();
        path.ascii(self.attribute);
        let mut text = [0; 16];
        let [off, on] = self.states;
        match whole(platform, path.written(), &mut text) {
            Ok(text) if text.trim_ascii() == if online { on } else { off } => Ok(()),
            Ok(_) => {
                let state = if online { on } else { off };
                platform.set(path.written(), state).map_err(Unset::Set)
            }
            Err(Errno::NOENT) => {
                path.take_back(folder);
                platform.folder(path.written()).map_err(Unset::Missing)?;
                Err(Unset::Fixed)
            }
            Err(errno) => Err(Unset::Read(errno)),
        }
    }
}

/// Sets CPUs in the order of the request, as far as that goes without an error; the reply is how
/// many. Errors: the first one cannot be set.
pub fn set_vcpus<'a, P: Platform>(
    platform: &mut P,
    arguments: &Vcpus<'a>,
    desk: &mut Desk<'_>,
) -> Result<(), Raised> {
    let mut room = [0; SYSFS_PATH_BYTES_MAX];
    let mut path = Writer::new(&mut room);
    let mut done = 0;
    for cpu in arguments.vcpus.iter() {
        let failed = match CPU.set(platform, cpu, &mut path) {
            Ok(()) => None,
            // What cannot be taken offline is online.
            Err(Unset::Fixed) if cpu.online => None,
            Err(unset) => Some(unset),
        };
        let Some(unset) = failed else {
            done += 1;
            continue;
        };
        if done > 0 {
            break;
        }
        let at = path.written();
        let (sentence, errno) = match unset {
            Unset::Missing(errno) => (phrase!("Could not open '$': !"), Some(errno)),
            Unset::Fixed => (phrase!("logical processor # can't be offlined"), None),
            Unset::Read(errno) => (phrase!("failed to read $: !"), Some(errno)),
            Unset::Set(errno) => (phrase!("failed to write $: !"), Some(errno)),
        };
        let number = errno.map_or(cpu.number as i64, |errno| errno.number().into());
        return Err(desk.out.refuse(platform, &Error::Told(sentence, at, number)));
    }
    desk.out.out.unsigned(done);
    Ok(())
}

/// Sets memory blocks, each whatever becomes of the others, and says of each what did. Schema:
/// GuestMemoryBlockResponse.
pub fn set_memory_blocks<P: Platform>(
    platform: &mut P,
    arguments: &MemoryBlocks<'_>,
    desk: &mut Desk<'_>,
) -> Result<(), Raised> {
    let mut room = [0; SYSFS_PATH_BYTES_MAX];
    let mut path = Writer::new(&mut room);
    let mut cursor = Cursor::new();
    cursor.open("[", &mut desk.out.out);
    for block in arguments.mem_blks.iter() {
        let (response, errno) = match BLOCK.set(platform, block, &mut path) {
            Ok(()) => ("success", None),
            Err(Unset::Missing(errno @ Errno::NOENT)) => ("not-found", Some(errno)),
            Err(Unset::Fixed) => ("operation-not-supported", None),
            Err(Unset::Missing(errno) | Unset::Read(errno) | Unset::Set(errno)) => {
                ("operation-failed", Some(errno))
            }
        };
        desk.out.make_room(platform);
        let out = &mut desk.out.out;
        cursor.element(out);
        out.ascii("{\"phys-index\": ");
        out.unsigned(block.number);
        out.key("response");
        out.string(response.as_bytes());
        out.numbers("error-code", &[errno.map(|errno| errno.number().into())]);
        out.ascii("}");
    }
    cursor.close("]", &mut desk.out.out);
    Ok(())
}
