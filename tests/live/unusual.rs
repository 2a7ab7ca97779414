//! Unusual requests that gateways serve.

use anyhow::Result;
use support::{Exchange, Haproxy, Nginx, Tracer, program::Program};

/// Unusual methods.
const METHODS: [&str; 8] = [
    "RPC_IN_DATA",
    "CCM_POST",
    "BITS_POST",
    "GET_PARAMETER",
    "get",
    "X",
    "GO",
    "X-1",
];

fn method_and_path(exchange: &Exchange) -> (String, String) {
    let text = |pointer| exchange.text(pointer).unwrap_or("none").to_owned();
    (text("/request/method"), text("/request/path"))
}

/// Sends each list of requests on a new connection. Returns the exchanges of the server.
fn exchanges_of(pid: u32, port: u16, connections: &[Vec<String>]) -> Result<Vec<Exchange>> {
    let port = port.to_string();
    let mut client = Program::python("raw.py", &[&port])?;
    let tracer = Tracer::of(&[pid], &["--side", "server"])?;
    for requests in connections {
        client.send_line(&serde_json::to_string(requests)?)?;
    }
    let count = connections.iter().map(Vec::len).sum();
    client.wait_for_count("answered", count)?;
    tracer.wait_for_lines(count)?;
    let trace = tracer.stop()?;
    client.finish()?;
    trace.exchanges()
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn unusual_methods_and_the_requests_after_them_are_decoded() -> Result<()> {
    let nginx = Nginx::start()?;
    let haproxy = Haproxy::start(nginx.port(), 1)?;
    let request = |method: &str, path: &str| format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let connections: Vec<_> = METHODS
        .iter()
        .map(|method| vec![request(method, "/small/first"), request("GET", "/small/second")])
        .collect();
    let exchanges = exchanges_of(haproxy.master(), haproxy.port(), &connections)?;
    let printed: Vec<_> = exchanges.iter().map(method_and_path).collect();
    let sent: Vec<_> = METHODS
        .iter()
        .flat_map(|method| [(*method, "/small/first"), ("GET", "/small/second")])
        .map(|(method, path)| (method.to_owned(), path.to_owned()))
        .collect();
    assert_eq!(printed, sent);
    assert!(exchanges.iter().all(Exchange::is_whole), "{exchanges:?}");
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn only_the_invalid_part_of_a_request_that_nginx_serves_is_left_out() -> Result<()> {
    let nginx = Nginx::start()?;
    let second = || "GET /small/second HTTP/1.1\r\nHost: a\r\n\r\n".to_owned();
    let odd = [
        "GET /small/first HTTP/1.2\r\nHost: a\r\n\r\n",
        "GET /small/first HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET  /small/first HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /small/first HTTP/1.1\r\nHost: a\r\nSecret@Secret: Secret\r\nX: y\r\n\r\n",
        "GET /small/first HTTP/1.1\r\nHost: a\r\n[Secret]: Secret\r\nX: y\r\n\r\n",
        "GET /small/first HTTP/1.1\r\nHost: a\r\nSecret\u{e9}: Secret\r\nX: y\r\n\r\n",
        "GET /small/first HTTP/1.1\r\nHost: a\r\nX: y\r\nZ: Secret\u{1}\r\n\r\n",
        "GET /small/first HTTP/1.1\r\nHost: a\r\nX: y\r\nZ: Secret\u{7f}\r\n\r\n",
    ];
    let connections: Vec<_> = odd.iter().map(|first| vec![(*first).to_owned(), second()]).collect();
    let exchanges = exchanges_of(nginx.master(), nginx.port(), &connections)?;
    for (exchange, odd) in exchanges.iter().step_by(2).zip(odd) {
        let seen = (exchange.text("/request/path"), exchange.number("/response/status"));
        assert_eq!(seen, (Some("/small/first"), Some(200)), "{odd:?}: {exchange:?}");
        assert_eq!(exchange.request_header("host"), Some("a"), "{odd:?}: {exchange:?}");
        let bad_field = odd.contains("Secret");
        assert_eq!(exchange.request_header("x"), bad_field.then_some("y"), "{odd:?}");
        let reason = exchange.text("/request/malformed");
        assert_eq!(reason == Some("field"), bad_field, "{odd:?}: {exchange:?}");
        assert!(!exchange.0.to_string().contains("Secret"), "{exchange:?}");
    }
    assert_eq!(exchanges.len(), 2 * odd.len());
    assert!(exchanges.iter().all(Exchange::is_whole));
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_proxy_protocol_header_inside_tls_is_skipped_and_its_addresses_are_printed() -> Result<()> {
    let mut server = Program::python("proxied.py", &[])?;
    server.begin()?;
    let port = server.wait_for("port ")?.parse()?;
    let binary =
        "\r\n\r\n\0\r\nQUIT\n\u{21}\u{11}\0\u{10}\u{1}\u{2}\u{3}\u{4}\u{5}\u{6}\u{7}\u{8}\0\u{1}\0\u{2}\u{4}\0\u{1}x";
    let request = "GET /first HTTP/1.1\r\nHost: a\r\n\r\n";
    let connections: Vec<_> = ["PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", binary]
        .iter()
        .map(|header| vec![format!("{header}{request}"), request.replace("first", "second")])
        .collect();
    let exchanges = exchanges_of(server.pid(), port, &connections)?;
    server.finish()?;
    let printed: Vec<_> = exchanges.iter().map(|exchange| method_and_path(exchange).1).collect();
    assert_eq!(printed, ["/first", "/second", "/first", "/second"]);
    for exchange in &exchanges {
        let named = [
            exchange.text("/connection/proxied/source"),
            exchange.text("/connection/proxied/destination"),
        ];
        assert_eq!(named, [Some("1.2.3.4:1"), Some("5.6.7.8:2")], "{exchange:?}");
        assert!(exchange.is_whole(), "{exchange:?}");
    }
    Ok(())
}
