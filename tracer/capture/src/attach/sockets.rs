//! The programs that watch sockets, by the kernel's functions and tracepoints.
//!
//! In: the loaded object and the kernel's BTF. Out: what is attached until it is dropped with the object, and what this
//! kernel does not offer. Refuses nothing: without them connections are named by their descriptors alone.

use std::fmt;

use aya::{
    Btf, Ebpf,
    programs::{FEntry, ProgramError, RawTracePoint},
};

use super::{Error, heap, program_of};

/// A part that this kernel does not offer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Missing {
    part: Part,
    why: String,
}

/// What a program is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Sent,
    SentUnix,
    Closed,
    Reset,
    Written,
}

impl Part {
    const fn lost(self) -> &'static str {
        match self {
            Self::Sent => "TCP addresses of connections whose BIO is not a socket's own are not learned",
            Self::SentUnix => "unix sockets of connections whose BIO is not a socket's own are not learned",
            Self::Closed => "the closing of sockets is not noticed",
            Self::Reset => "resets of sockets are not noticed",
            Self::Written => "writes are not read where sockets send",
        }
    }
}

impl Missing {
    /// Returns whether it matters only once such a socket is met, as few programs use one.
    pub fn is_rare(&self) -> bool {
        self.part == Part::SentUnix
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part.lost(), self.why)
    }
}

/// Watches sockets as long as the object lives.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// What this kernel does not offer.
    pub(super) missing: Vec<Missing>,
    ciphertext: bool,
    sends: bool,
}

/// A tracepoint, and the program that goes there.
type Tracepoint = (&'static str, &'static str);

const CLOSING: [Tracepoint; 2] = [
    ("inet_sock_set_state", "socket_state"),
    ("tcp_destroy_sock", "socket_destroyed"),
];
const RESETS: [Tracepoint; 2] = [
    ("tcp_receive_reset", "reset_received"),
    ("tcp_send_reset", "reset_sent"),
];
const SENDING: Tracepoint = ("tcp_sendmsg_locked", "tcp_sending");
/// Where lifts read what is written: the first of these, else at the function.
const LIFTS: [Tracepoint; 2] = [
    ("sock_send_length", "lift_sent"),
    ("tcp_sendmsg_locked", "lift_sending"),
];
const LIFT: (&str, &str) = ("tcp_sendmsg", "lift_tcp_sendmsg");

/// Watches the closing of sockets and, if `connections` are to be told of, their resets.
pub(super) fn attach(ebpf: &mut Ebpf, connections: bool) -> Result<Sockets, Error> {
    let mut sockets = Sockets::default();
    for tracepoint in CLOSING {
        let attached = attach_tracepoint(ebpf, tracepoint)?;
        sockets.note(Part::Closed, attached);
    }
    for tracepoint in RESETS.into_iter().filter(|_| connections) {
        let attached = attach_tracepoint(ebpf, tracepoint)?;
        sockets.note(Part::Reset, attached);
    }
    Ok(sockets)
}

impl Sockets {
    /// Looks for ciphertext in what processes send, from the first call on; to be called before any process has
    /// [`tracer_ebpf::TargetFlags::CIPHERTEXT`]. Returns what this kernel does not offer of it.
    pub(super) fn look_for_ciphertext(&mut self, ebpf: &mut Ebpf) -> Result<&[Missing], Error> {
        let before = self.missing.len();
        if !self.ciphertext {
            self.ciphertext = true;
            // Tens of megabytes, for two numbers.
            let btf = Btf::from_sys_fs().map_err(|source| Error::Load(Box::new(source.into())))?;
            let mut attached = attach_function(ebpf, &btf, ("tcp_sendmsg", "tcp_sendmsg"))?;
            if attached.is_err() {
                attached = attach_tracepoint(ebpf, SENDING)?;
            }
            self.note(Part::Sent, attached);
            let attached = attach_function(ebpf, &btf, ("unix_stream_sendmsg", "unix_stream_sendmsg"))?;
            self.note(Part::SentUnix, attached);
            drop(btf);
            heap::give_back();
        }
        Ok(self.missing.get(before..).unwrap_or_default())
    }

