//! Attaches the programs at the kernel's socket functions and tracepoints.
//!
//! A kernel may lack any of them, or refuse the program. That is no error: a [`Missing`] says what is not captured then,
//! and addresses still come from descriptors.

use std::fmt;

use aya::{
    Btf, Ebpf,
    programs::{FEntry, KProbe, ProgramError, RawTracePoint, kprobe::KProbeError},
};

use super::{Error, memory, program_of};

/// A program that this kernel refused, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Missing {
    purpose: Purpose,
    why: String,
}

/// What a socket program is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Purpose {
    Sent,
    SentUnix,
    Closed,
    ClosedUnix,
    Reset,
    Lift,
    Plain,
}

impl Purpose {
    /// Returns what is not captured without the program.
    const fn effect(self) -> &'static str {
        match self {
            Self::Sent => "TCP addresses of connections whose BIO is not a socket's own are not known",
            Self::SentUnix => "unix sockets of connections whose BIO is not a socket's own are not known",
            Self::Closed => "closed sockets are not reported",
            Self::ClosedUnix => "a response without TLS that ends with a UNIX socket ends late",
            Self::Reset => "resets of sockets are not reported",
            Self::Lift => "what is written is captured by probes at calls, which cost more",
            Self::Plain => "HTTP without TLS is not captured",
        }
    }
}

impl Missing {
    /// Returns whether it concerns only UNIX sockets, which few programs use.
    pub fn is_rare(&self) -> bool {
        self.purpose == Purpose::SentUnix
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.purpose.effect(), self.why)
    }
}

/// The state of the socket programs, which stay attached as long as the BPF object is loaded.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// The programs that this kernel refused.
    pub(super) missing: Vec<Missing>,
    /// Whether the lookup of ciphertext is attached: by itself, or with the program where sockets have sent.
    has_ciphertext_lookup: bool,
    /// Whether HTTP without TLS is to be captured, and then whether it is.
    pub(super) plain: bool,
}

/// A tracepoint and the name of its program.
type Tracepoint = (&'static str, &'static str);

const CLOSING: [Tracepoint; 2] = [
    ("inet_sock_set_state", "socket_state"),
    ("tcp_destroy_sock", "socket_destroyed"),
];
const RESETS: [Tracepoint; 2] = [
    ("tcp_receive_reset", "reset_received"),
    ("tcp_send_reset", "reset_sent"),
];
/// The tracepoint where every socket has sent, whose programs look up ciphertext as well.
const SENT: &str = "sock_send_length";
const SENDING: Tracepoint = ("tcp_sendmsg_locked", "tcp_sending");
/// Where the program of lifts is attached: at the first of these tracepoints that exists, else at the function.
const LIFTS: [Tracepoint; 2] = [(SENT, "lift_sent"), ("tcp_sendmsg_locked", "lift_sending")];
const LIFT: (&str, &str) = ("tcp_sendmsg", "lift_tcp_sendmsg");
/// The programs that capture what sockets move without TLS. The one where sockets send is that of lifts too.
const PLAIN: [Tracepoint; 2] = [("sock_recv_length", "socket_received"), (SENT, "socket_sent")];

/// The program that ends connections of UNIX sockets without TLS.
const CLOSING_UNIX: (&str, &str) = ("unix_release", "unix_socket_released");

/// Attaches the programs that report closed sockets and, for `--connections`, those that report resets.
pub(super) fn attach(ebpf: &mut Ebpf, connections: bool) -> Result<Sockets, Error> {
    let mut sockets = Sockets::default();
    for tracepoint in CLOSING {
        let attached = attach_tracepoint(ebpf, tracepoint)?;
        sockets.add(Purpose::Closed, attached);
    }
    for tracepoint in RESETS.into_iter().filter(|_| connections) {
        let attached = attach_tracepoint(ebpf, tracepoint)?;
        sockets.add(Purpose::Reset, attached);
    }
    Ok(sockets)
}

impl Sockets {
    /// Attaches the programs that look up ciphertext in what processes send, if they are not attached: after those of lifts, and
    /// before any process has [`tracer_ebpf::TargetFlags::CIPHERTEXT`]. Returns the programs that this call found refused.
    pub(super) fn attach_ciphertext_lookup(&mut self, ebpf: &mut Ebpf) -> Result<&[Missing], Error> {
        let before = self.missing.len();
        if !self.has_ciphertext_lookup {
            self.has_ciphertext_lookup = true;
            // Needed for the BTF ids of two functions. It takes tens of megabytes.
            let btf = Btf::from_sys_fs().map_err(|source| Error::Load(Box::new(source.into())))?;
            let mut attached = attach_function(ebpf, &btf, ("tcp_sendmsg", "tcp_sendmsg"))?;
            if attached.is_err() {
                attached = attach_tracepoint(ebpf, SENDING)?;
            }
            self.add(Purpose::Sent, attached);
            let attached = attach_function(ebpf, &btf, ("unix_stream_sendmsg", "unix_stream_sendmsg"))?;
            self.add(Purpose::SentUnix, attached);
            drop(btf);
            memory::trim_heap();
        }
        Ok(self.missing.get(before..).unwrap_or_default())
    }

