//! Describes the summary of a connection, the health of the tracer, and an alert, in one sentence. The caller must escape it.

use crate::redact::{AlertLine, EvidenceLine, HealthLine, SummaryLine};

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

/// Returns which rule matched, what it found, and in which exchange.
pub(super) fn alert(line: &AlertLine<'_>) -> String {
    let AlertLine {
        time: _,
        rule,
        severity,
        message,
        id,
        pid: _,
        process,
        side: _,
        connection: _,
        method,
        authority,
        path,
        status,
        request_id: _,
        evidence,
        encoding: _,
    } = line;
    let known = |text: &Option<crate::redact::Printable<'_>>| text.as_deref().unwrap_or("?").to_owned();
    let exchange = format!(
        "{process} {id}: {} {}{} {}",
        known(method),
        known(authority),
        known(path),
        status.map_or("?".to_owned(), |status| status.to_string())
    );
    let parts = [
        Some(format!("{severity} {rule}")),
        message.as_deref().map(str::to_owned),
        evidence_text(evidence),
        Some(exchange),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn evidence_text(evidence: &EvidenceLine<'_>) -> Option<String> {
    let EvidenceLine {
        head,
        field,
        value,
        malformed,
        key,
        count,
        limit,
    } = evidence;
    let field = field.as_ref().map(|field| match value {
        Some(value) => format!("{field}: {value}"),
        None => field.to_string(),
    });
    let counted = count.map(|count| match limit {
        Some(limit) => format!("{count} of {limit}"),
        None => count.to_string(),
    });
    let parts = [
        head.map(str::to_owned),
        field,
        malformed.map(|part| format!("malformed {part}")),
        key.as_deref().map(|key| format!("of {key}")),
        counted,
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// Formats a number of bytes that may be unknown.
fn count(bytes: Option<u64>) -> String {
    bytes.map_or("an unknown number".to_owned(), |bytes| bytes.to_string())
}
