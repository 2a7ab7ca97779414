//! What a collector answers, and what follows from it.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use percent_encoding::percent_decode;
use prost::Message as _;

use super::grpc::{RpcStatus, message, retry_delay};
use crate::limits::{MAX_REASON_CHARS, MAX_RETRY_AFTER};

/// What a collector made of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::otlp) enum Answer {
    /// It has taken the records, all but some.
    Accepted {
        /// The number of those that it has not taken.
        rejected: u64,
        /// Why, or what else it says.
        reason: String,
    },
    /// It may take them later.
    Later {
        /// When to try again, if it says that.
        after: Option<Duration>,
        /// Why.
        reason: String,
    },
    /// It will never take them.
    Refused {
        /// Why.
        reason: String,
    },
}

impl Answer {
    /// Returns that a request may be tried again at any time.
    pub(super) const fn later(reason: String) -> Self {
        Self::Later { after: None, reason }
    }

    /// Returns that it is not that of a collector, to which sending it again would not help.
    pub(super) fn unknown() -> Self {
        Self::Refused {
            reason: "answered with something else than OTLP".to_owned(),
        }
    }
}

/// A response.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) trailers: HeaderMap,
    pub(super) body: Bytes,
}

impl Received {
    /// Reads an answer over HTTP, by the specification of OTLP/HTTP.
    pub(super) fn http(&self) -> Answer {
        if self.status.is_success() {
            return self.http_success();
        }
        let told = RpcStatus::decode(self.body.clone())
            .map(|status| status.message)
            .unwrap_or_default();
        let reason = with_detail(format!("answered {}", self.status), &told);
        match self.status.as_u16() {
            429 | 502 | 503 | 504 => Answer::Later {
                after: self.retry_after(),
                reason,
            },
            _ => Answer::Refused { reason },
        }
    }

    fn http_success(&self) -> Answer {
        let content = self.headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
        if content.is_some_and(|content| content.starts_with(b"application/json")) {
            // Some answer `{}` in JSON to whatever was sent.
            return accepted(Bytes::new());
        }
        accepted(self.body.clone())
    }

    fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
    }

    /// Reads an answer over gRPC, by the specification of OTLP/gRPC.
    pub(super) fn grpc(&self) -> Answer {
        // An answer without a message has its status in the head.
        let fields = if self.trailers.contains_key("grpc-status") {
            &self.trailers
        } else {
            &self.headers
        };
        let status = fields
            .get("grpc-status")
            .and_then(|status| status.to_str().ok()?.parse::<u32>().ok());
        let Some(status) = status else {
            return self.no_grpc();
        };
        let told = fields
            .get("grpc-message")
            .map(http::HeaderValue::as_bytes)
            .unwrap_or_default();
        let told = percent_decode(told).decode_utf8_lossy();
        let reason = with_detail(format!("answered with status {status} of gRPC"), &told);
        let after = retry_delay(fields).map(|delay| delay.min(MAX_RETRY_AFTER));
        match status {
            0 => accepted(message(&self.body).unwrap_or_default()),
            // CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS
            1 | 4 | 10 | 11 | 14 | 15 => Answer::Later { after, reason },
            // RESOURCE_EXHAUSTED: only a collector that says when can recover.
            8 if after.is_some() => Answer::Later { after, reason },
            _ => Answer::Refused { reason },
        }
    }

    /// Reads an answer of something that does not speak gRPC, such as a proxy, as gRPC maps those of HTTP.
    fn no_grpc(&self) -> Answer {
        let reason = format!("answered {} without a status of gRPC", self.status);
        match self.status.as_u16() {
            429 | 502 | 503 | 504 => Answer::Later {
                after: self.retry_after(),
                reason,
            },
            _ => Answer::Refused { reason },
        }
    }
}

/// Reads the message of a success. That of the other signals has the same fields.
fn accepted(body: Bytes) -> Answer {
    let Ok(response) = ExportTraceServiceResponse::decode(body) else {
        return Answer::unknown();
    };
    let partial = response.partial_success.unwrap_or_default();
    Answer::Accepted {
        rejected: partial.rejected_spans.try_into().unwrap_or(0),
        reason: shortened(&partial.error_message),
    }
}

fn with_detail(reason: String, told: &str) -> String {
    if told.is_empty() {
        return reason;
    }
    format!("{reason}: {}", shortened(told))
}

