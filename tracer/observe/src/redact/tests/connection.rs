//! Tests of connections: addresses, and the texts of a handshake.

use std::sync::Arc;

use super::*;
use crate::{
    correlate::{Connection, ConnectionSummary},
    event::{Address, SocketEnd, TlsFacts},
    redact::{ConnectionLine, SummaryLine},
};

/// Returns the line of a summary with a change.
fn summary(rules: Rules, change: impl FnOnce(&mut ConnectionSummary)) -> SummaryLine<'static> {
    let mut summary = ConnectionSummary {
        tls: Some(TlsFacts::default()),
        transport: None,
        transferred: [Some(1), Some(2)],
        exchanges: 0,
        open: false,
    };
    change(&mut summary);
    let observed = sample::observed(ObservedKind::Connection(Box::new(summary)), AddressSource::Bio);
    match &*redactor(rules).redact(Box::leak(Box::new(observed))) {
        Line::Connection(line) => (**line).clone(),
        Line::Exchange(_)
        | Line::Hop(_)
        | Line::End(_)
        | Line::Loss(_)
        | Line::Health(_)
        | Line::Hooks(_)
        | Line::Alert(_)
        | Line::Audit(_) => {
            panic!("not a connection")
        }
    }
}

fn server_name(rules: Rules, name: &[u8]) -> SummaryLine<'static> {
    summary(rules, |summary| {
        summary.tls.as_mut().unwrap().server_name = Some(Unredacted::new(name));
    })
}

fn connection(change: impl FnOnce(&mut Connection)) -> ConnectionLine<'static> {
    let mut observed = sample::observed(ObservedKind::Exchange(Box::new(sample::whole())), AddressSource::Bio);
    change(Arc::make_mut(&mut observed.connection));
    match &*redactor(Rules::default()).redact(Box::leak(Box::new(observed))) {
        Line::Exchange(line) => line.connection.clone(),
        Line::Hop(_)
        | Line::End(_)
        | Line::Loss(_)
        | Line::Connection(_)
        | Line::Health(_)
        | Line::Hooks(_)
        | Line::Alert(_)
        | Line::Audit(_) => {
            panic!("not an exchange")
        }
    }
}

#[test]
fn secrets_in_a_server_name_are_masked() {
    for (name, printed) in [
        ("shop.example", "shop.example"),
        ("user:hunter2@shop.example", "[redacted]@shop.example"),
        ("user%3Ahunter2%40shop.example", "[redacted]%40shop.example"),
        ("shop.example?token=hunter2", "shop.example?token=[redacted]"),
    ] {
        let line = server_name(Rules::default(), name.as_bytes());
        assert_eq!(line.server_name.as_deref(), Some(printed));
    }
}

#[test]
fn the_users_patterns_apply_to_every_text_of_a_handshake() {
    let line = summary(patterned(&["hunter2"]), |summary| {
        let text = || Some(Unredacted::new(b"a-hunter2-b"));
        summary.tls = Some(TlsFacts {
            cipher: text(),
            alpn: text(),
            server_name: text(),
            ..TlsFacts::default()
        });
    });
    for text in [line.cipher, line.alpn, line.server_name] {
        assert_eq!(text.as_deref(), Some("a-[redacted]-b"));
    }
}

#[test]
fn secrets_are_shown_with_show() {
    let show = Rules {
        show: true,
        ..Rules::default()
    };
    let line = server_name(show, b"user:hunter2@a.test");
    assert_eq!(line.server_name.as_deref(), Some("user:hunter2@a.test"));
}

#[test]
fn a_name_that_is_not_utf8_is_printed_as_latin1() {
    let line = server_name(Rules::default(), b"\xe9\x01");
    assert_eq!(
        (line.server_name.as_deref(), line.encoding),
        (Some("\u{e9}\u{1}"), Some("latin1"))
    );
    assert_eq!(server_name(Rules::default(), b"a").encoding, None);
}

#[test]
fn versions_have_their_names_in_openssl() {
    for (version, expected) in [
        (0x0304, "TLSv1.3"),
        (0x0303, "TLSv1.2"),
        (0x0302, "TLSv1.1"),
        (0x0301, "TLSv1"),
        (0x0300, "SSLv3"),
        (0xfefd, "DTLSv1.2"),
        (0xfeff, "DTLSv1"),
        (0x0042, "0x0042"),
    ] {
        let line = summary(Rules::default(), |summary| {
            summary.tls.as_mut().unwrap().version = Some(version);
        });
        assert_eq!(line.tls_version.as_deref(), Some(expected));
    }
}

#[test]
fn an_end_has_a_manner_and_a_side() {
    for (ended, expected) in [
        (Some(SocketEnd::FinLocal), (Some("fin"), Some("local"))),
        (Some(SocketEnd::FinRemote), (Some("fin"), Some("remote"))),
        (Some(SocketEnd::ResetLocal), (Some("reset"), Some("local"))),
        (Some(SocketEnd::ResetRemote), (Some("reset"), Some("remote"))),
        (Some(SocketEnd::Timeout), (Some("timeout"), None)),
        (None, (None, None)),
    ] {
        let line = sample::summary_with(|summary| summary.transport.as_mut().unwrap().ended = ended);
        let Line::Connection(line) = &*line else {
            panic!("not a connection")
        };
        assert_eq!((line.ended, line.ended_by), expected);
    }
}

#[test]
fn unix_sockets_are_printed_by_path_or_name() {
    for (address, expected) in [
        (Address::Unix(b"/run/x.sock"[..].into()), "unix:/run/x.sock"),
        (Address::Unix(b""[..].into()), "unix:"),
        (Address::Abstract(b"bus"[..].into()), "unix:@bus"),
        (Address::Unix(b"/a\xffb"[..].into()), "unix:/a\u{fffd}b"),
    ] {
        let line = connection(|connection| connection.local = Some(address));
        assert_eq!(line.local.as_deref(), Some(expected));
    }
}

#[test]
fn a_source_or_a_reason_is_printed_and_another_network_namespace() {
    let line = connection(|connection| {
        (connection.source, connection.netns) = (AddressSource::Ciphertext, Some(4_026_532_000));
    });
    assert_eq!(
        (line.source, line.reason, line.netns),
        (Some("ciphertext"), None, Some(4_026_532_000))
    );
    for (source, reason) in [
        (AddressSource::CustomBio, "custom-bio"),
        (AddressSource::UnknownLayout, "unknown-layout"),
        (AddressSource::NotInet, "not-inet"),
        (AddressSource::Unseen, "unseen"),
        (AddressSource::Unconfirmed, "unconfirmed"),
    ] {
        let line = connection(|connection| connection.source = source);
        assert_eq!((line.source, line.reason, line.netns), (None, Some(reason), None));
    }
}
