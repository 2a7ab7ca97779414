//! The complete output of `tlscope`.

use std::{collections::BTreeMap, thread};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::Exchange;

/// The result of `tlscope`. If the test fails, its stderr is printed.
#[derive(Debug)]
pub struct Trace {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// The lines of its stdout.
    pub stdout: Vec<String>,
    /// The lines of its stderr.
    pub stderr: Vec<String>,
}

/// The numbers of the last line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Totals {
    /// Exchanges printed.
    pub exchanges: u64,
    /// Exchanges with only a request or only a response.
    pub half: u64,
    /// Records lost in the kernel.
    pub lost_records: u64,
    /// Bytes lost in the kernel.
    pub lost_bytes: u64,
}

impl Trace {
    /// Returns the lines of one type. Other lines, which may be many, are not parsed.
    pub fn lines_of(&self, kind: &str) -> Result<Vec<Value>> {
        let mut lines = Vec::new();
        for line in &self.stdout {
            let rest = line.strip_prefix(r#"{"v":1,"type":""#);
            let of_kind = rest.and_then(|rest| rest.split('"').next()) == Some(kind);
            ensure!(rest.is_some(), "not a line of output: {line}");
            if of_kind {
                lines.push(serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?);
            }
        }
        Ok(lines)
    }

    /// Returns the exchanges.
    pub fn exchanges(&self) -> Result<Vec<Exchange>> {
        Ok(self.lines_of("exchange")?.into_iter().map(Exchange).collect())
    }

    /// Returns the totals.
    pub fn totals(&self) -> Result<Totals> {
        let closing = self
            .stderr
            .iter()
            .find_map(|line| line.strip_prefix("tlscope: exchanges="));
        let closing = format!(
            "exchanges={}",
            closing.with_context(|| format!("there are no totals in {:?}", self.stderr))?
        );
        let numbers: BTreeMap<_, _> = closing.split(' ').filter_map(|pair| pair.split_once('=')).collect();
        let number = |name: &str| -> Result<u64> {
            Ok(numbers
                .get(name)
                .with_context(|| format!("the totals lack {name}"))?
                .parse()?)
        };
        Ok(Totals {
            exchanges: number("exchanges")?,
            half: number("half")?,
            lost_records: number("lost_records")?,
            lost_bytes: number("lost_bytes")?,
        })
    }

    /// Returns stdout and stderr.
    pub fn everything(&self) -> String {
        [self.stdout.join("\n"), self.stderr.join("\n")].join("\n")
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        if thread::panicking() {
            show(&format!("tlscope ended with {:?}", self.code), &self.stderr);
        }
    }
}

#[expect(clippy::print_stderr, reason = "a failing test prints the stderr of tlscope")]
pub(crate) fn show(what: &str, stderr: &[String]) {
    eprintln!("--- {what}; its stderr:");
    for line in stderr {
        eprintln!("{line}");
    }
    eprintln!("---");
}