    /// Attaches the program of lifts. Returns it if this kernel refused it: then calls are probed.
    pub(super) fn attach_lift(&mut self, ebpf: &mut Ebpf) -> Result<Option<Missing>, Error> {
        for (tracepoint, name) in LIFTS {
            let attached = attach_tracepoint(ebpf, (tracepoint, name))?;
            // An absent tracepoint fails the attachment and not the load: then the next one is tried.
            if matches!(attached, Ok(()) | Err(ProgramError::LoadError { .. })) {
                self.has_ciphertext_lookup |= tracepoint == SENT && attached.is_ok();
                return Ok(refused(Purpose::Lift, attached));
            }
        }
        let btf = Btf::from_sys_fs().map_err(|source| Error::Load(Box::new(source.into())))?;
        let attached = attach_function(ebpf, &btf, LIFT)?;
        drop(btf);
        memory::trim_heap();
        Ok(refused(Purpose::Lift, attached))
    }

    /// Attaches the programs that capture what sockets move without TLS, and lifts with them. Returns what this kernel refused:
    /// then neither is attached.
    pub(super) fn attach_plain(&mut self, ebpf: &mut Ebpf) -> Result<Option<Missing>, Error> {
        let [received, sent] = PLAIN;
        let mut attached = attach_tracepoint(ebpf, received)?;
        if attached.is_ok() {
            attached = attach_tracepoint(ebpf, sent)?;
        }
        self.has_ciphertext_lookup |= attached.is_ok();
        if attached.is_err() {
            // Without the other, half of each conversation would be captured. A program that is not loaded has no links.
            let (_, name) = received;
            let program: &mut RawTracePoint = program_of(ebpf, name)?;
            drop(program.unload());
        }
        Ok(refused(Purpose::Plain, attached))
    }

    /// Attaches the program that ends what [`Self::attach_plain`] captures of UNIX sockets.
    pub(super) fn attach_unix_closing(&mut self, ebpf: &mut Ebpf) -> Result<(), Error> {
        let (function, name) = CLOSING_UNIX;
        let program: &mut KProbe = program_of(ebpf, name)?;
        let attached = program.load().and_then(|()| program.attach(function, 0).map(drop));
        self.add(Purpose::ClosedUnix, attached);
        Ok(())
    }

    fn add(&mut self, purpose: Purpose, attached: Result<(), ProgramError>) {
        self.missing.extend(refused(purpose, attached));
    }
}

/// Returns the program, if this kernel refused it.
fn refused(purpose: Purpose, attached: Result<(), ProgramError>) -> Option<Missing> {
    let why = why(&attached.err()?);
    Some(Missing { purpose, why })
}

/// Returns the error in one line, unless the verifier wrote a log.
fn why(error: &ProgramError) -> String {
    if let ProgramError::KProbeError(KProbeError::FileError { .. }) = error {
        return "this kernel has no kprobes".to_owned();
    }
    if let ProgramError::LoadError { io_error, verifier_log } = error
        && verifier_log.to_string().is_empty()
    {
        return format!("the kernel refused the program: {io_error}");
    }
    error.to_string()
}

/// Returns that this kernel has no tracepoint for it.
pub(super) fn lacks_plain() -> Missing {
    Missing {
        purpose: Purpose::Plain,
        why: "this kernel has no tracepoints where sockets send and receive (Linux 6.3)".to_owned(),
    }
}

/// Attaches a program to a function of the kernel. The inner error is the kernel's refusal; the outer one means that the
/// object lacks the program.
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
    fn a_missing_program_is_shown_with_its_effect_and_the_error() {
        let mut sockets = Sockets::default();
        sockets.add(Purpose::Sent, Ok(()));
        assert!(sockets.missing.is_empty());
        sockets.add(Purpose::Closed, Err(ProgramError::NotLoaded));
        let texts: Vec<_> = sockets.missing.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["closed sockets are not reported: the program is not loaded"]);
    }

    #[test]
    fn only_a_missing_program_for_unix_sockets_is_rare() {
        let mut sockets = Sockets::default();
        for purpose in [Purpose::Sent, Purpose::SentUnix, Purpose::Closed, Purpose::Reset] {
            sockets.add(purpose, Err(ProgramError::NotLoaded));
        }
        let rare: Vec<_> = sockets.missing.iter().map(Missing::is_rare).collect();
        assert_eq!(rare, [false, true, false, false]);
    }

    #[test]
    fn a_refusal_without_a_verifier_log_is_one_line() {
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
