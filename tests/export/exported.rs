//! Tapes, and what tlscope says when it exports them.

use std::collections::BTreeMap;

use anyhow::Result;
use support::{binary, run, run::CommandOutput};
use tracer_ebpf::{AddressSource, Direction};

use crate::tape_builder::{OWN_NETNS, RESPONSE, TapeBuilder};

/// Replays a tape with an export. Returns the output of tlscope, which must succeed.
pub(crate) fn replay(tape: &TapeBuilder, args: &[&str]) -> Result<CommandOutput> {
    replay_with(tape, args, &[])
}

/// Does the same with variables in its environment.
pub(crate) fn replay_with(tape: &TapeBuilder, args: &[&str], variables: &[(&str, &str)]) -> Result<CommandOutput> {
    let folder = tape.write()?;
    let mut command = binary::command(&["replay"])?;
    command
        .arg(folder.path().join("made.tape"))
        .args(["-o", "json"])
        .args(args);
    run::succeed(command.envs(variables.iter().copied()))
}

/// Makes a tape of one exchange.
pub(crate) fn one() -> Result<TapeBuilder> {
    let mut tape = TapeBuilder::new();
    tape.facts(1, AddressSource::BIO, OWN_NETNS)?.exchange(1)?;
    Ok(tape)
}

/// Makes a tape of many exchanges, each with a path and a parent of its own.
pub(crate) fn many(connections: u64, each: u64) -> Result<TapeBuilder> {
    let mut tape = TapeBuilder::new();
    for connection in 1..=connections {
        tape.facts(connection, AddressSource::BIO, OWN_NETNS)?;
    }
    let mut asked = BTreeMap::<u64, u64>::new();
    for number in 0..each {
        for connection in 1..=connections {
            let id = connection * 1_000_000 + number;
            let request = format!(
                "GET /{id}?page=2&token=pLanted22 HTTP/1.1\r\nHost: a.test\r\nUser-Agent: curl/8\r\nX-Tenant: acme\r\n\
                 Authorization: Bearer pLanted01\r\ntraceparent: 00-{id:032x}-{id:016x}-01\r\n\r\n"
            );
            let position = asked.entry(connection).or_default();
            tape.data_at(connection, Direction::READ, *position, request.as_bytes())?
                .data_at(connection, Direction::WRITE, number * RESPONSE.len() as u64, RESPONSE)?;
            *position += request.len() as u64;
        }
        // A batch has a bound.
        tape.wait(0);
    }
    Ok(tape)
}

/// Returns how many spans were not sent: those that were known by the end of the tape, and those of the last requests.
pub(crate) fn unsent(stderr: &str) -> u64 {
    let is_count = |line: &&str| line.contains("lines not exported: ") || line.contains("spans not sent to ");
    let counts = stderr
        .lines()
        .filter(is_count)
        .filter_map(|line| line.rsplit_once(": "));
    counts.filter_map(|(_, count)| count.parse::<u64>().ok()).sum()
}
