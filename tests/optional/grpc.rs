//! gRPC as `PyPI` has it: its TLS library is linked in, has no names, and hands ciphertext to buffers of the program.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use support::{Exchange, Tracer, program::Program, wheel};

/// Packages of versions whose libraries differ, each with what it needs.
pub(crate) const PACKAGES: [[&str; 2]; 2] = [
    ["grpcio-1.62.3", "typing_extensions-4.15.0"],
    ["grpcio-1.85.3", "typing_extensions-4.15.0"],
];

const ROUNDS: usize = 50;
/// The number of calls in each round, and of the one that is held open.
const CALLS: usize = 6;
const HELD: usize = 1;

/// Traces a server and a client. Each call that the client has made is printed once for each side, and the addresses of the
/// one are those of the other the other way round.
pub(crate) fn both_sides() -> Result<()> {
    for packages in PACKAGES {
        trace(packages).with_context(|| packages.join(", "))?;
    }
    Ok(())
}

fn trace(packages: [&str; 2]) -> Result<()> {
    let folders: Result<Vec<_>> = packages.into_iter().map(wheel).collect();
    let folders = folders?;
    let start = |args: &[&str]| Program::python_of(&folders, "grpc_calls.py", args);
    let mut server = start(&["server", "secure"])?;
    server.begin()?;
    let (port, certificate) = (server.wait_for("port ")?, server.wait_for("certificate ")?);
    let mut client = start(&["client", &port, &certificate, &ROUNDS.to_string()])?;
    let tracer = Tracer::of(&[server.pid(), client.pid()], &[])?;
    client.begin()?;
    client.wait_for("holding")?;
    client.send_line("go on")?;
    client.wait_for("done")?;
    let calls = HELD + ROUNDS * CALLS;
    tracer.wait_for_lines(2 * calls)?;
    let trace = tracer.stop()?;
    let lines = client.finish()?;
    let made: BTreeSet<_> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("call ")?.split(' ').next())
        .collect();
    assert_eq!(made.len(), calls);
    let exchanges = trace.exchanges()?;
    let of = |side| by_name(&exchanges, side);
    let (asked, answered) = (of("client")?, of("server")?);
    for side in [&asked, &answered] {
        assert_eq!(side.keys().copied().collect::<BTreeSet<_>>(), made);
    }
    assert_eq!(exchanges.len(), 2 * calls);
    for (name, asked) in asked {
        let answered = *answered.get(name).context("no server answered it")?;
        for exchange in [asked, answered] {
            assert_eq!(exchange.text("/tls"), Some("boringssl"), "{exchange:?}");
        }
        let ends = |exchange: &Exchange| {
            ["local", "remote"].map(|end| exchange.text(&format!("/connection/{end}")).map(str::to_owned))
        };
        let ([local, remote], [server, client]) = (ends(asked), ends(answered));
        assert!(local.is_some() && remote.is_some(), "{asked:?}");
        assert_eq!((local, remote), (client, server), "{asked:?} {answered:?}");
    }
    Ok(())
}

fn by_name<'a>(exchanges: &'a [Exchange], side: &str) -> Result<BTreeMap<&'a str, &'a Exchange>> {
    let of_side = exchanges.iter().filter(|exchange| exchange.text("/side") == Some(side));
    let named = of_side.map(|exchange| {
        let name = exchange.request_header("x-call").context("the call has no name")?;
        Ok((name, exchange))
    });
    named.collect()
}
