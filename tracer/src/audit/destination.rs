//! Where audit lines go.

use std::{
    fmt, fs,
    io::{self, Write as _},
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process,
    str::FromStr,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tracer_observe::redact::Line;

use crate::private_file;

/// Where audit lines go, as it is given on the command line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum AuditTo {
    /// A file, to which lines are appended.
    File(PathBuf),
    /// The journal of systemd.
    Journal,
    /// The socket of the local syslog.
    Syslog,
    /// The output, among its other lines.
    Output,
}

impl FromStr for AuditTo {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, &'static str> {
        Ok(match word {
            "" => return Err("wanted journal, syslog, output, or a file"),
            "journal" => Self::Journal,
            "syslog" => Self::Syslog,
            "output" => Self::Output,
            path => Self::File(path.into()),
        })
    }
}

/// Whether a trace may go on without its audit lines in a destination.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Required {
    /// It may not: the user asks for it.
    Yes,
    /// It may.
    No,
}

/// Where audit lines go, beside the output.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    to: To,
    pub(super) required: Required,
}

#[derive(Clone, Debug)]
enum To {
    File(PathBuf),
    /// The socket of the journal's own protocol.
    Journal(PathBuf),
    Syslog(PathBuf),
}

impl Destination {
    /// Returns a destination that is asked for; `None` for the output.
    pub(super) fn new(wanted: &AuditTo) -> Option<Self> {
        let to = match wanted {
            AuditTo::File(path) => To::File(path.clone()),
            AuditTo::Journal => To::Journal(JOURNAL.into()),
            AuditTo::Syslog => To::Syslog(SYSLOG.into()),
            AuditTo::Output => return None,
        };
        Some(Self {
            to,
            required: Required::Yes,
        })
    }

    /// Returns the log of the system, if there is one: the journal, or else syslog. The journal passes lines on to a syslog that
    /// runs beside it.
    pub(super) fn log_of_system() -> Option<Self> {
        let is_there = |path: &str| Path::new(path).exists();
        let to = if is_there(JOURNAL) {
            To::Journal(JOURNAL.into())
        } else if is_there(SYSLOG) {
            To::Syslog(SYSLOG.into())
        } else {
            return None;
        };
        Some(Self {
            to,
            required: Required::No,
        })
    }

    /// Returns whether lines go to the log of the system.
    pub(super) const fn is_log_of_system(&self) -> bool {
        match self.to {
            To::Journal(_) | To::Syslog(_) => true,
            To::File(_) => false,
        }
    }

    /// Checks that lines can be written, if the trace may not go on without them.
    pub(super) fn check_if_required(&self) -> Result<()> {
        match self.required {
            Required::Yes => self
                .check()
                .with_context(|| format!("--audit: {self} cannot be written")),
            Required::No => Ok(()),
        }
    }

    /// Checks that lines can be written.
    fn check(&self) -> Result<()> {
        match &self.to {
            To::File(path) => open(path).map(drop),
            To::Journal(path) | To::Syslog(path) => Ok(connect(path).map(drop)?),
        }
    }

    /// Writes a line, of which the JSON is given without a line feed. It is in the file on the disk, or with whoever reads the
    /// socket, once this returns.
    pub(super) fn write(&self, line: &Line<'_>, json: &[u8]) -> Result<()> {
        match &self.to {
            To::File(path) => append(path, json),
            To::Journal(path) => send(path, &journal_message(line, json)),
            To::Syslog(path) => {
                let header = format!("<{}>tlscope[{}]: ", FACILITY * 8 + NOTICE, process::id());
                send(path, &[header.as_bytes(), json].concat())
            }
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.to {
            To::File(path) => path.display().fmt(f),
            To::Journal(path) => write!(f, "the journal ({})", path.display()),
            To::Syslog(path) => write!(f, "syslog ({})", path.display()),
        }
    }
}

/// Opens a file for one line. It is opened for each, so that whoever rotates it need not say so.
fn open(path: &Path) -> Result<fs::File> {
    // Opening a FIFO would wait for its reader, and writing to it for as long as that takes.
    let is_regular = fs::metadata(path).map_or(true, |found| found.is_file());
    ensure!(is_regular, "it is not a regular file");
    private_file::append(path)
}

/// Appends a line, and waits until it is on the disk. If that fails, nothing of it stays in the file.
fn append(path: &Path, json: &[u8]) -> Result<()> {
    let mut file = open(path)?;
    let before = file.metadata()?.len();
    let written = file.write_all(&[json, b"\n"].concat()).and_then(|()| file.sync_data());
    if written.is_err() {
        // The error of the write is the one to tell.
        let _uncut = file.set_len(before).is_err();
    }
    Ok(written?)
}

fn connect(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    // A daemon that hangs must not keep tlscope from ending.
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn send(path: &Path, message: &[u8]) -> Result<()> {
    connect(path)
        .and_then(|socket| socket.send(message))
        .map(drop)
        .context("the line is not taken")
}

/// Makes a message in the journal's own protocol: a field a line. No value has a line feed.
fn journal_message(line: &Line<'_>, json: &[u8]) -> Vec<u8> {
    let (event, run) = match line {
        Line::Audit(line) => (line.event, &*line.run),
        Line::Exchange(_)
        | Line::Hop(_)
        | Line::End(_)
        | Line::Loss(_)
        | Line::Connection(_)
        | Line::Health(_)
        | Line::Hooks(_)
        | Line::Alert(_) => ("", ""),
    };
    let mut message = format!(
        "PRIORITY={NOTICE}\nSYSLOG_FACILITY={FACILITY}\nSYSLOG_IDENTIFIER=tlscope\nSYSLOG_PID={}\nMESSAGE_ID={MESSAGE_ID}\n\
         TLSCOPE_EVENT={event}\nTLSCOPE_RUN={run}\nMESSAGE=",
        process::id(),
    )
    .into_bytes();
    message.extend_from_slice(json);
    message.push(b'\n');
    message
}

/// The socket of the journal, by systemd-journald.service(8).
const JOURNAL: &str = "/run/systemd/journal/socket";

/// The socket of syslog, by syslog(3).
const SYSLOG: &str = "/dev/log";

/// The facility `authpriv` and the severity `notice`, as sudo has them.
const FACILITY: u8 = 10;
const NOTICE: u8 = 5;

/// The id of audit lines in the journal (`MESSAGE_ID=`), for `journalctl`.
const MESSAGE_ID: &str = "2fa9efe867ed4168a407dc58e311b4f4";

/// How long a socket may take for a line.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tracer_observe::{
        audit::{Audit, Claims, Origin, Secrets, User},
        redact::{Redacted, Redactor, Rules},
    };

