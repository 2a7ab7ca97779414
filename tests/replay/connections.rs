//! Connections of a tape: their process, addresses and end.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::Value;
use tracer_ebpf::{AddressSource, Change, SocketEnd};

use crate::{
    tape_builder::{OWN_NETNS, TapeBuilder},
    tapes::{all, nginx, replay, trace},
};

/// Makes a tape of one complete connection.
fn whole() -> Result<TapeBuilder> {
    let mut tape = TapeBuilder::new();
    tape.facts(1, AddressSource::BIO, OWN_NETNS)?
        .tls(1, b"shop.example")?
        .exchange(1)?
        .end(1)
        .socket(1, SocketEnd::FIN_REMOTE);
    Ok(tape)
}

#[test]
fn a_connection_is_one_line_after_its_exchanges() -> Result<()> {
    let printed = whole()?.print(&["--connections"])?;
    let expected = concat!(
        r#"{"v":1,"type":"connection","id":"7-1","time":"1970-01-01T00:00:00.006000000Z","pid":7,"process":"nginx","#,
        r#""tls":"openssl","#,
        r#""connection":{"id":"7-1","local":"127.0.0.1:8443","remote":"127.0.0.1:50312","source":"bio"},"#,
        r#""opened":"1970-01-01T00:00:00.000500000Z","tls_version":"TLSv1.3","cipher":"TLS_AES_256_GCM_SHA384","#,
        r#""alpn":"http/1.1","server_name":"shop.example","handshake_us":1500,"rtt_us":45,"retransmits":0,"#,
        r#""received":700,"acknowledged":1800,"read":33,"written":40,"exchanges":1,"ended":"fin","ended_by":"remote"}"#
    );
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!((lines.len(), lines.last().copied()), (2, Some(expected)));
    Ok(())
}

#[test]
fn connections_are_printed_only_with_the_option_and_without_filters() -> Result<()> {
    let tape = whole()?;
    for (args, connections) in [
        (&[][..], 0),
        (&["--connections"], 1),
        (&["--connections", "-n", "1"], 1),
        (&["--connections", "--method", "GET"], 0),
    ] {
        let trace = tape.replay(args)?;
        assert_eq!(trace.lines_of("connection")?.len(), connections, "{args:?}");
        assert_eq!(trace.totals()?.exchanges, 1, "{args:?}");
    }
    Ok(())
}

#[test]
fn text_has_a_note_of_each_connection_and_an_archive_has_none() -> Result<()> {
    let tape = whole()?;
    let text = tape.print(&["--connections", "-o", "text"])?;
    let notes = text.lines().filter(|line| line.contains("closed: fin by remote"));
    assert_eq!(notes.count(), 1, "{text}");
    let archive = ["-o", "har"];
    assert_eq!(
        tape.print(&archive)?,
        tape.print(&[&archive[..], &["--connections"]].concat())?
    );
    Ok(())
}

#[test]
fn a_secret_in_a_server_name_is_masked() -> Result<()> {
    let mut tape = TapeBuilder::new();
    tape.facts(1, AddressSource::BIO, 0)?
        .tls(1, b"user:pLanted01@shop.example")?
        .exchange(1)?
        .end(1);
    for form in ["json", "text", "har"] {
        let printed = tape.print(&["--connections", "-o", form])?;
        assert!(!printed.contains("pLanted"), "{printed}");
        assert_eq!(printed.contains("[redacted]@shop.example"), form != "har", "{printed}");
    }
    Ok(())
}

#[test]
fn every_connection_of_a_recorded_tape_is_printed_with_its_exchanges() -> Result<()> {
    for tape in all()? {
        let trace = trace(&tape, &["--connections"])?;
        let exchanges = trace.exchanges()?;
        let named: BTreeSet<_> = exchanges.iter().filter_map(|one| one.text("/connection/id")).collect();
        let connections = trace.lines_of("connection")?;
        let printed: BTreeSet<_> = connections.iter().filter_map(|one| one["id"].as_str()).collect();
        assert_eq!(
            (named, connections.len()),
            (printed.clone(), printed.len()),
            "{}",
            tape.display()
        );
        let counted: u64 = connections.iter().filter_map(|one| one["exchanges"].as_u64()).sum();
        assert_eq!(counted, trace.totals()?.exchanges, "{}", tape.display());
        let as_in_exchanges = |one: &Value| exchanges.iter().any(|other| other.0["connection"] == one["connection"]);
        assert!(connections.iter().all(as_in_exchanges), "{}", tape.display());
    }
    Ok(())
}

