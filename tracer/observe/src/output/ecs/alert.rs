//! Alerts as documents.

use super::{
    document::{Document, Event, Http, HttpRequest, HttpResponse, Process, Rule, Tlscope, Url},
    endpoint::{Ends, host_and_port},
};
use crate::redact::AlertLine;

/// Converts an alert. Its event has the id of the exchange.
pub(super) fn document<'a>(line: &'a AlertLine<'_>) -> Document<'a> {
    let AlertLine {
        time,
        rule,
        severity,
        message,
        id,
        pid,
        process,
        side,
        connection,
        method,
        authority,
        path,
        status,
        request_id,
        evidence,
        encoding,
    } = line;
    let Ends {
        client,
        server,
        network,
    } = Ends::of(connection, Some(side), Some("http"));
    let (domain, port) = authority.as_deref().map(host_and_port).unzip();
    Document {
        timestamp: time.as_str(),
        event: Event {
            kind: "alert",
            category: &["web"],
            types: &["info"],
            module: "tlscope",
            dataset: "tlscope.alert",
            id: Some(id),
            ..Event::default()
        },
        source: client.clone(),
        destination: server.clone(),
        client,
        server,
        network: Some(network),
        http: Some(Http {
            version: None,
            request: Some(HttpRequest {
                id: request_id.as_deref(),
                method: method.as_deref(),
                referrer: None,
                mime_type: None,
                body: None,
            }),
            response: status.map(|status| HttpResponse {
                status_code: Some(status),
                mime_type: None,
                body: None,
            }),
        }),
        url: Some(Url {
            original: path.as_deref(),
            domain,
            port: port.flatten(),
            ..Url::default()
        }),
        process: Some(Process {
            pid: *pid,
            name: process,
            thread: None,
        }),
        rule: Some(Rule { name: rule }),
        message: message.as_deref(),
        tlscope: Tlscope {
            side: Some(side),
            connection: Some(&connection.id),
            severity: Some(severity),
            evidence: Some(evidence),
            encoding: *encoding,
            ..Tlscope::default()
        },
        ..Document::default()
    }
}