    use super::*;

    fn line() -> Redacted<Line<'static>> {
        let audit = Audit {
            time: std::time::SystemTime::UNIX_EPOCH,
            run: "7-1".to_owned(),
            host: "gateway".to_owned(),
            version: "1".to_owned(),
            pid: 7,
            command: "trace",
            user: User::default(),
            from: Origin::default(),
            claims: Claims::default(),
            secrets: Secrets::Masked,
            given: Vec::new(),
            processes: Vec::new(),
            refused: None,
        };
        Redactor::audit(Rules::default(), &audit)
    }

    fn to(to: To) -> Destination {
        Destination {
            to,
            required: Required::Yes,
        }
    }

    #[test]
    fn words_are_destinations_and_anything_else_is_a_file() {
        for (word, expected) in [
            ("journal", AuditTo::Journal),
            ("syslog", AuditTo::Syslog),
            ("output", AuditTo::Output),
            ("./journal", AuditTo::File("./journal".into())),
        ] {
            assert_eq!(word.parse(), Ok(expected));
        }
        AuditTo::from_str("").unwrap_err();
    }

    #[test]
    fn a_file_is_private_and_keeps_the_lines_that_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        let file = to(To::File(path.clone()));
        file.check().unwrap();
        file.write(&line(), b"one").unwrap();
        // As logrotate does.
        fs::rename(&path, folder.path().join("audit.1")).unwrap();
        file.write(&line(), b"two").unwrap();
        file.write(&line(), b"three").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("audit.1")).unwrap(), "one\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\nthree\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        for path in [
            fifo,
            folder.path().to_owned(),
            "/dev/full".into(),
            folder.path().join("none/audit"),
        ] {
            to(To::File(path)).check().unwrap_err();
        }
        to(To::Syslog(folder.path().join("log"))).check().unwrap_err();
    }

    #[test]
    fn sockets_get_one_message_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let socket = UnixDatagram::bind(&path).unwrap();
        let receive = || {
            let mut message = [0; 4096];
            let length = socket.recv(&mut message).unwrap();
            String::from_utf8(message[..length].to_vec()).unwrap()
        };
        to(To::Syslog(path.clone())).write(&line(), b"{}").unwrap();
        assert_eq!(receive(), format!("<85>tlscope[{}]: {{}}", process::id()));
        to(To::Journal(path)).write(&line(), b"{}").unwrap();
        let message = receive();
        let fields: Vec<_> = message.lines().collect();
        assert!(message.ends_with("MESSAGE={}\n"), "{message}");
        for field in [
            "PRIORITY=5",
            "SYSLOG_FACILITY=10",
            "SYSLOG_IDENTIFIER=tlscope",
            "TLSCOPE_EVENT=start",
            "TLSCOPE_RUN=7-1",
        ] {
            assert!(fields.contains(&field), "{message}");
        }
    }

    #[test]
    fn a_socket_that_nobody_reads_does_not_hold_up_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let _unread = UnixDatagram::bind(&path).unwrap();
        let log = to(To::Syslog(path));
        let began = std::time::Instant::now();
        let sent = (0..100_000)
            .take_while(|_| log.write(&line(), &[b'x'; 1000]).is_ok())
            .count();
        assert!(sent < 100_000 && began.elapsed() < Duration::from_secs(30), "{sent}");
    }
}
