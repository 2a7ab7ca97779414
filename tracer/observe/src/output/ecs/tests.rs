//! Documents of the sample lines.

use serde_json::{Value, json};

use super::*;
use crate::output::sample;

fn documents(lines: &[Redacted<Line<'_>>]) -> Vec<Value> {
    let mut out = Vec::new();
    let mut sink = Box::new(Ecs::new(&mut out));
    for line in lines {
        assert_eq!(sink.write(line).unwrap(), Written::Yes);
    }
    sink.finish().unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_exchange_is_a_document_with_the_names_of_ecs() {
    let documents = documents(&[sample::exchange()]);
    let expected = json!({
        "@timestamp": "2026-11-21T07:45:00.123456789Z",
        "ecs": {"version": "8.17.0"},
        "event": {
            "kind": "event", "category": ["web"], "type": ["access"], "module": "tlscope", "dataset": "tlscope.exchange",
            "id": "7-1", "start": "2026-11-21T07:45:00.123456789Z", "duration": 412_000, "outcome": "success",
        },
        "source": {"address": "127.0.0.1:50312", "ip": "127.0.0.1", "port": 50312},
        "destination": {"address": "127.0.0.1:8443", "ip": "127.0.0.1", "port": 8443},
        "client": {"address": "127.0.0.1:50312", "ip": "127.0.0.1", "port": 50312},
        "server": {"address": "127.0.0.1:8443", "ip": "127.0.0.1", "port": 8443},
        "network": {"transport": "tcp", "type": "ipv4", "protocol": "http", "direction": "ingress"},
        "http": {
            "version": "1.1",
            "request": {"id": "abc", "method": "GET", "body": {"bytes": 0}},
            "response": {"status_code": 200, "body": {"bytes": 6}},
        },
        "url": {
            "original": "/x?token=[redacted]", "scheme": "https", "domain": "a.test", "path": "/x",
            "query": "token=[redacted]",
        },
        "tls": {"established": true},
        "process": {"pid": 1, "name": "nginx", "thread": {"id": 2}},
        "tlscope": {
            "side": "server", "tls": "openssl", "connection": "7", "stream": 1, "ended": "complete", "head_us": 380,
            "grpc_status": 0,
            "request": {"headers": ["host: a.test", "authorization: Bearer [redacted]"], "complete": true},
            "response": {"headers": ["server: nginx", "x-request-id: abc"], "trailers": ["grpc-status: 0"], "complete": true},
        },
    });
    assert_eq!(documents.len(), 1);
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&documents[0][name], value, "{name}");
    }
}

#[test]
fn an_exchange_is_written_with_its_end_and_a_hop_as_its_exchanges() {
    let open = sample::exchange_with(|exchange| (exchange.ended, exchange.ended_at) = (None, None));
    let written = documents(&[open, sample::exchange(), sample::end()]);
    assert_eq!(written.len(), 2);
    assert_eq!(written[1]["event"]["outcome"], "failure");
    assert_eq!(
        (&written[1]["tlscope"]["ended"], &written[1]["event"]["duration"]),
        (&json!("closed"), &json!(2_000_000_000))
    );
    let directions = documents(&[sample::hop()]);
    let directions: Vec<_> = directions
        .iter()
        .map(|document| &document["network"]["direction"])
        .collect();
    assert_eq!(directions, [&json!("ingress"), &json!("egress")]);
}

#[test]
fn what_is_unknown_is_absent() {
    let half = documents(&[sample::half()]).remove(0);
    assert_eq!(
        (&half["event"]["outcome"], &half["url"]),
        (&json!("unknown"), &Value::Null)
    );
    assert_eq!(half["tlscope"]["response"]["unknown"], 4);
    assert_eq!(half["tlscope"]["response"]["headers"].as_array().map(Vec::len), Some(1));
}

#[test]
fn every_line_is_a_document_of_a_dataset() {
    let lines = [
        sample::summary(),
        sample::loss(),
        sample::health(),
        sample::hooks(),
        sample::health_of_output(),
    ];
    let documents = documents(&lines);
    let datasets: Vec<_> = documents
        .iter()
        .map(|document| document["event"]["dataset"].as_str().unwrap())
        .collect();
    let expected = ["connection", "loss", "health", "health", "health"].map(|name| format!("tlscope.{name}"));
    assert_eq!(datasets, expected);
    let tls = json!({
        "established": true, "version_protocol": "tls", "version": "1.3", "cipher": "TLS_AES_256_GCM_SHA384",
        "next_protocol": "h2", "client": {"server_name": "a.test"},
    });
    assert_eq!(documents[0]["tls"], tls);
    assert!(documents.iter().all(|document| document["@timestamp"].is_string()));
}

#[test]
fn an_authority_is_a_domain_and_a_port() {
    use super::endpoint::host_and_port;
    for (authority, expected) in [
        ("a.test", ("a.test", None)),
        ("a.test:8443", ("a.test", Some(8443))),
        ("[::1]", ("::1", None)),
        ("[::1]:8443", ("::1", Some(8443))),
        ("a.test:x", ("a.test:x", None)),
    ] {
        assert_eq!(host_and_port(authority), expected);
    }
}

#[test]
fn an_audit_line_is_a_document_with_who_it_was_and_all_of_it() {
    let documents = documents(&[sample::audit(), sample::audit_end(), sample::audit_refused()]);
    let [start, end, refused] = &documents[..] else {
        panic!("{documents:?}");
    };
    assert_eq!(
        (&start["event"]["dataset"], &start["event"]["type"]),
        (&json!("tlscope.audit"), &json!(["start"]))
    );
    assert_eq!(
        (&end["event"]["type"], &end["event"]["outcome"]),
        (&json!(["end"]), &json!("success"))
    );
    assert_eq!(
        (&refused["event"]["type"], &refused["event"]["outcome"]),
        (&json!(["start"]), &json!("failure"))
    );
    assert!(
        refused["event"]["reason"]
            .as_str()
            .is_some_and(|reason| reason.starts_with("no process"))
    );
    assert_eq!(start["user"], json!({"id": "0", "name": "root"}));
    assert_eq!(start["host"], json!({"hostname": "gateway"}));
    assert_eq!(start["process"]["pid"], 7);
    assert_eq!(end["event"]["duration"], 2_000_000_000_u64);
    assert_eq!(
        start["tlscope"]["audit"]["selection"],
        json!([["name", "nginx"], ["wait", null]])
    );
    assert!(
        documents
            .iter()
            .all(|document| !document.to_string().contains("hunter2"))
    );
}

#[test]
fn an_alert_is_a_document_of_its_kind_with_the_id_of_its_exchange() {
    let documents = documents(&[sample::alert()]);
    let [alert] = &documents[..] else {
        panic!("{documents:?}")
    };
    assert_eq!(
        (
            &alert["event"]["kind"],
            &alert["event"]["dataset"],
            &alert["event"]["id"]
        ),
        (&json!("alert"), &json!("tlscope.alert"), &json!("7-1"))
    );
    assert_eq!(alert["rule"], json!({"name": "no-credentials"}));
    assert!(alert["message"].is_string());
    assert_eq!(alert["server"]["port"], 8443);
    assert_eq!(alert["tlscope"]["severity"], "warning");
    assert_eq!(alert["tlscope"]["evidence"]["value"], "Bearer [redacted]");
}
