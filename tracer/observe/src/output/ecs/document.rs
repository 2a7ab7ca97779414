//! The documents, by the names of ECS. What is unknown is absent.

use std::net::IpAddr;

use serde::Serialize;

use crate::redact::{AuditLine, EvidenceLine};

/// The version of ECS.
pub(super) const VERSION: &str = "8.17.0";

/// A document.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Document<'a> {
    #[serde(rename = "@timestamp")]
    pub(super) timestamp: &'a str,
    pub(super) ecs: Ecs,
    pub(super) event: Event<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<Endpoint<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) destination: Option<Endpoint<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client: Option<Endpoint<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server: Option<Endpoint<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) network: Option<Network>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) http: Option<Http<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<Url<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user_agent: Option<Original<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls: Option<Tls<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trace: Option<Id<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) process: Option<Process<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<User<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) host: Option<Host<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rule: Option<Rule<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<&'a str>,
    pub(super) tlscope: Tlscope<'a>,
}

/// `rule`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Rule<'a> {
    pub(super) name: &'a str,
}

/// `user`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct User<'a> {
    /// A keyword, not a number.
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
}

/// `host`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Host<'a> {
    pub(super) hostname: &'a str,
}

/// `ecs`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Ecs {
    version: &'static str,
}

impl Default for Ecs {
    fn default() -> Self {
        Self { version: VERSION }
    }
}

/// `event`.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Event<'a> {
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) category: &'static [&'static str],
    #[serde(rename = "type", skip_serializing_if = "<[_]>::is_empty")]
    pub(super) types: &'static [&'static str],
    pub(super) module: &'static str,
    pub(super) dataset: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) start: Option<&'a str>,
    /// In nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'a str>,
}

/// `source`, `destination`, `client` and `server`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Endpoint<'a> {
    pub(super) address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) port: Option<u16>,
}

/// `network`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Network {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) transport: Option<&'static str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) protocol: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) direction: Option<&'static str>,
}

/// `http`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Http<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request: Option<HttpRequest<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response: Option<HttpResponse<'a>>,
}

/// `http.request`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct HttpRequest<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) referrer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mime_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<Bytes>,
}

/// `http.response`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct HttpResponse<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mime_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<Bytes>,
}

/// `http.request.body` and `http.response.body`.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Bytes {
    pub(super) bytes: u64,
}

/// `url`.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Url<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) original: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scheme: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) domain: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) query: Option<&'a str>,
}

/// `user_agent`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Original<'a> {
    pub(super) original: &'a str,
}

/// `tls`.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Tls<'a> {
    pub(super) established: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version_protocol: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cipher: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_protocol: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client: Option<TlsClient<'a>>,
}

/// `tls.client`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct TlsClient<'a> {
    pub(super) server_name: &'a str,
}

/// `trace`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Id<'a> {
    pub(super) id: &'a str,
}

/// `process`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Process<'a> {
    pub(super) pid: u32,
    pub(super) name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thread: Option<Thread>,
}

/// `process.thread`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Thread {
    pub(super) id: u32,
}

/// What ECS has no field for, by the names of the other JSON lines.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Tlscope<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) side: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connection: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stream: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) head_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first_byte_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first_event_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parent_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) grpc_status: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) grpc_message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request: Option<Head>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response: Option<Head>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exchanges: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) handshake_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rtt_us: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retransmits: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) open: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) direction: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) position: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cause: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) used: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) capacity: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dropped: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) encoding: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) severity: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) evidence: Option<&'a EvidenceLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) audit: Option<&'a AuditLine<'a>>,
}

/// A head. A field of it is `name: value`; one of which either is unknown is left out.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Head {
    pub(super) headers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) trailers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) complete: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unknown: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) malformed: Option<&'static str>,
}
