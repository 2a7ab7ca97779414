//! Describes the summary of a connection, and the health of the tracer, in one sentence. The caller must escape it.

use crate::redact::{HealthLine, SummaryLine};

/// Returns the state of a connection.
pub(super) const fn state(line: &SummaryLine<'_>) -> &'static str {
    if line.open.is_some() { "still open" } else { "closed" }
}

/// Returns everything that is known of a connection, separated by commas.
pub(super) fn parts(line: &SummaryLine<'_>) -> String {
    let SummaryLine {
        opened,
        tls_version,
        cipher,
        alpn,
        server_name,
        handshake_us,
        rtt_us,
        retransmits,
        received,
        acknowledged,
        read,
        written,
        exchanges,
        ended,
        ended_by,
        ..
    } = line;
    let ended = ended.map(|ended| ended_by.map_or(ended.to_owned(), |by| format!("{ended} by {by}")));
    let known = [
        ended,
        opened.as_ref().map(|opened| format!("opened {opened}")),
        tls_version.as_deref().map(str::to_owned),
        cipher.as_deref().map(str::to_owned),
        alpn.as_ref().map(|alpn| format!("alpn {alpn}")),
        server_name.as_ref().map(|name| format!("server name {name}")),
        handshake_us.map(|micros| format!("handshake {micros} us")),
        rtt_us.map(|micros| format!("round trip {micros} us")),
        retransmits.map(|count| format!("{count} retransmits")),
        received.map(|bytes| format!("{bytes} bytes received")),
        acknowledged.map(|bytes| format!("{bytes} acknowledged")),
        Some(format!(
            "{} read, {} written, {exchanges} exchanges",
            count(*read),
            count(*written)
        )),
    ];
    known.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Returns whose health it is, and what it is.
pub(super) fn health(line: &HealthLine) -> String {
    let HealthLine {
        time: _,
        subject,
        name,
        state,
        used,
        capacity,
        dropped,
    } = line;
    let used = used.zip(*capacity);
    let parts = [
        Some(match name {
            Some(name) => format!("{subject} {name}: {}", state.replace('_', " ")),
            None => format!("{subject}: {}", state.replace('_', " ")),
        }),
        used.map(|(used, capacity)| format!("{used} of {capacity}")),
        dropped.map(|dropped| format!("{dropped} dropped")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Formats a number of bytes that may be unknown.
fn count(bytes: Option<u64>) -> String {
    bytes.map_or("an unknown number".to_owned(), |bytes| bytes.to_string())
}
