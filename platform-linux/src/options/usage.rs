//! The usage text, without the program's name.

use qga_core::phrase;
use qga_core::text::Phrase;

/// The usage text, with what a build has that a file of options can start.
macro_rules! usage {
    ($background:literal, $file:literal) => {
        phrase!(concat!(
            "\
[options]
 -m, --method METHOD  virtio-serial (default), isa-serial, unix-listen
 -p, --path PATH  device or socket (default: virtio port org.qemu.guest_agent.0,
   /dev/ttyS0; a socket needs one)
 -t, --statedir DIR  for the state (default: /run/qga, else /dev/.qga)
 -l, --logfile FILE  append the log to FILE (default: standard error)
 -v, --verbose  log every command
 -r, --retry-path  wait for a device that is missing or goes away
",
            $background,
            " \
-F, --fsfreeze-hook[=FILE]  run FILE at freeze and thaw (default:
   /etc/qemu/fsfreeze-hook)
 -b, --block-rpcs LIST  commands that may not be used (help: which there are)
 -a, --allow-rpcs LIST  the only ones that may
",
            $file,
            " \
--freeze-timeout SECONDS  thaw if nobody has by then (default: never)
 --freeze-deadline SECONDS  what one filesystem may take (default: 120)
 --freeze-unreachable log|fail  what a freeze must leave out: log it (default),
   or fail
 --exclude-interfaces 'veth*;...'  hide these
 -V, --version
 -h, --help
"
        ))
    };
}

/// The usage text, after the program's name.
#[cfg(feature = "config")]
pub const USAGE: Phrase = usage!(
    " \
-d, --daemonize  serve in the background
 -f, --pidfile FILE  with -d (default: /var/run/qemu-ga.pid)
",
    " \
-c, --config FILE  (default: $QGA_CONF, /etc/qemu/qemu-ga.conf)
 -D, --dump-conf  print what is in force as such a file
"
);
/// The same of a build without the file.
#[cfg(not(feature = "config"))]
pub const USAGE: Phrase = usage!("", "");
