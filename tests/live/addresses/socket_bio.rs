//! Custom BIOs with the type of socket BIOs, as in Squid and Envoy.

use anyhow::Result;
use support::{Nginx, Tracer, program::Program};

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_custom_bio_of_the_socket_type_does_not_get_the_addresses_of_descriptor_0() -> Result<()> {
    const REQUESTS: usize = 20;
    let nginx = Nginx::start()?;
    let mut program = Program::c("socket_bio.c", &[&nginx.port().to_string(), &REQUESTS.to_string()])?;
    let tracer = Tracer::of(&[program.pid()], &[])?;
    program.begin()?;
    program.wait_for("done")?;
    tracer.wait_for_lines(REQUESTS)?;
    program.finish()?;
    let trace = tracer.stop()?;
    let log = nginx.wait_for_log(REQUESTS)?;
    let server = format!("127.0.0.1:{}", nginx.port());
    let exchanges = trace.exchanges()?;
    assert_eq!(exchanges.len(), REQUESTS);
    for exchange in &exchanges {
        let ends = ["/connection/local", "/connection/remote", "/connection/source"].map(|part| exchange.text(part));
        let right = [
            log.first().map(|access| access.remote.as_str()),
            Some(server.as_str()),
            Some("ciphertext"),
        ];
        assert!(ends == right || ends == [None; 3], "{ends:?}, not {right:?}");
    }
    let named = exchanges
        .iter()
        .filter(|exchange| exchange.text("/connection/local").is_some());
    assert!(named.count() > REQUESTS / 2, "most addresses are found by ciphertext");
    Ok(())
}
