//! h2load: HTTP/2 connections with many concurrent streams.

use std::{
    fmt::Write as _,
    fs,
    io::read_to_string,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::wait;

/// What h2load sends.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// The number of requests.
    pub requests: usize,
    /// The number of connections.
    pub connections: usize,
    /// The number of concurrent streams of a connection.
    pub streams: usize,
    /// The path. `NUMBER` in it is replaced with a number that is unique in the connection, up to [`PATHS`] requests.
    pub path: &'a str,
    /// The size of the body in bytes. Requests are POST, or GET if it is 0.
    pub body: usize,
    /// Additional header fields.
    pub fields: &'a [&'a str],
    /// The maximum size of its HPACK table in bytes; `None` is the default of h2load.
    pub table: Option<usize>,
}

/// The number of requests of a connection after which paths repeat.
pub const PATHS: usize = 5_000;

impl<'a> Load<'a> {
    /// Requests to one path over 20 connections of 50 streams.
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
    /// Contains the paths and the body.
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

    /// Waits for its end. Fails unless all requests succeeded.
    pub fn finish(mut self) -> Result<()> {
        wait::until("the end of h2load", || Ok(self.child.try_wait()?))?;
        let printed = self.child.stdout.take().map(read_to_string).transpose()?;
        let printed = printed.context("stdout is not piped")?;
        let all = format!("{} succeeded, 0 failed, 0 errored, 0 timeout", self.requests);
        ensure!(printed.contains(&all), "h2load reported errors: {printed}");
        Ok(())
    }

    /// Kills it while it runs, and waits for its end.
    pub fn kill(mut self) -> Result<()> {
        ensure!(self.child.try_wait()?.is_none(), "h2load had ended by itself");
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for H2load {
    fn drop(&mut self) {
        // It has usually ended already.
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
