//! h2load: connections that ask for many streams at once, in HTTP/2.

use std::{
    fmt::Write as _,
    fs,
    io::read_to_string,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::wait;

/// What h2load is to send.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// How many requests.
    pub requests: usize,
    /// Over how many connections.
    pub connections: usize,
    /// How many streams of a connection are open at once.
    pub streams: usize,
    /// To which path; `NUMBER` in it becomes one that no other request of the connection has, up to [`PATHS`].
    pub path: &'a str,
    /// With how many bytes of body, as POST; without any, as GET.
    pub body: usize,
    /// With which fields besides its own.
    pub fields: &'a [&'a str],
    /// With a table of at most so many bytes for the fields it sends; none is h2load's own choice.
    pub table: Option<usize>,
}

/// After so many requests of a connection its paths repeat.
pub const PATHS: usize = 5_000;

impl<'a> Load<'a> {
    /// Many requests to one path, over 20 connections of 50 streams.
    pub const fn of(requests: usize, path: &'a str) -> Self {
        Self {
            requests,
            connections: 20,
            streams: 50,
            path,
            body: 0,
            fields: &[],
            table: None,
        }
    }
}

/// A running h2load.
#[derive(Debug)]
pub struct H2load {
    child: Child,
    requests: usize,
    /// The paths and the body lie in it.
    _directory: TempDir,
}

impl H2load {
    /// Starts sending to `base`, such as `https://127.0.0.1:8443`.
    pub fn start(base: &str, load: Load<'_>) -> Result<Self> {
        let Load {
            requests,
            connections,
            streams,
            path,
            body,
            fields,
            table,
        } = load;
        let directory = tempfile::tempdir()?;
        let (paths, content) = (directory.path().join("paths"), directory.path().join("content"));
        fs::write(&paths, numbered(path, requests.div_ceil(connections).min(PATHS))?)?;
        fs::write(&content, vec![b'u'; body])?;
        let mut command = Command::new("h2load");
        command.args([
            format!("-n{requests}"),
            format!("-c{connections}"),
            format!("-m{streams}"),
        ]);
        command.arg("-B").arg(base).arg("-i").arg(&paths);
        command.args(fields.iter().flat_map(|field| ["-H", field]));
        command.args(table.map(|bytes| format!("--encoder-header-table-size={bytes}")));
        if body > 0 {
            command.arg("-d").arg(&content);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        Ok(Self {
            child: command.spawn().context("h2load did not start")?,
            requests,
            _directory: directory,
        })
    }

    /// Waits for its end; every request must have been answered with success.
    pub fn finish(mut self) -> Result<()> {
        wait::until("the end of h2load", || Ok(self.child.try_wait()?))?;
        let said = self.child.stdout.take().map(read_to_string).transpose()?;
        let said = said.context("its output is read")?;
        let all = format!("{} succeeded, 0 failed, 0 errored, 0 timeout", self.requests);
        ensure!(said.contains(&all), "h2load met errors: {said}");
        Ok(())
    }

    /// Ends it in the middle of its work, and waits until it is gone.
    pub fn kill(mut self) -> Result<()> {
        ensure!(self.child.try_wait()?.is_none(), "h2load had ended by itself");
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for H2load {
    fn drop(&mut self) {
        // It has usually ended before.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn numbered(path: &str, count: usize) -> Result<String> {
    let mut paths = String::new();
    for number in 0..count {
        writeln!(paths, "{}", path.replace("NUMBER", &number.to_string()))?;
    }
    Ok(paths)
}