    /// Has lifts read what is written where sockets send, from the first call on. Returns what this kernel does not offer of
    /// it.
    pub(super) fn watch_sends(&mut self, ebpf: &mut Ebpf) -> Result<&[Missing], Error> {
        let before = self.missing.len();
        if !self.sends {
            self.sends = true;
            let attached = attach_lift(ebpf)?;
            self.note(Part::Written, attached);
        }
        Ok(self.missing.get(before..).unwrap_or_default())
    }

    fn note(&mut self, part: Part, attached: Result<(), ProgramError>) {
        if let Err(error) = attached {
            let why = why(&error);
            self.missing.push(Missing { part, why });
        }
    }
}

/// In one line, unless the verifier had something to say.
fn why(error: &ProgramError) -> String {
    if let ProgramError::LoadError { io_error, verifier_log } = error
        && verifier_log.to_string().is_empty()
    {
        return format!("the kernel refused the program: {io_error}");
    }
    error.to_string()
}

fn attach_lift(ebpf: &mut Ebpf) -> Result<Result<(), ProgramError>, Error> {
    for tracepoint in LIFTS {
        let attached = attach_tracepoint(ebpf, tracepoint)?;
        // A tracepoint that the kernel does not have is missed as its program is attached, not as it is loaded.
        if matches!(attached, Ok(()) | Err(ProgramError::LoadError { .. })) {
            return Ok(attached);
        }
    }
    let btf = Btf::from_sys_fs().map_err(|source| Error::Load(Box::new(source.into())))?;
    let attached = attach_function(ebpf, &btf, LIFT);
    drop(btf);
    heap::give_back();
    attached
}

/// The outer error is one of ours.
fn attach_function(
    ebpf: &mut Ebpf,
    btf: &Btf,
    (function, name): (&str, &'static str),
) -> Result<Result<(), ProgramError>, Error> {
    let program: &mut FEntry = program_of(ebpf, name)?;
    let attached = program.load(function, btf).and_then(|()| program.attach().map(drop));
    Ok(attached)
}

fn attach_tracepoint(ebpf: &mut Ebpf, (tracepoint, name): Tracepoint) -> Result<Result<(), ProgramError>, Error> {
    let program: &mut RawTracePoint = program_of(ebpf, name)?;
    let attached = program.load().and_then(|()| program.attach(tracepoint).map(drop));
    Ok(attached)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_part_reads_as_a_sentence_that_says_why() {
        let mut sockets = Sockets::default();
        sockets.note(Part::Sent, Ok(()));
        assert!(sockets.missing.is_empty());
        sockets.note(Part::Closed, Err(ProgramError::NotLoaded));
        let texts: Vec<_> = sockets.missing.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            ["the closing of sockets is not noticed: the program is not loaded"]
        );
    }

    #[test]
    fn what_is_missing_for_unix_sockets_alone_is_rare() {
        let mut sockets = Sockets::default();
        for part in [Part::Sent, Part::SentUnix, Part::Closed, Part::Reset] {
            sockets.note(part, Err(ProgramError::NotLoaded));
        }
        let rare: Vec<_> = sockets.missing.iter().map(Missing::is_rare).collect();
        assert_eq!(rare, [false, true, false, false]);
    }

    #[test]
    fn a_refusal_without_a_word_of_the_verifier_is_one_line() {
        let error = ProgramError::LoadError {
            io_error: std::io::Error::from_raw_os_error(1),
            verifier_log: aya_obj::VerifierLog::new(String::new()),
        };
        let text = why(&error);
        assert!(
            text.contains("Operation not permitted") && !text.contains("erifier"),
            "{text}"
        );
    }
}
