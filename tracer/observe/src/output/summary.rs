//! Describes the summary of a connection, the health of the tracer, an alert, and an audit line, in one sentence. The caller must escape it.

use crate::redact::{AlertLine, AuditLine, EvidenceLine, GivenLine, HealthLine, SummaryLine};

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

/// Returns who traces what, from where, and how that ended.
pub(super) fn audit(line: &AuditLine<'_>) -> String {
    let AuditLine {
        time: _,
        event,
        run: _,
        host,
        version: _,
        pid,
        command,
        user,
        from,
        claims,
        secrets,
        selection,
        filters,
        outputs,
        settings: _,
        left_out: _,
        processes,
        reason,
        ended,
        duration_us: _,
        exchanges,
        lost_records: _,
        lost_bytes: _,
        processes_traced,
        encoding: _,
    } = line;
    let login = user.login_uid.map(|uid| match &user.login_name {
        Some(name) => format!("logged in as {name} ({uid})"),
        None => format!("logged in as {uid}"),
    });
    let claims = claims.as_ref();
    let event = if reason.is_some() { "refused start" } else { event };
    let is_tape = selection.iter().any(|(option, _)| **option == *"tape");
    let listed =
        |what: &str, options: &[GivenLine<'_>]| (!options.is_empty()).then(|| format!("{what}{}", given(options)));
    let parts = [
        Some(format!(
            "{event} of {command} ({pid}) on {host} by {} ({})",
            user.name.as_deref().unwrap_or("?"),
            user.uid
        )),
        login,
        from.tty.as_ref().map(|tty| format!("terminal {tty}")),
        from.parent.as_ref().map(|parent| format!("from {parent}")),
        claims
            .and_then(|claims| claims.sudo_user.as_ref())
            .map(|user| format!("sudo says {user}")),
        claims
            .and_then(|claims| claims.ssh_client.as_ref())
            .map(|client| format!("SSH says {client}")),
        listed(if is_tape { "reads" } else { "traces" }, selection),
        listed("only", filters),
        listed("to", outputs),
        Some(format!("secrets: {secrets}")),
        (!processes.is_empty()).then(|| plural(processes.len() as u64, "process", "processes")),
        reason.as_ref().map(|reason| format!("because: {reason}")),
        ended.map(|ended| format!("ended by {}", ended.replace('_', " "))),
        exchanges.map(|count| plural(count, "exchange", "exchanges")),
        processes_traced.map(|count| plural(count, "process traced", "processes traced")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn plural(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

fn given(options: &[GivenLine<'_>]) -> String {
    let one = |(name, value): &GivenLine<'_>| match value {
        Some(value) => format!(" --{name} {value}"),
        None => format!(" --{name}"),
    };
    options.iter().map(one).collect()
}

fn evidence_text(evidence: &EvidenceLine<'_>) -> Option<String> {
    let EvidenceLine {
        head,
        field,
        value,
        server_name,
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
        server_name.as_deref().map(|name| format!("server name {name}")),
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
