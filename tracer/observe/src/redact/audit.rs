//! Audit lines as they are printed.
//!
//! What was given on the command line may have secrets as well as what was traced: a filter with a token, a URL with a password.
//! They are masked by the same rules, whatever `--show-secrets` says of the output.

use std::cmp::Reverse;

use super::{
    AuditClaimsLine, AuditLine, AuditOriginLine, AuditProcessLine, AuditUserLine, GivenLine, Printable, Time, field,
    members::Text, secrets::Secrets, url, values::Composer,
};
use crate::{
    audit::{Audit, AuditEnd, Claims, Event, Given, Origin, Purpose, Secrets as Becomes, User, ValueKind},
    batch::{ProcessEntry, Totals},
    limits::{MAX_AUDIT_OPTIONS, MAX_AUDIT_PROCESSES, MAX_AUDIT_TEXT_BYTES},
};

impl Composer<'_> {
    /// Converts the start of a trace.
    pub(super) fn audit(&mut self, audit: &Audit) -> AuditLine<'static> {
        let Audit {
            time,
            run,
            host,
            version,
            pid,
            command,
            user:
                User {
                    uid,
                    name,
                    login_uid,
                    login_name,
                },
            from: Origin {
                tty,
                parent_pid,
                parent,
            },
            claims,
            secrets,
            given,
            processes,
            refused,
        } = audit;
        let mut left_out = 0;
        let mut options = |purpose| {
            let mut options = Vec::new();
            for given in given.iter().filter(|given| given.purpose == purpose) {
                if options.len() < MAX_AUDIT_OPTIONS {
                    options.push(self.given(given));
                } else {
                    left_out += 1;
                }
            }
            options
        };
        let selection = options(Purpose::Selection);
        let filters = options(Purpose::Filter);
        let outputs = options(Purpose::Output);
        let settings = options(Purpose::Setting);
        left_out += processes.len().saturating_sub(MAX_AUDIT_PROCESSES);
        let text = |composer: &mut Self, text: &Option<String>| text.as_deref().map(|text| composer.audit_text(text));
        AuditLine {
            time: Time::new(*time),
            event: if refused.is_some() {
                Event::Refused
            } else {
                Event::Start
            }
            .name(),
            run: self.audit_text(run),
            host: self.audit_text(host),
            version: self.audit_text(version),
            pid: *pid,
            command,
            user: AuditUserLine {
                uid: *uid,
                name: text(self, name),
                login_uid: *login_uid,
                login_name: text(self, login_name),
            },
            from: AuditOriginLine {
                tty: text(self, tty),
                parent: text(self, parent),
                parent_pid: *parent_pid,
            },
            claims: self.claims(claims),
            secrets: Becomes::name(*secrets),
            selection,
            filters,
            outputs,
            settings,
            left_out: Some(left_out.try_into().unwrap_or(u64::MAX)).filter(|left_out| *left_out > 0),
            processes: processes
                .iter()
                .take(MAX_AUDIT_PROCESSES)
                .map(|process| self.process(process))
                .collect(),
            reason: refused.as_deref().map(|reason| self.reason(reason, given)),
            ended: None,
            duration_us: None,
            exchanges: None,
            lost_records: None,
            lost_bytes: None,
            processes_traced: None,
            encoding: self.encoding(),
        }
    }

    fn claims(&mut self, claims: &Claims) -> Option<AuditClaimsLine<'static>> {
        let Claims {
            sudo_user,
            sudo_uid,
            ssh_client,
        } = claims;
        let mut text = |text: &Option<String>| text.as_deref().map(|text| self.audit_text(text));
        let line = AuditClaimsLine {
            sudo_user: text(sudo_user),
            sudo_uid: text(sudo_uid),
            ssh_client: text(ssh_client),
        };
        let is_empty = line.sudo_user.is_none() && line.sudo_uid.is_none() && line.ssh_client.is_none();
        (!is_empty).then_some(line)
    }

    fn process(&mut self, process: &ProcessEntry) -> AuditProcessLine<'static> {
        let ProcessEntry { pid, name } = process;
        AuditProcessLine {
            pid: *pid,
            name: self.audit_text(name),
        }
    }

    /// Prints why a trace does not begin. A message may repeat the value of an option, of which no more is printed than of the
    /// option itself.
    fn reason(&mut self, reason: &str, given: &[Given]) -> Printable<'static> {
        let mut masked: Vec<(&str, Printable<'static>)> = Vec::new();
        for given in given {
            let (Some(value), (_, Some(printed))) = (&given.value, self.given(given)) else {
                continue;
            };
            if *printed != **value {
                masked.push((value, printed));
                // What follows the name of a header may be repeated alone.
                let alone = value.split_once(['=', ':']).map_or("", |(_, alone)| alone.trim());
                masked.push((alone, self.masked_after(alone, 0)));
            }
        }
        masked.retain(|(value, _)| !value.is_empty());
        // Of two that overlap, the longer one is all of it.
        masked.sort_by_key(|(value, _)| Reverse(value.len()));
        let shown = masked.iter().fold(reason.to_owned(), |shown, (value, printed)| {
            shown.replace(value, printed)
        });
        self.audit_text(&shown)
    }

    fn given(&mut self, given: &Given) -> GivenLine<'static> {
        let Given {
            option,
            value,
            purpose: _,
            kind,
        } = given;
        let value = value.as_deref().map(|value| match kind {
            ValueKind::Text => self.audit_text(value),
            ValueKind::Header => self.header_filter(value),
            ValueKind::Host => {
                let secrets = self.redactor.secrets(value.as_bytes(), |search, secrets| {
                    field::mark_authority(value.as_bytes(), search, secrets);
                });
                self.audit_secrets(value, secrets)
            }
            ValueKind::Path => {
                let secrets = self.redactor.secrets(value.as_bytes(), |search, secrets| {
                    search.mark(value.as_bytes(), Text::Path, secrets);
                });
                self.audit_secrets(value, secrets)
            }
            ValueKind::Url => self.destination(value),
            ValueKind::NamedSecret => match value.split_once('=') {
                Some((name, _)) => self.masked_after(value, name.len() + 1),
                None => self.masked_after(value, 0),
            },
            ValueKind::Secret => self.masked_after(value, 0),
        });
        (self.audit_text(option), value)
    }

    /// Prints a filter on a header. Its pattern is redacted as the value of that header; of one without the usual form, all is.
    fn header_filter(&mut self, value: &str) -> Printable<'static> {
        let begin = usize::from(value.starts_with(':'));
        let separator = value
            .char_indices()
            .find(|(at, character)| *at >= begin && matches!(character, '=' | ':'));
        let Some((at, _)) = separator else {
            return self.audit_text(value);
        };
        let (name, pattern) = value.split_at_checked(at).unwrap_or(("", value));
        let from = value.len() - pattern.trim_start_matches(['=', ':', ' ', '\t']).len();
        let (pattern, bare) = (value.get(from..).unwrap_or_default(), name.trim_start_matches(':'));
        let rule = self.redactor.rule(Some(bare));
        if !rule.is_open() {
            // Of a pattern, unlike of a value, not even a scheme such as `Bearer` is certain.
            return self.masked_after(value, from);
        }
        let found = self.redactor.secrets(pattern.as_bytes(), |search, secrets| {
            field::mark(rule, pattern.as_bytes(), false, search, secrets);
        });
        let mut secrets = Secrets::default();
        secrets.append(from, found);
        self.audit_secrets(value, secrets)
    }

    /// Prints where lines go: of a URL its scheme, host and port. What follows may be a key, and what precedes the host a password.
    fn destination(&mut self, url: &str) -> Printable<'static> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return self.audit_text(url);
        };
        if scheme == "unix" {
            return self.audit_text(url);
        }
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        // A password with such a delimiter in it must not be taken for a host.
        let (authority, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if after.contains('@') {
            return self.masked_after(url, scheme.len() + 3);
        }
        let shown = format!("{scheme}://{authority}");
        let mut found = Secrets::default();
        url::mark_authority(authority.as_bytes(), &mut found);
        let mut secrets = self.redactor.secrets(shown.as_bytes(), |search, secrets| {
            search.mark(shown.as_bytes(), Text::Value, secrets);
        });
        secrets.append(scheme.len() + 3, found);
        self.audit_secrets(&shown, secrets)
    }

    /// Prints a text whose bytes from `from` on are masked.
    fn masked_after(&mut self, text: &str, from: usize) -> Printable<'static> {
        let mut secrets = Secrets::default();
        secrets.mark(from..text.len());
        self.audit_secrets(text, secrets)
    }

    fn audit_text(&mut self, text: &str) -> Printable<'static> {
        let secrets = self.redactor.secrets(text.as_bytes(), |search, secrets| {
            search.mark(text.as_bytes(), Text::Value, secrets);
        });
        self.audit_secrets(text, secrets)
    }

    /// Prints a text with its secrets masked, and cut: only then, as a part of a secret need not look like one.
    fn audit_secrets(&mut self, text: &str, secrets: Secrets) -> Printable<'static> {
        let printed = self.text(text.as_bytes(), secrets);
        if printed.len() <= MAX_AUDIT_TEXT_BYTES {
            return printed.to_static();
        }
        let end = printed.floor_char_boundary(MAX_AUDIT_TEXT_BYTES);
        let mut cut = printed.get(..end).unwrap_or_default().to_owned();
        cut.push('\u{2026}');
        cut.into()
    }
}

impl AuditLine<'static> {
    /// Returns the line of the end of the trace that this one is the start of.
    pub(super) fn ended(&self, end: &AuditEnd) -> Self {
        let AuditEnd {
            time,
            event,
            ended,
            duration_us,
            exchanges,
            lost,
            processes,
        } = end;
        let (lost_records, lost_bytes) = lost
            .map(
                |Totals {
                     lost_records,
                     lost_bytes,
                 }| (lost_records, lost_bytes),
            )
            .unzip();
        Self {
            time: Time::new(*time),
            event: event.name(),
            processes: Vec::new(),
            ended: Some(ended.name()),
            duration_us: Some(*duration_us),
            exchanges: *exchanges,
            lost_records,
            lost_bytes,
            processes_traced: *processes,
            ..self.clone()
        }
    }
}
