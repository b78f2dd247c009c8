//! Every limit of the agent one below, at, and one above: what is within works, what is beyond
//! earns one error that names the limit, and the next request works. Memory stays constant
//! throughout.

use qga_tests::agent::Agent;
use qga_tests::connection::Connection;
use qga_tests::counters;
use qga_tests::disk::Disk;
use qga_tests::guest::{Guest, freeze, returns, thaw};
use qga_tests::jail::Start;
use qga_tests::{eventually, sys};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const FRAME_BYTES_MAX: usize = 4_194_304;
const FRAME_BYTES_FROZEN_MAX: usize = 16_384;
const DEPTH_MAX: usize = 64;
const MEMBERS_MAX: usize = 128;
const HANDLES_MAX: usize = 128;
const READ_COUNT_MAX: usize = 50_331_648;
const PATH_BYTES_MAX: usize = 4095;
/// What the agent may occupy however large its requests and replies have been, without the frame.
const RSS_KB_MAX: u64 = 256;

fn error(desc: &str) -> String {
    format!(r#"{{"error": {{"class": "GenericError", "desc": "{desc}"}}}}"#)
}

fn ping_works(client: &mut Connection) {
    assert_eq!(client.ask(r#"{"execute":"guest-ping"}"#), r#"{"return": {}}"#);
}

fn open(client: &mut Connection, path: &str, mode: &str) -> String {
    let arguments = format!(r#"{{"path":"{path}","mode":"{mode}"}}"#);
    client.ask(format!(r#"{{"execute":"guest-file-open","arguments":{arguments}}}"#))
}

/// After any work the agent gives its memory back, as soon as it has answered.
fn back_to_idle(agent: &Agent, idle_kb: u64, what: &str) {
    let deadline = Instant::now() + Duration::from_secs(2);
    let mut now_kb = counters::rss_kb(agent.pid());
    while now_kb > idle_kb + 48 {
        assert!(Instant::now() < deadline, "{now_kb} kB after {what}, {idle_kb} kB before");
        std::thread::sleep(Duration::from_millis(5));
        now_kb = counters::rss_kb(agent.pid());
    }
}

/// A ping of exactly `bytes` bytes, padded with blanks.
fn padded_ping(bytes: usize) -> String {
    let (start, end) = (r#"{"execute":"guest-ping""#, "}");
    format!("{start}{}{end}", " ".repeat(bytes - start.len() - end.len()))
}

/// A write of exactly `bytes` bytes, padded in the middle of its base64, and how much it decodes
/// to.
fn padded_write(bytes: usize) -> (String, usize) {
    let start = r#"{"execute":"guest-file-write","arguments":{"handle":1000,"buf-b64":""#;
    let end = r#""}}"#;
    let room = bytes - start.len() - end.len();
    let blanks = " ".repeat(room % 4);
    (format!("{start}{}{}{blanks}}}}}", "QUJD".repeat(room / 4), '"'), room / 4 * 3)
}

#[test]
fn frame_bytes() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    let too_large = error("JSON request size limit exceeded: at most 4194304 bytes");
    for bytes in [FRAME_BYTES_MAX - 1, FRAME_BYTES_MAX] {
        assert_eq!(client.ask(padded_ping(bytes)), r#"{"return": {}}"#, "{bytes} bytes");
    }
    assert_eq!(client.ask(padded_ping(FRAME_BYTES_MAX + 1)), too_large);
    ping_works(&mut client);
    assert_eq!(open(&mut client, "/dev/null", "w"), r#"{"return": 1000}"#);
    for bytes in [FRAME_BYTES_MAX - 1, FRAME_BYTES_MAX] {
        let (request, count) = padded_write(bytes);
        assert_eq!(request.len(), bytes);
        let expected = format!(r#"{{"return": {{"count": {count}, "eof": false}}}}"#);
        assert_eq!(client.ask(request), expected, "{bytes} bytes");
    }
    assert_eq!(client.ask(padded_write(FRAME_BYTES_MAX + 1).0), too_large);
    ping_works(&mut client);
    assert_eq!(client.finish(), b"");
}

/// Each smaller than the one before, so that none gives back what the one before may have left.
#[test]
fn large_requests_of_falling_sizes() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    ping_works(&mut client);
    let idle_kb = counters::rss_kb(agent.pid());
    for count in (1..=64).rev() {
        assert_eq!(client.ask(padded_ping(count * 64_000)), r#"{"return": {}}"#);
    }
    back_to_idle(&agent, idle_kb, "64 large requests");
    assert_eq!(client.finish(), b"");
}

#[test]
fn frame_bytes_of_one_string_that_never_ends() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    ping_works(&mut client);
    let idle_kb = counters::rss_kb(agent.pid());
    client.send(r#"{"execute":"guest-ping","id":""#);
    let piece = vec![b'a'; 1 << 20];
    let mut peak_kb = 0;
    for _ in 0..100 {
        client.send_and_see_taken(&piece);
        peak_kb = peak_kb.max(counters::rss_kb(agent.pid()));
    }
    let frame_kb = FRAME_BYTES_MAX as u64 / 1024;
    assert!(peak_kb <= frame_kb + RSS_KB_MAX, "{peak_kb} kB while it swallows 100 MiB");
    let too_large = error("JSON request size limit exceeded: at most 4194304 bytes");
    assert_eq!(client.ask(r#""}"#), too_large);
    ping_works(&mut client);
    back_to_idle(&agent, idle_kb, "100 MiB in one request");
    assert_eq!(client.finish(), b"");
}

#[test]
fn frame_bytes_while_frozen() {
    if Disk::impossible("limits::frame_bytes_while_frozen") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    assert_eq!(freeze(&mut client), returns(1));
    assert_eq!(client.ask(padded_ping(FRAME_BYTES_FROZEN_MAX)), r#"{"return": {}}"#);
    let before_kb = counters::rss_kb(agent.pid);
    let too_large = error("JSON request size limit exceeded: at most 16384 bytes while frozen");
    assert_eq!(client.ask(padded_ping(FRAME_BYTES_FROZEN_MAX + 1)), too_large);
    let request = padded_ping(FRAME_BYTES_MAX);
    let mut peak_kb = 0;
    for piece in request.as_bytes().chunks(100_000) {
        client.send_and_see_taken(piece);
        peak_kb = peak_kb.max(counters::rss_kb(agent.pid));
    }
    assert_eq!(client.text(), too_large);
    assert!(peak_kb <= before_kb + 8, "{peak_kb} kB while it swallows, {before_kb} kB before");
    assert_eq!(thaw(&mut client), returns(1));
    assert_eq!(client.ask(padded_ping(FRAME_BYTES_MAX)), r#"{"return": {}}"#);
    assert_eq!(client.finish(), b"");
}

#[test]
fn garbage_of_100_mib_earns_one_error() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    ping_works(&mut client);
    let idle_kb = counters::rss_kb(agent.pid());
    let piece = vec![b'#'; 1 << 20];
    for _ in 0..100 {
        client.send(&piece);
    }
    client.send("\n");
    assert_eq!(client.text(), error("JSON parse error, stray '#'"));
    ping_works(&mut client);
    back_to_idle(&agent, idle_kb, "100 MiB of garbage");
    assert_eq!(client.finish(), b"");
}

#[test]
fn depth() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    let too_deep = error("JSON nesting depth limit exceeded: at most 64 levels");
    let arrays = |count: usize| format!("{}{}", "[".repeat(count), "]".repeat(count));
    let objects = |count: usize| format!("{}1{}", r#"{"a":"#.repeat(count), "}".repeat(count));
    // The request's own object is one level.
    for count in [DEPTH_MAX - 2, DEPTH_MAX - 1] {
        let id = arrays(count);
        let reply = client.ask(format!(r#"{{"execute":"guest-ping","id":{id}}}"#));
        assert_eq!(reply, format!(r#"{{"return": {{}}, "id": {id}}}"#));
        let id = objects(count);
        let reply = client.ask(format!(r#"{{"execute":"guest-ping","id":{id}}}"#));
        assert_eq!(reply, format!(r#"{{"return": {{}}, "id": {}}}"#, id.replace(':', ": ")));
    }
    for id in [arrays(DEPTH_MAX), objects(DEPTH_MAX), arrays(1000), arrays(100_000)] {
        assert_eq!(client.ask(format!(r#"{{"execute":"guest-ping","id":{id}}}"#)), too_deep);
        ping_works(&mut client);
    }
    assert_eq!(client.ask(arrays(DEPTH_MAX)), error("QMP input must be a JSON object"));
    assert_eq!(client.ask(arrays(DEPTH_MAX + 1)), too_deep);
    ping_works(&mut client);
    assert_eq!(client.finish(), b"");
}

#[test]
fn members() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    let too_many = error("JSON member count limit exceeded: at most 128 members");
    let object = |count: usize| {
        let members: Vec<_> =
            (0..count).map(|number| format!(r#""m{number}": {number}"#)).collect();
        format!("{{{}}}", members.join(", "))
    };
    // `execute` and `id` are two.
    for count in [MEMBERS_MAX - 3, MEMBERS_MAX - 2] {
        let id = object(count);
        let reply = client.ask(format!(r#"{{"execute":"guest-ping","id":{id}}}"#));
        assert_eq!(reply, format!(r#"{{"return": {{}}, "id": {id}}}"#));
    }
    for count in [MEMBERS_MAX - 1, 10_000] {
        let request = format!(r#"{{"execute":"guest-ping","id":{}}}"#, object(count));
        assert_eq!(client.ask(request), too_many);
        ping_works(&mut client);
    }
    // Objects that are closed no longer count.
    let id = format!("[{}, {}]", object(MEMBERS_MAX - 2), object(MEMBERS_MAX - 2));
    let reply = client.ask(format!(r#"{{"execute":"guest-ping","id":{id}}}"#));
    assert_eq!(reply, format!(r#"{{"return": {{}}, "id": {id}}}"#));
    assert_eq!(client.finish(), b"");
}

#[test]
fn read_count() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    let path = agent.folder.join("large");
    let file = fs::File::create(&path).unwrap();
    file.set_len(READ_COUNT_MAX as u64 + 1).unwrap();
    assert_eq!(open(&mut client, path.to_str().unwrap(), "r"), r#"{"return": 1000}"#);
    let read = |count: usize| {
        format!(r#"{{"execute":"guest-file-read","arguments":{{"handle":1000,"count":{count}}}}}"#)
    };
    let rewind =
        r#"{"execute":"guest-file-seek","arguments":{"handle":1000,"offset":0,"whence":0}}"#;
    for count in [0, 1, READ_COUNT_MAX - 1, READ_COUNT_MAX] {
        assert_eq!(client.ask(rewind), r#"{"return": {"position": 0, "eof": false}}"#);
        let reply = client.ask(read(count));
        let zeros = match count % 3 {
            0 => "A".repeat(count / 3 * 4),
            1 => "A".repeat(count / 3 * 4) + "AA==",
            _ => "A".repeat(count / 3 * 4) + "AAA=",
        };
        let expected =
            format!(r#"{{"return": {{"buf-b64": "{zeros}", "count": {count}, "eof": false}}}}"#);
        assert!(reply == expected, "count {count}: {} bytes came, {}", reply.len(), expected.len());
    }
    let rss_kb = counters::rss_kb(agent.pid());
    assert!(rss_kb <= RSS_KB_MAX, "{rss_kb} kB after a read of 48 MiB");
    // Two bytes are left: the end of the file shows in the same reply.
    let end =
        r#"{"execute":"guest-file-seek","arguments":{"handle":1000,"offset":-2,"whence":"end"}}"#;
    client.ask(end);
    let rest = client.ask(read(READ_COUNT_MAX));
    assert_eq!(rest, r#"{"return": {"buf-b64": "AAA=", "count": 2, "eof": true}}"#);
    let too_many = error("value '50331649' is invalid for argument count");
    assert_eq!(client.ask(read(READ_COUNT_MAX + 1)), too_many);
    ping_works(&mut client);
    assert_eq!(client.finish(), b"");
}

#[test]
fn memory_while_a_large_read_streams() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    let path = agent.folder.join("large");
    fs::File::create(&path).unwrap().set_len(40 << 20).unwrap();
    assert_eq!(open(&mut client, path.to_str().unwrap(), "r"), r#"{"return": 1000}"#);
    client.send(r#"{"execute":"guest-file-read","arguments":{"handle":1000,"count":41943040}}"#);
    // Nothing is read for a while, so that the agent must wait in the middle of the reply.
    let mut peak_kb = 0;
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(5));
        peak_kb = peak_kb.max(counters::rss_kb(agent.pid()));
    }
    let reply = client.text();
    assert!(reply.ends_with(r#"", "count": 41943040, "eof": false}}"#), "{} bytes", reply.len());
    peak_kb = peak_kb.max(counters::rss_kb(agent.pid()));
    assert!(peak_kb <= RSS_KB_MAX, "{peak_kb} kB during a read of 40 MiB");
}

#[test]
fn handles() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    ping_works(&mut client);
    let descriptors = counters::descriptors(agent.pid());
    for number in 0..HANDLES_MAX {
        let reply = open(&mut client, "/dev/null", "r+");
        assert_eq!(reply, format!(r#"{{"return": {}}}"#, 1000 + number));
    }
    for _ in 0..3 {
        let reply = open(&mut client, "/dev/null", "r");
        assert!(reply.contains(r#""class": "GenericError""#) && reply.contains("128"), "{reply}");
        ping_works(&mut client);
    }
    assert_eq!(
        counters::descriptors(agent.pid()),
        descriptors + HANDLES_MAX,
        "descriptors are lost"
    );
    let close = |handle: usize| {
        format!(r#"{{"execute":"guest-file-close","arguments":{{"handle":{handle}}}}}"#)
    };
    assert_eq!(client.ask(close(1064)), r#"{"return": {}}"#);
    let reply = open(&mut client, "/dev/null", "r");
    assert_eq!(
        reply, r#"{"return": 1128}"#,
        "a failed open takes no number, a closed one is not reused"
    );
    for handle in (1000..=1128).filter(|handle| *handle != 1064) {
        assert_eq!(client.ask(close(handle)), r#"{"return": {}}"#, "handle {handle}");
    }
    assert_eq!(counters::descriptors(agent.pid()), descriptors, "descriptors are lost");
    assert_eq!(client.finish(), b"");
}

#[test]
fn path_bytes() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    let name = agent.folder.join("f").to_str().unwrap().to_owned();
    let long = |bytes: usize| {
        let mut path = "/.".repeat((bytes - name.len()) / 2) + &name;
        if path.len() < bytes {
            path.insert(0, '/');
        }
        assert_eq!(path.len(), bytes);
        path
    };
    for (handle, bytes) in [(1000, PATH_BYTES_MAX - 1), (1001, PATH_BYTES_MAX)] {
        let reply = open(&mut client, &long(bytes), "w");
        assert_eq!(reply, format!(r#"{{"return": {handle}}}"#), "a path of {bytes} bytes");
    }
    for bytes in [PATH_BYTES_MAX + 1, 100_000] {
        let reply = open(&mut client, &long(bytes), "w");
        assert!(reply.ends_with(r#"(mode: 'w'): File name too long"}}"#), "{reply}");
        assert!(reply.contains("failed to open file '/"), "{reply}");
        ping_works(&mut client);
    }
    assert_eq!(client.finish(), b"");
}

/// accept(2) leaves such a client where it is, so it is there again at once: that must not become a
/// busy loop.
#[test]
fn a_client_for_whom_there_is_no_descriptor_waits_and_costs_nothing() {
    let agent = Agent::plain();
    let mut first = agent.connect();
    ping_works(&mut first);
    let open = counters::descriptors(agent.pid());
    drop(first);
    eventually("its descriptor is closed", || counters::descriptors(agent.pid()) < open);
    let is_free =
        |number: &usize| !PathBuf::from(format!("/proc/{}/fd/{number}", agent.pid())).exists();
    let lowest = (0..).find(is_free).expect("a number");
    sys::limit_descriptors(agent.pid(), lowest).expect("a limit for a child");
    let mut client = agent.connect();
    client.send("{\"execute\":\"guest-ping\"}\n");
    let before_ns = counters::cpu_ns(agent.pid());
    std::thread::sleep(Duration::from_millis(2_500));
    let used_ns = counters::cpu_ns(agent.pid()) - before_ns;
    assert!(used_ns < 50_000_000, "{used_ns} ns in 2.5 s");
    let said = agent.stderr();
    assert!(said.contains("client turned away: Too many open files"), "{said}");
    assert!(said.lines().count() < 10, "{said}");
    sys::limit_descriptors(agent.pid(), lowest + 8).expect("a limit for a child");
    assert_eq!(client.text(), r#"{"return": {}}"#);
}
