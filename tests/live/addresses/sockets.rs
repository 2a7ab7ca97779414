//! Misleading programs: reused objects and descriptors, ciphertext that is sent in pieces or by another thread, and
//! plaintext connections used within calls of the TLS library.

use anyhow::Result;
use support::{LoggedExchange, Nginx, Tracer, exchange_log, program::Program};

use super::claims::{assert_same, connections, stop_and_assert};

/// The number of connections, to two servers in turn, with two requests each.
const CONNECTIONS: usize = 40;

/// How an object is connected with its socket: by descriptor, by a custom BIO, or by memory BIOs.
const KINDS: [&str; 3] = ["fd", "own", "mem"];

/// Traces a program with a kind of connection and a trick. Asserts that all addresses are right.
fn assert_right(kind: &str, trick: &str) -> Result<Program> {
    let servers = [Nginx::start()?, Nginx::start()?];
    let [first, second] = servers.each_ref().map(|nginx| nginx.port().to_string());
    let mut program = Program::c("sockets.c", &[kind, trick, &CONNECTIONS.to_string(), &first, &second])?;
    let tracer = Tracer::of(&[program.pid()], &[])?;
    program.begin()?;
    program.wait_for("done")?;
    let logged = exchange_log::parse(&program.lines())?;
    let mut answered = Vec::new();
    for nginx in &servers {
        answered.extend(
            nginx
                .wait_for_exchanges(CONNECTIONS)?
                .into_iter()
                .map(LoggedExchange::by_peer),
        );
    }
    assert_same(&logged, &answered);
    let exchanges = stop_and_assert(&format!("{trick} {kind}"), tracer, &logged)?;
    assert_eq!(exchanges.len(), 2 * CONNECTIONS);
    assert_eq!(connections(&exchanges, "client"), CONNECTIONS);
    Ok(program)
}

/// Does the same, and asserts that the trick reused the object, the descriptor or both for each next connection.
fn assert_right_again(kind: &str, trick: &str, args: &[&str]) -> Result<()> {
    let program = assert_right(kind, trick)?;
    for word in args {
        let times: usize = program.wait_for(word)?.parse()?;
        assert_eq!(times, CONNECTIONS - 1, "{word} {kind} {trick}");
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_cleared_object_on_the_same_descriptor_is_a_new_connection() -> Result<()> {
    KINDS
        .iter()
        .try_for_each(|kind| assert_right_again(kind, "clear", &["objects", "descriptors"]))
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn an_object_restarted_without_ssl_clear_is_a_new_connection() -> Result<()> {
    KINDS
        .iter()
        .try_for_each(|kind| assert_right_again(kind, "state", &["objects", "descriptors"]))
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn an_object_at_the_address_of_a_freed_one_is_a_new_connection() -> Result<()> {
    KINDS
        .iter()
        .try_for_each(|kind| assert_right_again(kind, "free", &["descriptors"]))
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_reused_descriptor_of_a_leaked_object_belongs_to_the_new_object() -> Result<()> {
    KINDS
        .iter()
        .try_for_each(|kind| assert_right_again(kind, "leak", &["descriptors"]))
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_socket_replaced_by_dup2_is_a_new_connection() -> Result<()> {
    ["fd", "own"]
        .iter()
        .try_for_each(|kind| assert_right_again(kind, "dup2", &["objects", "descriptors"]))
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn no_exchange_has_the_addresses_of_a_plain_connection_used_within_tls_calls() -> Result<()> {
    ["own", "mem"]
        .iter()
        .try_for_each(|kind| assert_right(kind, "plain").map(drop))
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_tls_record_sent_in_pieces_gives_addresses() -> Result<()> {
    ["own", "mem"]
        .iter()
        .try_for_each(|kind| assert_right(kind, "split").map(drop))
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_tls_record_sent_by_another_thread_gives_addresses() -> Result<()> {
    ["own", "mem"]
        .iter()
        .try_for_each(|kind| assert_right(kind, "thread").map(drop))
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn connections_that_send_their_first_records_in_reverse_order_keep_their_addresses() -> Result<()> {
    assert_right("mem", "crosswise").map(drop)
}