fn shortened(told: &str) -> String {
    told.chars().take(MAX_REASON_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::{
        logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse},
        metrics::v1::{ExportMetricsPartialSuccess, ExportMetricsServiceResponse},
    };

    use super::*;

    fn received(status: u16, headers: &[(&'static str, &str)], body: Vec<u8>) -> Received {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Received {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            trailers: HeaderMap::new(),
            body: body.into(),
        }
    }

    fn accepted(rejected: u64, reason: &str) -> Answer {
        Answer::Accepted {
            rejected,
            reason: reason.to_owned(),
        }
    }

    fn is_refused(answer: &Answer) -> bool {
        matches!(answer, Answer::Refused { .. })
    }

    #[test]
    fn a_success_may_be_partial_in_each_signal() {
        let logs = ExportLogsServiceResponse {
            partial_success: Some(ExportLogsPartialSuccess {
                rejected_log_records: 3,
                error_message: "too old".to_owned(),
            }),
        };
        let metrics = ExportMetricsServiceResponse {
            partial_success: Some(ExportMetricsPartialSuccess {
                rejected_data_points: 3,
                error_message: "too old".to_owned(),
            }),
        };
        for body in [logs.encode_to_vec(), metrics.encode_to_vec()] {
            assert_eq!(received(200, &[], body).http(), accepted(3, "too old"));
        }
        assert_eq!(received(200, &[], Vec::new()).http(), accepted(0, ""));
        assert_eq!(
            received(200, &[("content-type", "application/json")], b"{}".to_vec()).http(),
            accepted(0, "")
        );
    }

    #[test]
    fn http_says_what_may_be_tried_again_and_when() {
        for (status, after) in [(429, Some(7)), (502, None), (503, Some(60)), (504, None)] {
            let seconds = match status {
                429 => "7",
                503 => "3600",
                _ => "Wed, 21 Oct 2026 07:28:00 GMT",
            };
            let answer = received(status, &[("retry-after", seconds)], Vec::new()).http();
            let Answer::Later { after: found, reason } = answer else {
                panic!("{answer:?}")
            };
            assert_eq!(found, after.map(Duration::from_secs), "{reason}");
        }
        for status in [301, 400, 401, 404, 408, 413, 500] {
            assert!(is_refused(&received(status, &[], Vec::new()).http()), "{status}");
        }
        assert!(is_refused(&received(200, &[], b"<html>".to_vec()).http()));
    }

    #[test]
    fn the_words_of_a_collector_are_told_in_part() {
        let status = RpcStatus::decode(&b"\x12\x05wrong"[..]).unwrap();
        let answer = received(400, &[], status.encode_to_vec()).http();
        let reason = "answered 400 Bad Request: wrong".to_owned();
        assert_eq!(answer, Answer::Refused { reason });
        let long = format!("{}%2C", "x".repeat(MAX_REASON_CHARS));
        let answer = received(200, &[("grpc-status", "3"), ("grpc-message", &long)], Vec::new()).grpc();
        let Answer::Refused { reason } = answer else {
            panic!("{answer:?}")
        };
        assert!(reason.ends_with('x') && reason.len() < 300, "{reason}");
    }

    #[test]
    fn grpc_says_what_may_be_tried_again() {
        let status = |status: &str| received(200, &[("grpc-status", status)], Vec::new()).grpc();
        assert_eq!(status("0"), accepted(0, ""));
        for retried in ["1", "4", "10", "11", "14", "15"] {
            assert!(
                matches!(status(retried), Answer::Later { after: None, .. }),
                "{retried}"
            );
        }
        for refused in ["2", "3", "5", "7", "8", "12", "13", "16", "x"] {
            assert!(is_refused(&status(refused)), "{refused}");
        }
        assert!(matches!(received(503, &[], Vec::new()).grpc(), Answer::Later { .. }));
        assert!(is_refused(&received(404, &[], Vec::new()).grpc()));
    }

    #[test]
    fn the_status_of_grpc_is_in_the_trailers_behind_a_message() {
        let mut answer = received(200, &[], b"\0\0\0\0\x06\x0a\x04\x08\x02\x12\0".to_vec());
        answer.trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        assert_eq!(answer.grpc(), accepted(2, ""));
    }
}
