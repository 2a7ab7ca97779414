//! Unix sockets, which have a path where others have an address.

use anyhow::Result;
use support::{Nginx, Told, Tracer, curl};

use super::claims::{assert_addresses, assert_same, stop_and_assert};

const REQUESTS: usize = 100;

/// What each end knows of a socket that only the server has bound.
fn told_by(nginx: &Nginx) -> Vec<Told> {
    let path = format!("unix:{}", nginx.unix_socket().display());
    let told = |number| Told {
        side: "server",
        id: format!("curl-{number}"),
        local: path.clone(),
        remote: "unix:".to_owned(),
    };
    (0..REQUESTS).map(told).collect()
}

fn urls() -> Vec<String> {
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
    curl.ask_through(&nginx.unix_socket(), &urls())?;
    let told = nginx.wait_for_told(REQUESTS)?;
    assert_same(&told, &told_by(&nginx));
    stop_and_assert("nginx on a unix socket", tracer, &told).map(drop)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_client_on_a_unix_socket_has_its_peers_path() -> Result<()> {
    let nginx = Nginx::start()?;
    let curl = curl::Waiting::start("http1.1")?;
    let tracer = Tracer::of(&[curl.pid()], &[])?;
    curl.ask_through(&nginx.unix_socket(), &urls())?;
    let told: Vec<_> = told_by(&nginx).into_iter().map(Told::by_peer).collect();
    assert_addresses("curl on a unix socket", &tracer.finish()?, &told).map(drop)
}
