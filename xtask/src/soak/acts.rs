//! What a client may do to an agent: the load in, one act done and checked to its last reply out.
//!
//! Invariant: an act leaves behind at most open files; nothing frozen, no half request on a
//! connection that goes on.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use xtask::Result;
use xtask::vm::channel::request;

use super::load::Load;
use super::{DATA, DATA_BYTES};

/// Files that are open at most, as the agent promises (SPECIFICATION.md).
pub const HANDLES_MAX: usize = 128;
/// A request of more bytes than this is refused.
const REQUEST_BYTES_MAX: usize = 4 << 20;

pub type Work = fn(&mut Load) -> Result<()>;

/// Each act, how often it comes among all, and what does it.
pub const ACTS: [(&str, usize, Work); 15] = [
    ("pings", 12, Load::pings),
    ("mixed", 12, Load::mixed),
    ("byte by byte", 3, Load::byte_by_byte),
    ("small file", 16, Load::small_file),
    ("large write", 4, Load::large_write),
    ("large read", 6, Load::large_read),
    ("handles", 2, Load::handles),
    ("broken", 10, Load::broken),
    ("oversized", 2, Load::oversized),
    ("half request", 5, Load::half_request),
    ("left reply", 5, Load::left_reply),
    ("lost handle", 3, Load::lost_handle),
    ("stall", 3, Load::stall),
    ("freeze", 6, Load::freeze),
    ("replug", 1, Load::replug),
];

/// Requests that are wrong, whole or not; a sync ends each.
const BROKEN: [&[u8]; 14] = [
    b"{",
    b"}",
    b"[1, 2",
    b"nonsense",
    b"{\"execute\":\"guest-",
    b"{\"execute\":\"guest-none\"}\n",
    b"{\"execute\":\"guest-ping\",\"arguments\":{\"x\":1}}\n",
    b"{\"execute\":\"guest-file-read\",\"arguments\":{\"handle\":\"x\"}}\n",
    b"{\"execute\":\"guest-file-read\",\"arguments\":{\"handle\":-1}}\n",
    b"{\"execute\":1}\n",
    b"{\"a\":\"\\ud800\"}\n",
    b"\"\x01\x02\x03\n",
    b"\x00\x80\xfe\n",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
];

impl Load {
    fn pings(&mut self) -> Result<()> {
        for _ in 0..self.random.usize(1..30) {
            self.client.returns("ping", Value::Null, json!({}))?;
        }
        Ok(())
    }

    /// Many requests at once; the replies come in their order.
    fn mixed(&mut self) -> Result<()> {
        let mut expected = Vec::new();
        let mut lines = String::new();
        for _ in 0..self.random.usize(1..40) {
            let id = self.random.u64(..1 << 53);
            let (text, reply) = match self.random.u32(..6) {
                0 => (request("ping", Value::Null), Some(json!({}))),
                1 => (request("sync", json!({"id": id})), Some(json!(id))),
                2 => (request("sync-delimited", json!({"id": id})), Some(json!(id))),
                3 => (request("fsfreeze-status", Value::Null), Some(json!("thawed"))),
                4 => (request("info", Value::Null), None),
                _ => (request("get-time", Value::Null), None),
            };
            lines.push_str(&text);
            expected.push((text, reply));
        }
        self.client.send(lines.as_bytes())?;
        for (text, wanted) in expected {
            let reply = self.client.reply(&text)?;
            let right = match wanted {
                Some(wanted) => reply["return"] == wanted,
                None => reply.get("return").is_some(),
            };
            if !right {
                return Err(format!("{text} among others: {reply}"));
            }
        }
        Ok(())
    }

    fn byte_by_byte(&mut self) -> Result<()> {
        let text = request("sync", json!({"id": 77}));
        for byte in text.bytes() {
            self.client.send(&[byte])?;
        }
        match self.client.reply(&text)? {
            reply if reply == json!({"return": 77}) => Ok(()),
            reply => Err(format!("{text}, byte by byte: {reply}")),
        }
    }

    /// Written, read back, perhaps left open; on the disk or not.
    fn small_file(&mut self) -> Result<()> {
        let place = ["/run", "/data"][self.random.usize(..2)];
        let path = format!("{place}/soak-{}", self.random.u32(..8));
        let handle = self.opened(&path, "w+")?;
        let groups = self.random.usize(1..1000);
        let text = self.text(groups);
        let arguments = json!({"handle": handle, "buf-b64": text});
        let written = json!({"count": 3 * groups, "eof": false});
        self.client.returns("file-write", arguments, written)?;
        self.client.returns("file-flush", json!({"handle": handle}), json!({}))?;
        let arguments = json!({"handle": handle, "offset": 0, "whence": 0});
        self.client.returns("file-seek", arguments, json!({"position": 0, "eof": false}))?;
        let read = self.client.value("file-read", json!({"handle": handle, "count": 65536}))?;
        if read["buf-b64"] != *text || read["eof"] != true {
            return Err(format!("{path}: what was written was not read back"));
        }
        match self.random.u32(..3) {
            0 => Ok(()),
            _ => self.client.close(handle),
        }
    }

