//! What of a command line is in its audit line.

use std::time::SystemTime;

use crate::{
    audit::{Audit, Claims, Given, Origin, Purpose, Secrets, User, ValueKind},
    batch::ProcessEntry,
    limits::{MAX_AUDIT_OPTIONS, MAX_AUDIT_PROCESSES, MAX_AUDIT_TEXT_BYTES},
    output::JsonLines,
    redact::{Line, Redacted, Redactor, Rules},
};

fn audit(given: Vec<Given>) -> Audit {
    Audit {
        time: SystemTime::UNIX_EPOCH,
        run: "1-1".to_owned(),
        host: "h".to_owned(),
        version: "1".to_owned(),
        pid: 1,
        command: "trace",
        user: User::default(),
        from: Origin::default(),
        claims: Claims::default(),
        secrets: Secrets::Shown,
        given,
        processes: Vec::new(),
        refused: None,
    }
}

fn given(value: &str, kind: ValueKind) -> Given {
    Given {
        option: "x".to_owned(),
        value: Some(value.to_owned()),
        purpose: Purpose::Filter,
        kind,
    }
}

fn json(line: &Redacted<Line<'_>>) -> String {
    String::from_utf8(JsonLines::default().format(line).unwrap().to_vec()).unwrap()
}

/// Returns how a value is printed.
fn printed(rules: Rules, value: &str, kind: ValueKind) -> String {
    let line = Redactor::audit(rules, &audit(vec![given(value, kind)]));
    let Line::Audit(line) = &*line else {
        panic!("{line:?}");
    };
    line.filters[0].1.as_ref().unwrap().to_string()
}

#[test]
fn values_are_masked_as_what_they_are() {
    use ValueKind::{Header, Host, NamedSecret, Path, Secret, Text, Url};
    for (kind, value, expected) in [
        (Text, "nginx", "nginx"),
        (
            Text,
            "https://bob:hunter2@a.test/?token=hunter2",
            "https://~@a.test/?token=~",
        ),
        (Header, "authorization: Bearer hunter2", "authorization: ~"),
        (Header, "authorization: ^Bearer hunter2$", "authorization: ~"),
        (Header, "Authorization=hunter2", "Authorization=~"),
        (Header, "cookie=a=hunter2", "cookie=~"),
        (Header, "x-api-key: hunter2", "x-api-key: ~"),
        (Header, "x-tenant: ^acme$", "x-tenant: ^acme$"),
        (Header, "referer: token=hunter2", "referer: token=~"),
        (Header, "x-tenant", "x-tenant"),
        (Header, ":path=^/x", ":path=^/x"),
        (Path, "^/x\\?token=hunter2&a=b", "^/x\\?token=~&a=b"),
        (Path, "^/api/", "^/api/"),
        (Host, "*.example", "*.example"),
        (Host, "bob:hunter2@a.test", "~@a.test"),
        (Url, "grpc://collector.test:4317", "grpc://collector.test:4317"),
        (
            Url,
            "https://bob:hunter2@collector.test/hunter2?key=hunter2#hunter2",
            "https://~@collector.test",
        ),
        (Url, "https://bob:hun/ter2@collector.test/", "https://~"),
        (Url, "tcp://[::1]:601", "tcp://[::1]:601"),
        (Url, "unix:///dev/log", "unix:///dev/log"),
        (NamedSecret, "x-key=hunter2=hunter3", "x-key=~"),
        (NamedSecret, "hunter2", "~"),
        (Secret, "curl -H 'x: hunter2'", "~"),
        (Secret, "", ""),
    ] {
        let masked = printed(Rules::default(), value, kind).replace("[redacted]", "~");
        assert_eq!(masked, expected, "{value}");
    }
}

#[test]
fn rules_of_the_user_are_added_and_none_are_turned_off() {
    let rules = || Rules {
        names: vec!["x-tenant".parse().unwrap()],
        patterns: vec!["acme[0-9]+".parse().unwrap()],
        show: true,
        ..Rules::default()
    };
    for (value, kind) in [
        ("x-tenant: hunter2", ValueKind::Header),
        ("authorization: Bearer hunter2", ValueKind::Header),
        ("/x?x-tenant=hunter2", ValueKind::Path),
        ("/x?token=hunter2", ValueKind::Path),
        ("https://hunter2@a.test", ValueKind::Url),
        ("hunter2", ValueKind::Secret),
    ] {
        let masked = printed(rules(), value, kind);
        assert!(!masked.contains("hunter2"), "{masked}");
    }
    assert_eq!(
        printed(rules(), "my-acme77-host", ValueKind::Text),
        "my-[redacted]-host"
    );
}

