//! Who traced what: the facts of an audit line, before they are redacted.
//!
//! One line is made when the probes are about to be enabled, and one at the end; of a start that fails before that, one alone. They
//! say who runs tlscope, from where, which processes are traced, by which options, and whether secrets are shown. Replays have
//! the same lines.

use std::time::SystemTime;

use crate::batch::ProcessEntry;

http_decode::named_enum! {
    /// What an audit line is about.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    pub enum Event {
        /// The probes are about to be enabled, or the exchanges of a tape to be printed.
        Start => "start",
        /// The trace has ended.
        End => "end",
        /// The trace of an agent has ended because a changed configuration is loaded: a start follows.
        Reload => "reload",
        /// The start failed before anything was captured or printed.
        Refused => "refused",
    }
}

http_decode::named_enum! {
    /// What becomes of secrets.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    pub enum Secrets {
        /// They are masked.
        Masked => "masked",
        /// They are shown, by `--show-secrets`.
        Shown => "shown",
        /// A tape has them, encrypted or not.
        Tape => "tape",
    }
}

http_decode::named_enum! {
    /// How a trace ended.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    pub enum Ended {
        /// By a signal.
        Signal => "signal",
        /// After the time of `--duration`.
        Duration => "duration",
        /// After the number of exchanges of `--count`.
        Count => "count",
        /// Nobody read the output any more.
        OutputClosed => "output_closed",
        /// Every traced process has ended.
        ProcessesEnded => "processes_ended",
        /// All of the tape is replayed.
        TapeEnded => "tape_ended",
        /// A changed configuration is loaded.
        Reload => "reload",
        /// It failed.
        Error => "error",
    }
}

/// The start of a trace.
#[derive(Clone, Debug)]
pub struct Audit {
    /// When it was.
    pub time: SystemTime,
    /// Distinguishes the traces of a machine.
    pub run: String,
    /// Name of the machine.
    pub host: String,
    /// Version and commit of tlscope.
    pub version: String,
    /// Process id of tlscope.
    pub pid: u32,
    /// The command, such as `trace`.
    pub command: &'static str,
    /// Who runs it.
    pub user: User,
    /// From where.
    pub from: Origin,
    /// What the environment says of both.
    pub claims: Claims,
    /// What becomes of secrets.
    pub secrets: Secrets,
    /// The options that were given.
    pub given: Vec<Given>,
    /// The processes that are traced at the start, or that the tape names.
    pub processes: Vec<ProcessEntry>,
    /// Why the trace does not begin; `None` if it does.
    pub refused: Option<String>,
}

/// Who runs tlscope, as the kernel has it.
#[derive(Clone, Debug, Default)]
pub struct User {
    /// Real user id.
    pub uid: u32,
    /// Its name in the passwd database.
    pub name: Option<String>,
    /// User id at login, which no later change of the user alters (`/proc/self/loginuid`).
    pub login_uid: Option<u32>,
    /// Its name in the passwd database.
    pub login_name: Option<String>,
}

/// From where tlscope is run, as the kernel has it.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The controlling terminal, such as `pts/0`.
    pub tty: Option<String>,
    /// Process id of the parent.
    pub parent_pid: Option<u32>,
    /// Short name of the parent.
    pub parent: Option<String>,
}

/// What environment variables say. Whoever runs tlscope can set them to anything.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// `SUDO_USER`: who called sudo.
    pub sudo_user: Option<String>,
    /// `SUDO_UID`: the id of that user.
    pub sudo_uid: Option<String>,
    /// The first word of `SSH_CONNECTION`: the address of the client.
    pub ssh_client: Option<String>,
}

/// An option with a value, or without one.
#[derive(Clone, Debug)]
pub struct Given {
    /// Its long name.
    pub option: String,
    /// Its value, if it takes one.
    pub value: Option<String>,
    /// What it is for.
    pub purpose: Purpose,
    /// What its value is.
    pub kind: ValueKind,
}

/// What an option is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// Which processes are traced, or which tape is replayed.
    Selection,
    /// Which exchanges are printed.
    Filter,
    /// Where lines go.
    Output,
    /// Anything else.
    Setting,
}

/// What the value of an option is, and so what may be a secret in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ValueKind {
    /// A text, in which secrets are found as in the value of a header.
    Text,
    /// The name of a header with a pattern for its value, which is redacted as the value itself would be.
    Header,
    /// A host, which may have a user before it.
    Host,
    /// A pattern for a path, which is redacted as the path itself would be.
    Path,
    /// A URL, of which only scheme, host and port are printed; or `unix://` and a path.
    Url,
    /// A name, `=`, and a value that is a secret.
    NamedSecret,
    /// A secret as a whole.
    Secret,
}

/// The end of a trace.
#[derive(Clone, Copy, Debug)]
pub struct AuditEnd {
    /// When it was.
    pub time: SystemTime,
    /// [`Event::End`] or [`Event::Reload`].
    pub event: Event,
    /// How it ended.
    pub ended: Ended,
    /// Microseconds since the start.
    pub duration_us: u64,
    /// Exchanges that were printed; `None` if none are decoded.
    pub exchanges: Option<u64>,
    /// What was lost in the kernel; `None` if unknown.
    pub lost: Option<crate::batch::Totals>,
    /// Processes that were traced, all together; `None` if unknown.
    pub processes: Option<u64>,
}
