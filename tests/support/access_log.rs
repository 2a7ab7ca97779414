//! The access log of nginx, which the tests compare with the trace.

use std::{collections::HashMap, fs, io::Read as _, path::Path};

use anyhow::{Context as _, Result};

/// The format of a line, with the fields of [`Access`] in order.
pub const FORMAT: &str = "$request_id $remote_addr $remote_port $connection $request_method $status $request_uri $pid";

/// A line of the access log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Access {
    /// `$request_id`, which the response carries as `X-Request-ID`.
    pub id: String,
    /// `$remote_addr:$remote_port`.
    pub remote: String,
    /// `$connection`, a number.
    pub connection: String,
    /// `$request_method`.
    pub method: String,
    /// `$status`.
    pub status: u64,
    /// `$request_uri`, path and query as received.
    pub uri: String,
    /// `$pid`, that of the worker; `None` if the log has no such field.
    pub pid: Option<u64>,
}

impl Access {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ').map(str::to_owned);
        let (id, address, port) = (words.next()?, words.next()?, words.next()?);
        Some(Self {
            id,
            remote: format!("{address}:{port}"),
            connection: words.next()?,
            method: words.next()?,
            status: words.next()?.parse().ok()?,
            uri: words.next()?,
            pid: words.next().and_then(|pid| pid.parse().ok()),
        })
    }
}

/// Counts the lines of a growing log, reading each byte once.
#[derive(Debug)]
pub(crate) struct Tail {
    file: fs::File,
    lines: usize,
}

impl Tail {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Ok(Self {
            file: fs::File::open(path)?,
            lines: 0,
        })
    }

    pub(crate) fn count(&mut self) -> Result<usize> {
        let mut grown = Vec::new();
        self.file.read_to_end(&mut grown)?;
        self.lines += grown.split(|byte| *byte == b'\n').count().saturating_sub(1);
        Ok(self.lines)
    }
}

/// Reads a log up to its last complete line.
pub(crate) fn read(path: &Path) -> Result<Vec<Access>> {
    let text = fs::read_to_string(path)?;
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let parse = |line| Access::parse(line).with_context(|| format!("cannot parse the log line: {line}"));
    whole.lines().map(parse).collect()
}

/// Maps request ids to lines.
pub fn by_id(log: &[Access]) -> HashMap<&str, &Access> {
    log.iter().map(|access| (access.id.as_str(), access)).collect()
}
