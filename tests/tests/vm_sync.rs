//! A guest-sync without a 0xFF, as libvirt sends it, over a virtio port whose last client left
//! something unfinished: it is answered, however soon it comes. Some hundred tries in the ordinary
//! run, ten thousand with `QGA_FIRE=full`, or as many as `QGA_SYNCS` says.

use qga_tests::fire::is_full;
use qga_tests::machine::machine;
use qga_tests::skip;
use std::time::{Duration, Instant};
use xtask::vm::{AGENT_PORT, Vm};

const TRIES: u64 = 300;
const TRIES_FULL: u64 = 10_000;
/// Longest time between the end of one client and the next one.
const GAP_MS_MAX: u64 = 50;
const PATIENCE: Duration = Duration::from_secs(20);

/// Of these something is left, from the first byte to all but the last.
const LEFT: [&str; 6] = [
    r#"{"execute":"guest-ping"}"#,
    r#"{"execute":"guest-file-open","arguments":{"path":"/data/{x}","mode":"r"}}"#,
    r#"{"execute":"guest-sync", "arguments":{"id":1795361773520}}"#,
    r#"{"arguments":{"handle":1000,"count":4096},"execute":"guest-file-read"}"#,
    "\"half a string and nothing else ",
    "@@@ garbage {{{ without an end",
];

/// How many tries, and whether something was asked for.
fn tries(test: &str) -> u64 {
    let asked = std::env::var("QGA_SYNCS").ok().map(|text| text.parse().expect("QGA_SYNCS"));
    match asked {
        Some(tries) => tries,
        None if is_full() => TRIES_FULL,
        None => {
            skip(&format!("vm_sync::{test} ({TRIES_FULL} tries)"), "long: QGA_FIRE=full runs it");
            TRIES
        }
    }
}

/// Numbers that look random, the same for the same seed (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

/// Asks by a guest-sync alone and reads up to its answer, as libvirt does; what came before it.
fn sync(vm: &mut Vm, id: u64, what: &str) -> Vec<String> {
    let mut client = vm.port(AGENT_PORT).unwrap();
    let end = Instant::now() + PATIENCE;
    client.set_timeout(PATIENCE);
    let request = format!("{{\"execute\":\"guest-sync\", \"arguments\":{{\"id\":{id}}}}}\n");
    client.send(request.as_bytes()).unwrap();
    let mut before = Vec::new();
    loop {
        let line = client.receive_line();
        let line =
            line.unwrap_or_else(|error| panic!("no answer after {what}: {error}; {before:?}"));
        let line = line.escape_ascii().to_string();
        if line == format!("{{\\\"return\\\": {id}}}") {
            return before;
        }
        assert!(Instant::now() < end, "no answer after {what}: {before:?}");
        before.push(line);
    }
}

#[test]
fn no_sync_is_lost() {
    let Some(builder) = machine("vm_sync::no_sync_is_lost") else { return };
    let tries = tries("no_sync_is_lost");
    let mut vm = builder.boot().unwrap();
    drop(vm.synced(AGENT_PORT).unwrap());
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let mut errors = 0;
    for number in 0..tries {
        let left = LEFT[numbers.below(LEFT.len() as u64) as usize];
        let half = &left[..1 + numbers.below(left.len() as u64 - 1) as usize];
        let (stay, gap) = (numbers.below(20), numbers.below(GAP_MS_MAX + 1));
        let mut stale = vm.port(AGENT_PORT).unwrap();
        stale.send(half.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(stay));
        drop(stale);
        // Every other one comes at once.
        std::thread::sleep(Duration::from_millis(if number % 2 == 0 { gap } else { 0 }));
        let what = format!("{half:?}, left {stay} ms after, gap {gap} ms (try {number})");
        errors += sync(&mut vm, 1_795_361_000_000 + number, &what).len();
    }
    println!("{tries} guest-syncs answered, {errors} other lines before them");
}
