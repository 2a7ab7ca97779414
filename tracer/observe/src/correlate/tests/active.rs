//! Tests of counts of active requests.

use super::*;

/// Returns the counts as `process side server method count`.
fn counts(bench: &Bench) -> Vec<String> {
    let active = bench.correlator.active_requests();
    let text = |of: &ActiveRequests| {
        let (side, server) = (of.side.name(), of.server.as_deref().unwrap_or("-"));
        let method = of.method.unwrap_or("-");
        format!("{} {side} {server} {method} {}", of.process.name, of.count)
    };
    active.iter().map(text).collect()
}

#[test]
fn requests_of_all_connections_are_counted_by_what_they_have_in_common() {
    let mut bench = Bench::new(Bounds::default());
    // Two that are being answered, a third that is not answered yet, and one that is.
    for connection in [1, 2] {
        bench.begin(connection);
    }
    bench.data(3, Way::READ, 0, b"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n");
    bench.exchange(4, 0);
    // One that the process sends.
    bench.known(5, Source::BIO, 81, OWN_NETNS);
    bench.data(5, Way::WRITE, 0, REQUEST);
    assert_eq!(
        counts(&bench),
        [
            "nginx client 127.0.0.1:81 GET 1",
            "nginx server - DELETE 1",
            "nginx server - GET 2"
        ]
    );
    assert!(bench.correlator.active_requests().iter().all(|of| of.is_encrypted));
    bench.end(1, REQUEST.len(), RESPONSE.len() - 1);
    bench.data(3, Way::WRITE, 0, RESPONSE);
    bench.data(5, Way::READ, 0, RESPONSE);
    assert_eq!(counts(&bench), ["nginx server - GET 1"]);
}
