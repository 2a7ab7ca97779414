//! Lines as syslog messages: a header, and the JSON of the line as it is.

use std::process;

use tracer_observe::redact::{Line, Time};

use super::destination::Destination;

/// The facility `local0`, which is for local use.
const FACILITY: u8 = 16;

/// Severities: what tlscope saw, and what it may not have seen.
const INFORMATIONAL: u8 = 6;
/// Of an audit line, as sudo has it.
const NOTICE: u8 = 5;
const WARNING: u8 = 4;
/// Of an alert.
const CRITICAL: u8 = 2;

/// How messages are delimited, and which header they have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Framing {
    /// RFC 5424, each message with its length before it, on a stream.
    Counted,
    /// RFC 5424, each message by itself.
    Datagram,
    /// The header that `syslog(3)` makes, without time and host: those who listen on `/dev/log` expect it.
    Local,
}

impl From<&Destination> for Framing {
    fn from(destination: &Destination) -> Self {
        match destination {
            Destination::Tcp(_) => Self::Counted,
            Destination::Udp(_) => Self::Datagram,
            Destination::Unix(_) => Self::Local,
        }
    }
}

/// Makes messages.
#[derive(Debug)]
pub(super) struct Formatter {
    framing: Framing,
    host: String,
    process: u32,
}

impl Formatter {
    pub(super) fn new(framing: Framing) -> Self {
        Self {
            framing,
            host: host(),
            process: process::id(),
        }
    }

    /// Makes the message of a line, of which the JSON is given.
    pub(super) fn format(&self, line: &Line<'_>, json: &[u8]) -> Vec<u8> {
        let (kind, severity, time) = described(line);
        let priority = FACILITY * 8 + severity;
        let Self { framing, host, process } = self;
        let header = match framing {
            Framing::Counted | Framing::Datagram => {
                let time = time.map_or_else(|| "-".to_owned(), micros);
                format!("<{priority}>1 {time} {host} tlscope {process} {kind} - ")
            }
            Framing::Local => format!("<{priority}>tlscope[{process}]: "),
        };
        let json = json.trim_ascii_end();
        let length = header.len() + json.len();
        let count = match framing {
            Framing::Counted => format!("{length} "),
            Framing::Datagram | Framing::Local => String::new(),
        };
        [count.as_bytes(), header.as_bytes(), json].concat()
    }
}

/// Returns the type of a line, its severity and its time.
const fn described<'a>(line: &'a Line<'_>) -> (&'static str, u8, Option<&'a Time>) {
    match line {
        Line::Exchange(line) => ("exchange", INFORMATIONAL, Some(&line.time)),
        Line::Hop(line) => ("hop", INFORMATIONAL, Some(&line.time)),
        // It has none of its own.
        Line::End(_) => ("end", INFORMATIONAL, None),
        Line::Connection(line) => ("connection", INFORMATIONAL, Some(&line.time)),
        Line::Loss(line) => ("loss", WARNING, Some(&line.time)),
        Line::Health(line) => ("health", WARNING, Some(&line.time)),
        Line::Hooks(line) => ("health", WARNING, Some(&line.time)),
        Line::Alert(line) => ("alert", severity_of_alert(line.severity), Some(&line.time)),
        Line::Audit(line) => ("audit", NOTICE, Some(&line.time)),
    }
}

const fn severity_of_alert(severity: &str) -> u8 {
    match severity.as_bytes() {
        b"info" => INFORMATIONAL,
        b"critical" => CRITICAL,
        _ => WARNING,
    }
}

/// Returns a time with as many digits as RFC 5424 allows.
fn micros(time: &Time) -> String {
    let mut text = time.to_string();
    if text.len() == "2026-11-30T12:41:09.123456789Z".len() {
        text.truncate("2026-11-30T12:41:09.123456".len());
        text.push('Z');
    }
    text
}

/// Returns the name of this machine, in the characters and the length that RFC 5424 allows.
fn host() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name: String = name.chars().filter(char::is_ascii_graphic).take(255).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}