#[test]
fn texts_and_lists_have_bounds_and_what_is_left_out_is_counted() {
    let mut audit = audit(vec![given("y", ValueKind::Text); MAX_AUDIT_OPTIONS + 3]);
    audit.host = "\u{e9}".repeat(MAX_AUDIT_TEXT_BYTES);
    audit.processes = (0..)
        .map(|pid| ProcessEntry {
            pid,
            name: "x".to_owned(),
        })
        .take(MAX_AUDIT_PROCESSES + 4)
        .collect();
    let line = Redactor::audit(Rules::default(), &audit);
    let Line::Audit(line) = &*line else {
        panic!("{line:?}");
    };
    assert_eq!(
        (line.filters.len(), line.processes.len()),
        (MAX_AUDIT_OPTIONS, MAX_AUDIT_PROCESSES)
    );
    assert_eq!(line.left_out, Some(7));
    assert!(line.host.len() <= MAX_AUDIT_TEXT_BYTES + '\u{2026}'.len_utf8() && line.host.ends_with('\u{2026}'));
}

#[test]
fn a_secret_is_masked_before_its_text_is_cut() {
    // The cut is in the middle of what makes it a secret.
    let value = format!("{}?token=hunter2", "x".repeat(MAX_AUDIT_TEXT_BYTES - 8));
    let masked = printed(Rules::default(), &value, ValueKind::Path);
    assert!(!masked.contains("hunter") && !masked.contains("=h"), "{masked}");
    let long = format!("x-key={}", "hunter2".repeat(100));
    assert_eq!(
        printed(Rules::default(), &long, ValueKind::NamedSecret),
        "x-key=[redacted]"
    );
}

#[test]
fn a_reason_repeats_no_secret_of_an_option() {
    let given = vec![
        given("authorization: Bearer hunter2", ValueKind::Header),
        given("x-key=hunter3", ValueKind::NamedSecret),
        given("https://a.test/hunter4", ValueKind::Url),
        given("notify hunter5", ValueKind::Secret),
        given("", ValueKind::Secret),
        given("nginx", ValueKind::Text),
    ];
    for (reason, expected) in [
        ("there is no process nginx", "there is no process nginx"),
        // A field with a secret ends with its line.
        ("`authorization: Bearer hunter2` is wrong", "`authorization: ~"),
        ("Bearer hunter2: no", "~: no"),
        ("hunter3 is no value", "~ is no value"),
        (
            "URL parse error:\n  https://a.test/hunter4",
            "URL parse error:\n  https://a.test",
        ),
        ("sh: notify hunter5: not found", "sh: ~: not found"),
        ("/x?token=hunter6", "/x?token=~"),
    ] {
        let line = Redactor::audit(
            Rules::default(),
            &Audit {
                refused: Some(reason.to_owned()),
                ..audit(given.clone())
            },
        );
        let Line::Audit(line) = &*line else {
            panic!("{line:?}");
        };
        let printed = line.reason.as_ref().unwrap().replace("[redacted]", "~");
        assert_eq!((&*printed, line.event), (expected, "refused"));
    }
}

#[test]
fn what_others_choose_cannot_break_a_line() {
    let mut audit = audit(vec![given("a\nb\u{1b}[31m\"c\u{0}", ValueKind::Text)]);
    audit.claims.sudo_user = Some("alice\n{\"type\":\"audit\"}".to_owned());
    audit.from.parent = Some("\u{fffd}\n".to_owned());
    let json = json(&Redactor::audit(Rules::default(), &audit));
    assert_eq!(json.matches('\n').count(), 1);
    assert!(!json.trim_end().contains(char::is_control), "{json}");
    let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(parsed["claims"]["sudo_user"], "alice\n{\"type\":\"audit\"}");
    assert_eq!(parsed["filters"][0][1], "a\nb\u{1b}[31m\"c\u{0}");
}