    /// One request of megabytes.
    fn large_write(&mut self) -> Result<()> {
        let handle = self.opened("/run/soak-large", "w+")?;
        let groups = self.random.usize(1000..REQUEST_BYTES_MAX / 4 - 100);
        // The same letters over and over: random ones would take the load longer than the agent.
        let text = self.text(100).repeat(groups / 100 + 1)[..4 * groups].to_owned();
        let arguments = json!({"handle": handle, "buf-b64": text});
        let written = json!({"count": 3 * groups, "eof": false});
        self.client.returns("file-write", arguments, written)?;
        self.client.close(handle)
    }

    fn large_read(&mut self) -> Result<()> {
        let (handle, text, count) = self.large(DATA_BYTES)?;
        self.client.send(text.as_bytes())?;
        self.check_large(&text, count)?;
        self.client.close(handle)
    }

    /// Opens as many files as there may be.
    fn handles(&mut self) -> Result<()> {
        let why = loop {
            if let Err(why) = self.client.try_open(DATA, "r")? {
                break why;
            }
        };
        let count = self.client.open.len();
        if count != HANDLES_MAX || !why.contains(&HANDLES_MAX.to_string()) {
            return Err(format!("with {count} files open: {why}"));
        }
        // Those that stay keep what follows near the limit.
        let count = self.random.usize(..HANDLES_MAX);
        self.close_down_to(count)
    }

    /// Whatever comes for it ends at the sync.
    pub fn broken(&mut self) -> Result<()> {
        let bytes = BROKEN[self.random.usize(..BROKEN.len())];
        self.client.send(bytes)?;
        self.client.sync()
    }

    fn oversized(&mut self) -> Result<()> {
        let len = REQUEST_BYTES_MAX + self.random.usize(1..2 << 20);
        let text = request("ping", json!({"x": "x".repeat(len)}));
        self.client.send(text.as_bytes())?;
        let reply = self.client.reply(&text)?;
        match reply["error"]["desc"].is_string() {
            true => self.client.sync(),
            false => Err(format!("a request of {} bytes: {reply}", text.len())),
        }
    }

    pub fn half_request(&mut self) -> Result<()> {
        let text = request("sync", json!({"id": 78}));
        self.client.send(&text.as_bytes()[..self.random.usize(1..text.len() - 1)])?;
        self.client.hang_up();
        self.client.returns("ping", Value::Null, json!({}))
    }

    /// Hangs up in the middle of a reply.
    fn left_reply(&mut self) -> Result<()> {
        let (handle, text, _) = self.large(DATA_BYTES)?;
        self.client.send(text.as_bytes())?;
        self.client.channel()?.receive_some(Duration::from_secs(1));
        self.client.hang_up();
        self.client.close(handle)
    }

    /// Hangs up before the number of a handle can come.
    fn lost_handle(&mut self) -> Result<()> {
        self.opened(DATA, "r")?;
        let text = request("file-open", json!({"path": DATA}));
        self.client.send(text.as_bytes())?;
        self.client.hang_up();
        let handle = self.opened(DATA, "r")?;
        self.client.close(handle)
    }

    /// Does not read for a while, in the middle of a reply; then reads on, or not.
    fn stall(&mut self) -> Result<()> {
        let (handle, text, count) = self.large(DATA_BYTES)?;
        self.client.send(text.as_bytes())?;
        sleep(Duration::from_millis(self.random.u64(100..1000)));
        match self.random.bool() {
            true => self.check_large(&text, count)?,
            false => self.client.hang_up(),
        }
        self.client.close(handle)
    }

    /// Freezes the disk, looks around, and thaws.
    fn freeze(&mut self) -> Result<()> {
        const WORKS: [Work; 6] = [
            |load| {
                load.client.hang_up();
                Ok(())
            },
            |load| load.client.refused("file-open", json!({"path": DATA})).map(drop),
            |load| load.client.refused("fsfreeze-freeze", Value::Null).map(drop),
            |load| load.client.value("info", Value::Null).map(drop),
            Load::broken,
            Load::half_request,
        ];
        let mut works: Vec<Work> =
            (0..self.random.usize(..4)).map(|_| WORKS[self.random.usize(..WORKS.len())]).collect();
        if self.random.u32(..8) == 0 {
            works.push(Load::replug);
        }
        self.frozen(&works)
    }

    /// Does something between freeze and thaw.
    pub fn frozen(&mut self, works: &[Work]) -> Result<()> {
        self.client.returns("fsfreeze-freeze", Value::Null, json!(1))?;
        self.client.returns("fsfreeze-status", Value::Null, json!("frozen"))?;
        works.iter().try_for_each(|work| work(self))?;
        self.client.returns("fsfreeze-status", Value::Null, json!("frozen"))?;
        self.client.returns("fsfreeze-thaw", Value::Null, json!(1))?;
        self.client.returns("fsfreeze-status", Value::Null, json!("thawed"))
    }

    /// The hypervisor unplugs the port, and plugs it in again.
    pub fn replug(&mut self) -> Result<()> {
        self.client.hang_up();
        self.vm.unplug_port()?;
        sleep(Duration::from_millis(self.random.u64(..500)));
        self.vm.plug_port()?;
        self.client.returns("ping", Value::Null, json!({}))
    }
}
