//! Audit lines as documents.

use super::document::{Document, Event, Host, Process, Tlscope, User};
use crate::redact::AuditLine;

/// Converts an audit line. All of it is under `tlscope.audit`; what ECS has fields for is there as well.
pub(super) fn document<'a>(line: &'a AuditLine<'_>) -> Document<'a> {
    Document {
        timestamp: line.time.as_str(),
        event: Event {
            kind: "event",
            category: &["process"],
            types: if line.ended.is_some() { &["end"] } else { &["start"] },
            module: "tlscope",
            dataset: "tlscope.audit",
            id: Some(&line.run),
            duration: line.duration_us.map(|micros| micros.saturating_mul(1000)),
            outcome: outcome(line),
            reason: line.reason.as_deref(),
            ..Event::default()
        },
        user: Some(User {
            id: line.user.uid.to_string(),
            name: line.user.name.as_deref(),
        }),
        host: Some(Host { hostname: &line.host }),
        process: Some(Process {
            pid: line.pid,
            name: "tlscope",
            thread: None,
        }),
        tlscope: Tlscope {
            audit: Some(line),
            ..Tlscope::default()
        },
        ..Document::default()
    }
}

/// Returns how it went; `None` of a start, of which that is not known yet.
fn outcome(line: &AuditLine<'_>) -> Option<&'static str> {
    let has_failed = line.reason.is_some() || line.ended == Some("error");
    let is_over = has_failed || line.ended.is_some();
    is_over.then_some(if has_failed { "failure" } else { "success" })
}
