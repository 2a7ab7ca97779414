//! The audit of traces and replays: who traces what, from where, and how that ended.
//!
//! A line is written before the probes are enabled, so that nothing is captured without one, and one at the end; of a start that
//! fails before, one with the reason. They go to the log of the system, as those of sudo do, and to what `--audit` names; no
//! option keeps them from the log of the system, and no filter, sample or limit applies to them.

mod destination;
mod given;
mod origin;
mod trail;

use std::{cell::Cell, process, time::SystemTime};

use anyhow::{Error, Result};
use tracer_observe::{
    audit::{Audit, Secrets},
    batch::ProcessEntry,
    output::JsonLines,
    redact::{Line, Redacted, Redactor, Rules},
};

use self::destination::Destination;
#[cfg(test)]
#[cfg(feature = "live")]
pub(crate) use self::given::is_sorted;
pub(crate) use self::{
    destination::AuditTo,
    given::Options,
    trail::{Ending, Trail},
};
use crate::messages::complain;

/// What one command says of a trace.
pub(crate) struct Facts {
    /// The name of the command.
    pub(crate) command: &'static str,
    /// The options that were given.
    pub(crate) options: Options,
    /// What becomes of secrets.
    pub(crate) secrets: Secrets,
    /// What else is masked.
    pub(crate) rules: Rules,
}

impl Facts {
    /// Returns the line of the start of a trace of these processes, by whoever runs this process; with a reason, of one that
    /// does not begin.
    fn line(&self, run: &str, processes: Vec<ProcessEntry>, refused: Option<String>) -> Redacted<Line<'static>> {
        let Self {
            command,
            options,
            secrets,
            rules,
        } = self;
        let audit = Audit {
            time: SystemTime::now(),
            run: run.to_owned(),
            host: origin::host(),
            version: env!("TLSCOPE_LONG_VERSION").to_owned(),
            pid: process::id(),
            command,
            user: origin::user(),
            from: origin::from(),
            claims: origin::claims(),
            secrets: *secrets,
            given: options.0.clone(),
            processes,
            refused,
        };
        Redactor::audit(rules.clone(), &audit)
    }
}

/// An audit that is to begin.
pub(crate) struct Auditor {
    facts: Facts,
    /// Distinguishes this trace from others of the machine.
    run: String,
    destinations: Vec<Destination>,
    to_output: bool,
    has_begun: Cell<bool>,
}

impl Auditor {
    /// Opens the destinations: the log of the system, if there is one, and those that are asked for. Fails if one of these
    /// cannot be written; the others get a line of that.
    pub(crate) fn open(wanted: &[AuditTo], facts: Facts) -> Result<Self> {
        let mut destinations: Vec<_> = wanted.iter().filter_map(Destination::new).collect();
        if !destinations.iter().any(Destination::is_log_of_system) {
            destinations.extend(Destination::log_of_system());
        }
        let mut failed = None;
        destinations.retain(|destination| match destination.check_if_required() {
            Ok(()) => true,
            Err(error) => {
                failed.get_or_insert(error);
                false
            }
        });
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let auditor = Self {
            facts,
            run: format!("{}-{:x}", process::id(), since.unwrap_or_default().as_nanos()),
            destinations,
            to_output: wanted.contains(&AuditTo::Output),
            has_begun: Cell::new(false),
        };
        match failed {
            None => Ok(auditor),
            Some(error) => {
                auditor.refuse(&error);
                Err(error)
            }
        }
    }

    /// Lets a command start a trace. If that fails before [`start`](Self::start), the line says so.
    pub(crate) fn attempt<T>(&self, start: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        start(self).inspect_err(|error| {
            if !self.has_begun.get() {
                self.refuse(error);
            }
        })
    }

    /// Writes the line of the start of a trace of these processes. Fails if a destination that is asked for cannot be written.
    pub(crate) fn start(&self, processes: Vec<ProcessEntry>) -> Result<Trail> {
        let mut trail = self.trail(self.facts.line(&self.run, processes, None));
        trail.write_line()?;
        self.has_begun.set(true);
        Ok(trail)
    }

    /// Writes that a start failed. Whether that can be written changes nothing in how the command fails.
    fn refuse(&self, error: &Error) {
        let line = self.facts.line(&self.run, Vec::new(), Some(format!("{error:#}")));
        if let Err(unaudited) = self.trail(line).write_line() {
            complain(&format!("{unaudited:#}"));
        }
    }

    fn trail(&self, line: Redacted<Line<'static>>) -> Trail {
        Trail {
            line,
            destinations: self.destinations.clone(),
            to_output: self.to_output,
            json: JsonLines::default(),
        }
    }
}

/// Returns the JSON of the line of the start.
#[cfg(test)]
#[cfg(feature = "live")]
pub(crate) fn line_of(facts: &Facts) -> String {
    let line = facts.line("1-1", Vec::new(), None);
    String::from_utf8(JsonLines::default().format(&line).unwrap().to_vec()).unwrap()
}