#[test]
fn connection_lines_do_not_change_other_lines() -> Result<()> {
    let (plain, _) = replay(&nginx()?, &[])?;
    let (with, _) = replay(&nginx()?, &["--connections"])?;
    let others: Vec<_> = with
        .lines()
        .filter(|line| !line.contains(r#""type":"connection""#))
        .collect();
    assert_eq!(others, plain.lines().collect::<Vec<_>>());
    Ok(())
}

#[test]
fn an_exchange_that_ended_before_its_ciphertext_was_sent_has_addresses() -> Result<()> {
    let mut tape = TapeBuilder::new();
    tape.pending(1)
        .exchange(1)?
        .facts(1, AddressSource::CIPHERTEXT, OWN_NETNS)?;
    let exchanges = tape.replay(&[])?.exchanges()?;
    let printed: Vec<_> = exchanges
        .iter()
        .map(|one| (one.text("/connection/source"), one.text("/connection/remote")))
        .collect();
    assert_eq!(printed, [(Some("ciphertext"), Some("127.0.0.1:50312"))]);
    Ok(())
}

#[test]
fn addresses_found_too_late_are_missing_from_the_exchange() -> Result<()> {
    let mut tape = TapeBuilder::new();
    tape.pending(1).exchange(1)?.wait(150);
    tape.facts(1, AddressSource::CIPHERTEXT, 0)?;
    tape.facts(2, AddressSource::BIO, 0)?.exchange(2)?;
    let trace = tape.replay(&[])?;
    let exchanges = trace.exchanges()?;
    let printed: Vec<_> = exchanges.iter().map(|one| one.text("/connection/reason")).collect();
    assert_eq!(printed, [Some("custom-bio"), None]);
    let message = "connections told before their addresses were known: 1";
    assert!(
        trace.stderr.iter().any(|line| line.ends_with(message)),
        "{:?}",
        trace.stderr
    );
    Ok(())
}

#[test]
fn unix_sockets_and_other_network_namespaces_are_printed() -> Result<()> {
    let mut tape = TapeBuilder::new();
    tape.unix(1, b"/run/gateway.sock", b"")?.exchange(1)?;
    tape.unix(2, b"", b"\0upstream")?.exchange(2)?;
    tape.facts(3, AddressSource::BIO, OWN_NETNS + 1)?.exchange(3)?;
    let exchanges = tape.replay(&[])?.exchanges()?;
    let printed: Vec<_> = exchanges
        .iter()
        .map(|one| (one.text("/connection/local"), one.text("/connection/remote")))
        .collect();
    let expected = [
        (Some("unix:/run/gateway.sock"), Some("unix:")),
        (Some("unix:"), Some("unix:@upstream")),
        (Some("127.0.0.1:8443"), Some("127.0.0.1:50312")),
    ];
    assert_eq!(printed, expected);
    let netns: Vec<_> = exchanges.iter().map(|one| one.number("/connection/netns")).collect();
    assert_eq!(netns, [None, None, Some(u64::from(OWN_NETNS) + 1)]);
    Ok(())
}

#[test]
fn later_processes_and_libraries_have_their_names() -> Result<()> {
    let mut tape = TapeBuilder::new();
    tape.pid = 8;
    tape.change(Change::FORKED, b"worker")?
        .facts(1, AddressSource::BIO, 0)?
        .exchange(1)?
        .change(Change::ENDED, b"worker")?
        .change(Change::FORKED, b"python3")?;
    tape.add_site("boringssl").site = 1;
    tape.facts(2, AddressSource::BIO, 0)?.exchange(2)?;
    let exchanges = tape.replay(&[])?.exchanges()?;
    let printed: Vec<_> = exchanges
        .iter()
        .map(|one| (one.text("/id"), one.text("/process"), one.text("/tls")))
        .collect();
    let expected = [
        (Some("8-1-1"), Some("worker"), Some("openssl")),
        (Some("8-2-1"), Some("python3"), Some("boringssl")),
    ];
    assert_eq!(printed, expected);
    Ok(())
}

#[test]
fn a_body_that_was_skipped_is_counted_and_is_no_loss() -> Result<()> {
    let mut tape = TapeBuilder::new();
    tape.facts(1, AddressSource::BIO, OWN_NETNS)?.skipped(1)?.end(1);
    let trace = tape.replay(&["-v"])?;
    let [exchange] = &trace.exchanges()?[..] else {
        panic!("{:?}", trace.stdout)
    };
    assert_eq!(exchange.number("/response/body_bytes"), Some(2));
    assert_eq!(exchange.text("/ended"), Some("complete"));
    assert!(exchange.is_whole(), "{exchange:?}");
    assert_eq!(trace.lines_of("loss")?.len(), 0);
    let counted = trace
        .stderr
        .iter()
        .any(|line| line.ends_with("that were not copied: 2"));
    assert!(counted, "{:?}", trace.stderr);
    Ok(())
}
