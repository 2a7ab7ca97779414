//! UNIX sockets, which have a path instead of an address.

use anyhow::Result;
use support::{LoggedExchange, Nginx, Tracer, curl, program::Program};

use super::claims::{assert_addresses, assert_same, stop_and_assert};

pub(super) const REQUESTS: usize = 100;

/// Returns the exchanges of a server whose socket only the server has bound.
pub(super) fn expected_exchanges(nginx: &Nginx) -> Vec<LoggedExchange> {
    let path = format!("unix:{}", nginx.unix_socket().display());
    let logged = |number| LoggedExchange {
        side: "server",
        id: format!("curl-{number}"),
        local: path.clone(),
        remote: "unix:".to_owned(),
    };
    (0..REQUESTS).map(logged).collect()
}

pub(super) fn urls() -> Vec<String> {
    (0..REQUESTS)
        .map(|number| format!("https://localhost/small/{number}"))
        .collect()
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_server_on_a_unix_socket_has_its_path() -> Result<()> {
    let nginx = Nginx::start()?;
    let curl = curl::Waiting::start("http1.1")?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    curl.request_over(&nginx.unix_socket(), &urls())?;
    let logged = nginx.wait_for_exchanges(REQUESTS)?;
    assert_same(&logged, &expected_exchanges(&nginx));
    stop_and_assert("nginx on a unix socket", tracer, &logged).map(drop)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_client_on_a_unix_socket_has_its_peers_path() -> Result<()> {
    let nginx = Nginx::start()?;
    let socket = nginx.unix_socket().display().to_string();
    let mut client = Program::python("unix_client.py", &[&socket, &REQUESTS.to_string()])?;
    let tracer = Tracer::of(&[client.pid()], &[])?;
    client.begin()?;
    client.wait_for("done")?;
    let logged: Vec<_> = expected_exchanges(&nginx)
        .into_iter()
        .map(LoggedExchange::by_peer)
        .collect();
    stop_and_assert("Python on a unix socket", tracer, &logged).map(drop)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_client_with_a_custom_bio_on_a_unix_socket_has_its_peers_path_if_the_kernel_allows_it() -> Result<()> {
    let nginx = Nginx::start()?;
    let curl = curl::Waiting::start("http1.1")?;
    let tracer = Tracer::of(&[curl.pid()], &[])?;
    curl.request_over(&nginx.unix_socket(), &urls())?;
    let trace = tracer.finish()?;
    if trace
        .stderr
        .iter()
        .any(|line| line.contains("unix sockets of connections"))
    {
        let exchanges = trace.exchanges()?;
        assert_eq!(exchanges.len(), REQUESTS);
        for exchange in exchanges {
            assert_eq!(exchange.text("/connection/reason"), Some("custom-bio"), "{exchange:?}");
            assert_eq!(exchange.text("/connection/remote"), None, "{exchange:?}");
        }
        return Ok(());
    }
    let logged: Vec<_> = expected_exchanges(&nginx)
        .into_iter()
        .map(LoggedExchange::by_peer)
        .collect();
    assert_addresses("curl on a unix socket", &trace, &logged).map(drop)
}
