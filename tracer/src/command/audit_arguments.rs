//! The options of audit lines.

use anyhow::Result;
use clap::{Args, error::ErrorKind};
use tracer_observe::{
    audit::Secrets,
    redact::{RedactArgs, Rules},
};

use crate::{
    audit::{AuditTo, Auditor, Facts, Options},
    encryption::IdentityArgs,
};

/// Where audit lines go.
#[derive(Args, Debug)]
pub(super) struct AuditArgs {
    /// Also write who traces or replays what, at the start and at the end, to this file, to the journal, to syslog, or to the
    /// output; may be repeated. The journal, or else syslog, gets it in any case, if there is one; of a replay, if that shows
    /// secrets or opens an encrypted tape
    #[arg(id = "audit", long, value_name = "FILE|journal|syslog|output")]
    to: Vec<AuditTo>,
    /// The options that were given, of this and all other groups.
    #[arg(skip)]
    pub(super) options: Options,
}

impl AuditArgs {
    /// Opens the audit of a replay, if it has one: if it is asked for, secrets are shown, or an encrypted tape is opened.
    pub(super) fn open_of_tape(
        &self,
        command: &'static str,
        redact: &RedactArgs,
        keys: &IdentityArgs,
    ) -> Result<Option<Auditor>> {
        let is_audited = !self.to.is_empty() || redact.show_secrets || keys.are_given();
        is_audited.then(|| self.open(command, Some(redact))).transpose()
    }

    /// Opens the audit of a command whose output is redacted by these rules; `None` is that of a tape.
    pub(super) fn open(&self, command: &'static str, redact: Option<&RedactArgs>) -> Result<Auditor> {
        let secrets = match redact {
            None => Secrets::Tape,
            Some(redact) if redact.show_secrets => Secrets::Shown,
            Some(_) => Secrets::Masked,
        };
        let rules = redact.map(|redact| Rules {
            names: redact.names.clone(),
            patterns: redact.patterns.clone(),
            ..Rules::default()
        });
        let facts = Facts {
            command,
            options: self.options.clone(),
            secrets,
            rules: rules.unwrap_or_default(),
        };
        Auditor::open(&self.to, facts)
    }

    /// Checks the options of a command whose output has no place for audit lines.
    pub(super) fn check_without_output(&self) -> Result<(), clap::Error> {
        if self.to.contains(&AuditTo::Output) {
            let message = "--audit output: the output of this command has no lines of that kind; wanted journal, syslog or a file";
            return Err(clap::Error::raw(ErrorKind::ArgumentConflict, format!("{message}\n")));
        }
        Ok(())
    }
}
