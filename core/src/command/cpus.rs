//! guest-get-vcpus, guest-get-cpustats: the CPUs that there are, and what they have done.

use super::listing::{each_line, left_out};
use crate::errno::Errno;
use crate::formats::cpulist;
use crate::formats::stat::{Cpu, TICK_MS};
use crate::limits::CPU_LIST_BYTES_MAX;
use crate::list::{numbered, whole};
use crate::platform::Platform;
use crate::response::{Cursor, Failed};
use crate::state::State;
use crate::writer::Writer;
use serde::Serialize;

/// Where the kernel keeps what it says of a CPU, without its number.
const CPU: &str = "/sys/devices/system/cpu/cpu";

/// Schema: GuestLogicalProcessor (1.5).
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct LogicalProcessor {
    logical_id: u64,
    online: bool,
    can_offline: bool,
}

/// One CPU at each call, in the order of their numbers. Schema: guest-get-vcpus (1.5). Errors:
/// there is no list of CPUs in sysfs.
pub fn vcpus_piece<P: Platform>(
    platform: &mut P,
    _: &mut State<P>,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    let mut list = [0; CPU_LIST_BYTES_MAX];
    let list = whole(platform, b"/sys/devices/system/cpu/present", &mut list);
    let list = match list {
        Ok(list) => &*list,
        Err(errno) if cursor.part == 0 => {
            return Err(Failed(text!("failed to list the CPUs"), errno));
        }
        Err(errno) => {
            left_out(platform, errno);
            &[]
        }
    };
    if cursor.part == 0 {
        cursor.open("[", out);
        cursor.part = 1;
    }
    let Some(logical_id) = cpulist::next(list, cursor.outer as u64) else {
        cursor.close("]", out);
        return Ok(false);
    };
    cursor.outer = (logical_id as usize).saturating_add(1);
    let mut online = [0; 4];
    let online = numbered(platform, CPU, logical_id, "/online", &mut online);
    let (online, can_offline) = match online {
        Ok(online) => (online.first() != Some(&b'0'), true),
        // One that cannot be taken offline has no such file.
        Err(Errno::NOENT) => (true, false),
        Err(errno) => {
            left_out(platform, errno);
            return Ok(true);
        }
    };
    cursor.element(out);
    // Only a type that no schema has could not be written.
    let _ = LogicalProcessor { logical_id, online, can_offline }.serialize(out);
    Ok(true)
}

/// What each CPU has done, one at each call. Schema: guest-get-cpustats (7.1), GuestCpuStats, in
/// milliseconds. Errors: /proc/stat cannot be read.
pub fn cpustats_piece<P: Platform>(
    platform: &mut P,
    state: &mut State<P>,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    let of = (text!("failed to read the statistics of CPUs"), "/proc/stat");
    each_line(platform, &mut state.list, cursor, out, of, &mut |line, cursor, out| {
        let Some(Cpu { number: number @ Some(_), times, later }) = Cpu::parse(line) else { return };
        let ms = |ticks: Option<u64>| ticks.map(|ticks| ticks.wrapping_mul(TICK_MS));
        cursor.element(out);
        out.ascii("{\"type\": \"linux\"");
        out.numbers("cpu", &[number]);
        out.numbers("user nice system idle", &times.map(|ticks| ms(Some(ticks))));
        out.numbers("iowait irq softirq steal guest guestnice", &later.map(ms));
        out.ascii("}");
    })
}
