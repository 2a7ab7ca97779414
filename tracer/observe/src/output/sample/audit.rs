//! Audit lines for the tests of sinks.

use super::time;
use crate::{
    audit::{Audit, AuditEnd, Claims, Ended, Event, Given, Origin, Purpose, Secrets, User, ValueKind},
    batch::{ProcessEntry, Totals},
    redact::{Line, Redacted, Redactor, Rules},
};

/// The start of a trace by somebody who gave secrets, and too much of each.
pub(crate) fn audit() -> Redacted<Line<'static>> {
    line(None)
}

/// The same of a trace that does not begin, for a reason that repeats the secrets.
pub(crate) fn audit_refused() -> Redacted<Line<'static>> {
    let reason =
        "no process\u{1b} for x-key=hunter2, hunter2, \"https://user:hunter2@collector.test:4318/hunter2?key=hunter2\"";
    line(Some(reason.to_owned()))
}

fn line(refused: Option<String>) -> Redacted<Line<'static>> {
    let given = |option: &str, value: Option<&str>, purpose, kind| Given {
        option: option.to_owned(),
        value: value.map(str::to_owned),
        purpose,
        kind,
    };
    let audit = Audit {
        time: time(),
        run: "7-1".to_owned(),
        host: "gateway".to_owned(),
        version: "0.1.0".to_owned(),
        pid: 7,
        command: "trace",
        user: User {
            uid: 0,
            name: Some("root".to_owned()),
            login_uid: Some(1000),
            login_name: Some("al\u{1b}ice".to_owned()),
        },
        from: Origin {
            tty: Some("pts/0".to_owned()),
            parent_pid: Some(6),
            parent: Some("sudo".to_owned()),
        },
        claims: Claims {
            sudo_user: Some("alice".to_owned()),
            sudo_uid: Some("1000".to_owned()),
            ssh_client: Some("192.0.2.7".to_owned()),
        },
        secrets: Secrets::Shown,
        given: vec![
            given("name", Some("nginx"), Purpose::Selection, ValueKind::Text),
            given("wait", None, Purpose::Selection, ValueKind::Text),
            given(
                "header",
                Some("authorization: ^Bearer hunter2"),
                Purpose::Filter,
                ValueKind::Header,
            ),
            given("path", Some("^/x\\?token=hunter2"), Purpose::Filter, ValueKind::Path),
            given(
                "otlp",
                Some("https://user:hunter2@collector.test:4318/hunter2?key=hunter2"),
                Purpose::Output,
                ValueKind::Url,
            ),
            given(
                "otlp-header",
                Some("x-key=hunter2"),
                Purpose::Output,
                ValueKind::NamedSecret,
            ),
            given("alert-exec", Some("notify hunter2"), Purpose::Output, ValueKind::Secret),
            given("hold", Some("1s"), Purpose::Setting, ValueKind::Text),
        ],
        processes: vec![ProcessEntry {
            pid: 1,
            name: "nginx".to_owned(),
        }],
        refused,
    };
    Redactor::audit(Rules::default(), &audit)
}

/// The end of that trace.
pub(crate) fn audit_end() -> Redacted<Line<'static>> {
    let end = AuditEnd {
        time: time(),
        event: Event::End,
        ended: Ended::Signal,
        duration_us: 2_000_000,
        exchanges: Some(5),
        lost: Some(Totals {
            lost_records: 1,
            lost_bytes: 100,
        }),
        processes: Some(3),
    };
    audit().ended(&end).unwrap_or_else(audit)
}
