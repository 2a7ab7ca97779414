//! A statistic as it is printed: one JSON object.

use std::time::SystemTime;

use serde::Serialize;

use super::{
    histogram::Histogram,
    rows::{Counts, Key, Rows},
    upstreams::{Upstream, Upstreams},
};
use crate::redact::{Time, VERSION};

/// The statistic of a span of time.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    v: u8,
    #[serde(rename = "type")]
    kind: &'static str,
    /// The span.
    pub(super) from: Time,
    pub(super) to: Time,
    /// Sums over all rows.
    pub(super) requests: u64,
    pub(super) errors: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) per_second: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) rows: Vec<Row<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) upstreams: Vec<UpstreamRow<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) losses: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) lost_bytes: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) forgotten: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) dropped: u64,
}

/// Exchanges of one route, upstream, side and class of status.
#[derive(Debug, Serialize)]
pub(super) struct Row<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) side: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) upstream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<&'a str>,
    /// True in the row of what has no row of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) other: Option<bool>,
    #[serde(flatten)]
    pub(super) numbers: Numbers,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) gateway_p50_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) gateway_p99_us: Option<u64>,
}

/// An upstream.
#[derive(Debug, Serialize)]
pub(super) struct UpstreamRow<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) upstream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) other: Option<bool>,
    #[serde(flatten)]
    pub(super) numbers: Numbers,
    pub(super) connections: u64,
    pub(super) reused: u64,
    pub(super) resets: u64,
    pub(super) timeouts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) handshake_p50_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) handshake_p99_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rtt_p50_us: Option<u64>,
}

/// What is counted of exchanges.
#[derive(Debug, Serialize)]
pub(super) struct Numbers {
    pub(super) requests: u64,
    pub(super) errors: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) per_second: Option<f64>,
    pub(super) timed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) p50_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) p90_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) p99_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_us: Option<u64>,
}

/// What was counted in a span.
pub(super) struct Counted<'a> {
    pub(super) rows: &'a Rows,
    pub(super) upstreams: &'a Upstreams,
    pub(super) losses: u64,
    pub(super) lost_bytes: u64,
    pub(super) forgotten: u64,
    pub(super) dropped: u64,
}

impl<'a> Report<'a> {
    /// Composes the statistic of a span.
    pub(super) fn new(counted: &Counted<'a>, from: SystemTime, to: SystemTime) -> Self {
        let Counted {
            rows,
            upstreams,
            losses,
            lost_bytes,
            forgotten,
            dropped,
        } = counted;
        let span_us = to.duration_since(from).map_or(0, |span| span.as_micros());
        let mut lines: Vec<_> = rows
            .sorted()
            .into_iter()
            .map(|(key, counts)| row(key, counts, span_us))
            .collect();
        lines.extend(rows.other().map(|counts| other_row(counts, span_us)));
        let mut targets: Vec<_> = upstreams
            .sorted()
            .into_iter()
            .map(|(address, upstream)| upstream_row(Some(address), upstream, span_us))
            .collect();
        targets.extend(upstreams.other().map(|upstream| upstream_row(None, upstream, span_us)));
        let requests = lines.iter().map(|row| row.numbers.requests).sum();
        Self {
            v: VERSION,
            kind: "stat",
            from: Time::new(from),
            to: Time::new(to),
            requests,
            errors: lines.iter().map(|row| row.numbers.errors).sum(),
            per_second: per_second(requests, span_us),
            rows: lines,
            upstreams: targets,
            losses: *losses,
            lost_bytes: *lost_bytes,
            forgotten: *forgotten,
            dropped: *dropped,
        }
    }
}

fn row<'a>(key: &'a Key, counts: &Counts, span_us: u128) -> Row<'a> {
    let Key {
        side,
        method,
        host,
        route,
        upstream,
        status,
    } = key;
    Row {
        side: Some(side),
        method: method.as_deref(),
        host: host.as_deref(),
        route: route.as_deref(),
        upstream: upstream.as_deref(),
        status: Some(status),
        other: None,
        numbers: numbers(counts, span_us),
        gateway_p50_us: counts.gateway.percentile(50),
        gateway_p99_us: counts.gateway.percentile(99),
    }
}

fn other_row(counts: &Counts, span_us: u128) -> Row<'static> {
    Row {
        side: None,
        method: None,
        host: None,
        route: None,
        upstream: None,
        status: None,
        other: Some(true),
        numbers: numbers(counts, span_us),
        gateway_p50_us: counts.gateway.percentile(50),
        gateway_p99_us: counts.gateway.percentile(99),
    }
}

fn upstream_row<'a>(address: Option<&'a str>, upstream: &Upstream, span_us: u128) -> UpstreamRow<'a> {
    let Upstream {
        exchanges,
        connections,
        reused,
        handshakes,
        round_trips,
        resets,
        timeouts,
    } = upstream;
    UpstreamRow {
        upstream: address,
        other: address.is_none().then_some(true),
        numbers: numbers(exchanges, span_us),
        connections: *connections,
        reused: *reused,
        resets: *resets,
        timeouts: *timeouts,
        handshake_p50_us: handshakes.percentile(50),
        handshake_p99_us: handshakes.percentile(99),
        rtt_p50_us: round_trips.percentile(50),
    }
}

fn numbers(counts: &Counts, span_us: u128) -> Numbers {
    let Counts {
        requests,
        errors,
        durations,
        gateway: _,
    } = counts;
    let percentile = |percent: u64| Histogram::percentile(durations, percent);
    Numbers {
        requests: *requests,
        errors: *errors,
        per_second: per_second(*requests, span_us),
        timed: durations.total(),
        p50_us: percentile(50),
        p90_us: percentile(90),
        p99_us: percentile(99),
        max_us: durations.max(),
    }
}

/// Returns a rate with three decimals; `None` over a span of no length.
fn per_second(requests: u64, span_us: u128) -> Option<f64> {
    let thousandths = (u128::from(requests) * 1_000_000_000).checked_div(span_us)?;
    Some(f64::from(u32::try_from(thousandths).unwrap_or(u32::MAX)) / 1000.0)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}
