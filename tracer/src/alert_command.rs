//! `--alert-exec`: runs a command for each alert, with its line of JSON on stdin.
//!
//! Commands run one after the other on a thread of their own. Alerts wait for it in a queue with a bound; those that find it full
//! are counted. A command that takes too long is killed.

use std::{
    io::{self, Write},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tracer_observe::{
    health::{Export, Figures, Subject},
    output::{Error, Json, Sink, Written},
    redact::{Line, Redacted},
};

use crate::{hangups, memory_file, messages::complain};

/// Maximum alerts that wait for their command.
const MAX_WAITING: usize = 64;

/// How long a command may run.
const LONGEST: Duration = Duration::from_secs(10);

/// Minimum time between the beginnings of two commands.
const PAUSE: Duration = Duration::from_millis(100);

/// How long to wait at the end for the commands of alerts that wait.
const END: Duration = Duration::from_secs(5);

/// Interval at which the end of a command is looked for.
const STEP: Duration = Duration::from_millis(5);

/// The sink that runs the command.
pub(crate) struct AlertCommand {
    json: Json<Buffer>,
    line: Buffer,
    queue: SyncSender<Vec<u8>>,
    thread: JoinHandle<()>,
    dropped: u64,
}

impl AlertCommand {
    /// Starts the thread that runs a command of the shell.
    pub(crate) fn start(command: &str) -> io::Result<Self> {
        let (queue, alerts) = sync_channel(MAX_WAITING);
        let command = command.to_owned();
        let thread = thread::Builder::new().name("alerts".to_owned());
        let line = Buffer::default();
        Ok(Self {
            json: Json::new(line.clone()),
            line,
            queue,
            thread: thread.spawn(move || run_all(&command, &alerts))?,
            dropped: 0,
        })
    }
}

impl Sink for AlertCommand {
    fn write(&mut self, line: &Redacted<Line<'_>>) -> Result<Written, Error> {
        if !matches!(&**line, Line::Alert(_)) {
            return Ok(Written::Yes);
        }
        self.json.write(line)?;
        match self.queue.try_send(self.line.take()) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.dropped += 1,
        }
        Ok(Written::Yes)
    }

    fn add_health(&mut self, health: &mut Vec<(Subject, Figures)>) {
        let figures = Figures {
            dropped: std::mem::take(&mut self.dropped),
            ..Figures::default()
        };
        health.push((Subject::Export(Export::AlertCommand), figures));
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        let Self { queue, thread, .. } = *self;
        drop(queue);
        let began = Instant::now();
        while !thread.is_finished() && began.elapsed() < END {
            thread::sleep(STEP);
        }
        if !thread.is_finished() {
            complain("--alert-exec: commands were still to be run at the end, and were not");
        }
        Ok(())
    }
}

/// Runs the command for each alert until there are no more.
fn run_all(command: &str, alerts: &Receiver<Vec<u8>>) {
    let mut has_failed = false;
    loop {
        let Ok(alert) = alerts.recv() else {
            return;
        };
        let began = Instant::now();
        if let Err(error) = run(command, &alert)
            && !std::mem::replace(&mut has_failed, true)
        {
            complain(&format!("--alert-exec: {error}; further failures are not reported"));
        }
        thread::sleep(PAUSE.saturating_sub(began.elapsed()));
    }
}

fn run(command: &str, alert: &[u8]) -> io::Result<()> {
    // A command starts with the signals held back that this thread holds back. An alert comes from a trace, which handles them.
    hangups::release()?;
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        // An alert has what a client sent, and the command need not read it: a pipe would block.
        .stdin(memory_file::with("alert", alert)?)
        // stdout is for lines alone.
        .stdout(Stdio::null())
        .spawn()?;
    wait(&mut child)
}

/// Waits until a command has ended, or kills it.
fn wait(child: &mut Child) -> io::Result<()> {
    let began = Instant::now();
    while began.elapsed() < LONGEST {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(io::Error::other(format!("the command ended with {status}"))),
            None => thread::sleep(STEP),
        }
    }
    child.kill()?;
    child.wait()?;
    Err(io::Error::other(format!(
        "the command took more than {} s",
        LONGEST.as_secs()
    )))
}

/// Room for a line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_gets_the_alert_and_need_not_read_it() {
        // Longer than any pipe.
        let alert = vec![b'x'; 4 * 1024 * 1024];
        run("exit 0", &alert).unwrap();
        run("test $(wc -c) -eq 4194304", &alert).unwrap();
        assert!(run("exit 3", &alert).unwrap_err().to_string().contains('3'));
    }
}
