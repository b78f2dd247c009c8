//! The floor of CPU time a ping: an agent's command line goes in, a server comes out that answers
//! whatever comes with a ping's reply. A read and a write, no more: no agent can take less time.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use crate::{ElseSay, Result};

/// The largest share of its own that ours may add to the floor: poll(2) beside the two calls, and
/// reading the request. 0.13 to 0.26 were measured.
pub const OVER_FLOOR_MAX: f64 = 1.0 / 3.0;

/// Serves one client on the socket behind `-p`, until that hangs up.
pub fn serve(line: &[String]) -> Result<()> {
    let place = line.iter().position(|word| word == "-p").map(|place| place + 1);
    let socket = place.and_then(|place| line.get(place)).ok_or("--floor: no -p SOCKET")?;
    answer(socket).else_say(format!("--floor: {socket}"))
}

fn answer(socket: &str) -> std::io::Result<()> {
    let (mut stream, _) = UnixListener::bind(socket)?.accept()?;
    let mut room = [0; 4096];
    while stream.read(&mut room)? > 0 {
        stream.write_all(b"{\"return\": {}}\n")?;
    }
    Ok(())
}
