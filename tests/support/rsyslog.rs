//! Debian's rsyslog, which writes the messages that it gets to a file.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::{kernel, wait};

/// What it listens on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Input {
    /// A port of TCP.
    Tcp,
    /// A UNIX socket, as programs of a machine log to.
    Unix,
    /// A file, which it follows.
    File,
}

/// A running rsyslog.
#[derive(Debug)]
pub struct Rsyslog {
    child: Child,
    input: Input,
    directory: TempDir,
}

impl Rsyslog {
    /// Starts it and waits until it listens.
    pub fn start(input: Input) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let root = directory.path().display();
        let input_of = match input {
            Input::Tcp => format!(
                "module(load=\"imtcp\")\n\
                 input(type=\"imtcp\" address=\"127.0.0.1\" port=\"0\" listenPortFileName=\"{root}/port\")\n"
            ),
            Input::Unix => format!(
                "module(load=\"imuxsock\" sysSock.use=\"off\")\n\
                 input(type=\"imuxsock\" socket=\"{root}/socket\" ratelimit.interval=\"0\")\n"
            ),
            Input::File => {
                fs::write(directory.path().join("lines"), "")?;
                format!(
                    "module(load=\"imfile\")\n\
                     input(type=\"imfile\" file=\"{root}/lines\" tag=\"tlscope\")\n"
                )
            }
        };
        // What follows the name of the program is the message, its space included (RFC 3164).
        let begin = match input {
            Input::Tcp | Input::File => 1,
            Input::Unix => 2,
        };
        let configuration = format!(
            "global(workDirectory=\"{root}\" maxMessageSize=\"256k\")\n\
             {input_of}\
             template(name=\"message\" type=\"string\" string=\"%msg:{begin}:$:drop-last-lf%\\n\")\n\
             if $programname == \"tlscope\" then {{ action(type=\"omfile\" file=\"{root}/received\" template=\"message\") }}\n"
        );
        let file = directory.path().join("rsyslog.conf");
        fs::write(&file, configuration)?;
        let mut command = Command::new("rsyslogd");
        command
            .arg("-n")
            .arg("-f")
            .arg(&file)
            .arg("-i")
            .arg(directory.path().join("pid"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.path().join("stderr.log"))?);
        let child = command.spawn().context("rsyslogd did not start")?;
        let mut rsyslog = Self {
            child,
            input,
            directory,
        };
        wait::until_true("rsyslog listens", || {
            ensure!(rsyslog.child.try_wait()?.is_none(), "it ended");
            Ok(rsyslog.listens())
        })?;
        Ok(rsyslog)
    }

    /// Returns where it listens, as `--syslog` takes it.
    pub fn url(&self) -> Result<String> {
        Ok(match self.input {
            Input::Tcp => format!("tcp://127.0.0.1:{}", fs::read_to_string(self.file("port"))?.trim()),
            Input::Unix => format!("unix://{}", self.file("socket").display()),
            Input::File => bail!("it listens on nothing"),
        })
    }

    /// Returns the path of the file that it follows.
    pub fn followed(&self) -> PathBuf {
        self.file("lines")
    }

    /// Returns the text of the messages that it has written.
    pub fn received(&self) -> Result<String> {
        let file = self.file("received");
        if !file.exists() {
            return Ok(String::new());
        }
        Ok(fs::read_to_string(file)?)
    }

    fn listens(&self) -> bool {
        match self.input {
            Input::Tcp => fs::read_to_string(self.file("port")).is_ok_and(|port| !port.trim().is_empty()),
            Input::Unix => self.file("socket").exists(),
            Input::File => true,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        // It may have ended already.
        drop(kernel::signal(self.child.id(), libc::SIGTERM));
        drop(self.child.wait());
    }
}
