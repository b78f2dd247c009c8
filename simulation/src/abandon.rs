//! A client that leaves half a request and hangs up without anybody's telling the agent: the next one's guest-sync is
//! answered, after at most one error for the half.

use crate::channel::Rest;
use crate::play::Play;
use crate::reply::{self, Answer};
use crate::source::Source;

impl<S: Source> Play<S> {
    pub(crate) fn abandon(&mut self) {
        self.begin();
        let clean = self.request.len();
        match self.source.byte() % 5 {
            0 => self.append("guest-ping", format_args!("")),
            1 => self.append(
                "guest-file-open",
                format_args!("\"path\": \"/a{{b}}\\\\\", \"mode\": \"w\""),
            ),
            2 => self.append("guest-sync", format_args!("\"id\": -1")),
            3 => self.append("guest-exec", format_args!("\"arg\": [\"x\", [true, {{}}], 1.5e3]")),
            _ => {
                self.request.extend_from_slice(b"# garbage {\"execute\": ");
                self.append("guest-ping", format_args!(""))
            }
        };
        // All but the last bracket at most.
        let most = self.request.len() - clean - 2;
        let len = usize::from(self.source.byte()) % most + 1;
        self.request.truncate(clean + len);
        // After this anything may be the request's `id`, a guest-sync too.
        while self.request.ends_with(b"\"id\":") || self.request.ends_with(b"\"id\": ") {
            self.request.pop();
        }
        if self.exchange() != Rest::Idle {
            return;
        }
        let errors = reply::judge_lines(&self.output);
        assert!(errors <= 1, "to half a request: {}", self.output.escape_ascii());
        let number = self.source.number();
        self.begin();
        let id = self.append("guest-sync", format_args!("\"id\": {number}"));
        if self.exchange() != Rest::Idle {
            return;
        }
        let lines = reply::judge_lines(&self.output);
        let shown = || self.output.escape_ascii().to_string();
        assert!((1..=2 - errors).contains(&lines), "replies: {}", shown());
        let ends = self.output.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
        let at = if lines == 2 { ends.unwrap_or(0) } else { 0 };
        match reply::read(&self.output, at..self.output.len(), id) {
            Answer::Value(at) => assert_eq!(reply::number(self.text(at)), number),
            other => panic!("{other:?}: {}", shown()),
        }
    }
}
