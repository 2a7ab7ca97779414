//! The text that Prometheus reads.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, NoLabelSet, prometheus_text, text,
    },
    metrics::MetricType,
    registry::{Registry, Unit},
};
use tracer_observe::health::Subject;

use super::{
    process::OwnFigures,
    rows::{BOUNDS_US, Buckets, Labels, Row},
    state::Snapshot,
};

/// The format of the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Exposition {
    /// `OpenMetrics` 1.0, which Prometheus asks for.
    OpenMetrics,
    /// The format of Prometheus that came before.
    Prometheus,
}

impl Exposition {
    /// Chooses by the header `Accept` of a request.
    pub(super) fn of(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Formats the counts.
    pub(super) fn format(self, snapshot: Snapshot) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(snapshot));
        let mut out = String::new();
        match self {
            Self::OpenMetrics => text::encode(&mut out, &registry)?,
            Self::Prometheus => prometheus_text::encode(&mut out, &registry)?,
        }
        Ok(out)
    }
}

type Pairs<'a> = Vec<(&'static str, &'a str)>;

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        self.requests(&mut families)?;
        self.others(&mut families)?;
        self.records(&mut families)?;
        self.losses(&mut families)?;
        self.health(&mut families)?;
        own(&mut families)
    }
}

impl Snapshot {
    fn requests(&self, families: &mut Families<'_>) -> fmt::Result {
        let rows = || self.rows.iter().map(|(labels, row)| (pairs(labels), row));
        let counts = |count: fn(&Row) -> u64| rows().map(move |(pairs, row)| (pairs, count(row)));
        families.counters("tlscope_requests", REQUESTS, None, counts(|row| row.requests))?;
        families.counters("tlscope_errors", ERRORS, None, counts(|row| row.errors))?;
        let buckets = |buckets: fn(&Row) -> &Buckets| {
            let buckets = rows().map(move |(pairs, row)| (pairs, buckets(row)));
            buckets.filter(|(_, buckets)| buckets.total() > 0)
        };
        families.histograms("tlscope_request_duration", DURATION, buckets(|row| &row.durations))?;
        families.histograms("tlscope_gateway_duration", GATEWAY, buckets(|row| &row.gateway))
    }

    fn others(&self, families: &mut Families<'_>) -> fmt::Result {
        let others = &self.others;
        let counts = [
            ("process", others.process),
            ("route", others.route),
            ("upstream", others.upstream),
            ("all", others.all),
        ];
        let counts = counts.map(|(label, count)| (vec![("label", label)], count));
        families.counters("tlscope_other_requests", OTHERS, None, counts.into_iter())?;
        families.gauge(
            "tlscope_open_requests",
            OPEN,
            None,
            &u64::try_from(self.open).unwrap_or(u64::MAX),
        )?;
        let active = self.active.iter().map(|((process, side, method), count)| {
            (
                vec![("process", &**process), ("side", *side), ("method", *method)],
                *count,
            )
        });
        families.gauges("tlscope_active_requests", ACTIVE, None, active)?;
        families.counter("tlscope_forgotten_requests", FORGOTTEN, None, self.forgotten)
    }

    /// Most functions with hooks never bring data, so only those that did are shown.
    fn records(&self, families: &mut Families<'_>) -> fmt::Result {
        let hit = self.own.records.iter().filter(|function| function.records > 0);
        let records = hit.map(|function| {
            let pairs = vec![
                ("library", function.library.as_str()),
                ("function", &*function.function),
            ];
            (pairs, function.records)
        });
        families.counters("tlscope_records", RECORDS, None, records)
    }

    fn losses(&self, families: &mut Families<'_>) -> fmt::Result {
        let losses = || {
            self.own
                .losses
                .iter()
                .map(|(cause, counts)| (vec![("cause", *cause)], counts))
        };
        let counts = losses().map(|(pairs, (losses, _))| (pairs, *losses));
        families.counters("tlscope_losses", LOSSES, None, counts)?;
        let counts = losses().map(|(pairs, (_, bytes))| (pairs, *bytes));
        families.counters("tlscope_lost", LOST, Some(&Unit::Bytes), counts)?;
        let refused = self.own.refused_hooks.iter();
        let refused = refused.map(|((name, cause), count)| (vec![("name", *name), ("cause", *cause)], *count));
        families.counters("tlscope_refused_hooks", REFUSED, None, refused)?;
        let alerts = self.own.alerts.iter();
        let alerts =
            alerts.map(|((rule, severity), count)| (vec![("rule", rule.as_str()), ("severity", *severity)], *count));
        families.counters("tlscope_alerts", ALERTS, None, alerts)
    }

    fn health(&self, families: &mut Families<'_>) -> fmt::Result {
        let health = &self.own.health;
        let ring = health.get(&Subject::Ring);
        if let Some((used, capacity)) = ring.and_then(|ring| ring.used.zip(ring.capacity)) {
            families.gauge("tlscope_ring_used", RING, Some(&Unit::Bytes), &used)?;
            families.gauge("tlscope_ring_capacity", RING_CAPACITY, Some(&Unit::Bytes), &capacity)?;
        }
        let tables = || {
            health.iter().filter_map(|(subject, figures)| match subject {
                Subject::Table(name) => Some((vec![("table", *name)], figures.used.zip(figures.capacity)?)),
                Subject::Ring | Subject::Output | Subject::RateLimit | Subject::Policy | Subject::Export(_) => None,
            })
        };
        let used = tables().map(|(pairs, (used, _))| (pairs, used));
        families.gauges("tlscope_table_entries", TABLE, None, used)?;
        let capacities = tables().map(|(pairs, (_, capacity))| (pairs, capacity));
        families.gauges("tlscope_table_capacity", TABLE_CAPACITY, None, capacities)?;
        let dropped = health.iter().map(|(subject, figures)| {
            let pairs = match subject {
                Subject::Ring => vec![("subject", "ring")],
                Subject::Table(name) => vec![("subject", "table"), ("name", *name)],
                Subject::Output => vec![("subject", "output")],
                Subject::RateLimit => vec![("subject", "rate_limit")],
                Subject::Policy => vec![("subject", "policy")],
                Subject::Export(export) => vec![("subject", "export"), ("name", export.name())],
            };
            (pairs, figures.dropped)
        });
        families.counters("tlscope_dropped", DROPPED, None, dropped)
    }
}

/// Formats what tlscope itself uses.
fn own(families: &mut Families<'_>) -> fmt::Result {
    let mut build = families
        .0
        .encode_descriptor("tlscope_build", BUILD, None, MetricType::Info)?;
    build.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])?;
    let Some(own) = OwnFigures::read() else {
        return Ok(());
    };
    let (seconds, bytes) = (Some(&Unit::Seconds), Some(&Unit::Bytes));
    families.counter("process_cpu", "CPU time of tlscope", seconds, own.cpu_seconds)?;
    families.gauge(
        "process_resident_memory",
        "Memory of tlscope",
        bytes,
        &own.resident_bytes,
    )?;
    families.gauge(
        "process_virtual_memory",
        "Address space of tlscope",
        bytes,
        &own.virtual_bytes,
    )?;
    families.gauge("process_threads", "Threads of tlscope", None, &own.threads)?;
    if let Some(count) = own.open_fds {
        families.gauge("process_open_fds", "Open descriptors of tlscope", None, &count)?;
    }
    if let Some(start) = own.start_seconds {
        families.gauge(
            "process_start_time",
            "When tlscope was started, since 1970",
            seconds,
            &start,
        )?;
    }
    Ok(())
}

/// Writes families of metrics, one after another.
struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    fn counters<P: EncodeLabelSet, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        values: impl Iterator<Item = (P, V)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, unit, MetricType::Counter)?;
        for (pairs, value) in values {
            family
                .encode_family(&pairs)?
                .encode_counter::<NoLabelSet, V, u64>(&value, None)?;
        }
        Ok(())
    }

    fn gauges<P: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        values: impl Iterator<Item = (P, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (pairs, value) in values {
            family.encode_family(&pairs)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn histograms<'a>(
        &mut self,
        name: &str,
        help: &str,
        values: impl Iterator<Item = (Pairs<'a>, &'a Buckets)>,
    ) -> fmt::Result {
        let mut values = values.peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let unit = Unit::Seconds;
        let mut family = self
            .0
            .encode_descriptor(name, help, Some(&unit), MetricType::Histogram)?;
        for (pairs, buckets) in values {
            let bounds = BOUNDS_US.iter().map(|bound| seconds(*bound)).chain([f64::INFINITY]);
            let counts = buckets.counts.iter().copied().chain([buckets.beyond]);
            let counts: Vec<_> = bounds.zip(counts).collect();
            family.encode_family(&pairs)?.encode_histogram::<NoLabelSet>(
                seconds(buckets.sum_us),
                buckets.total(),
                &counts,
                None,
            )?;
        }
        Ok(())
    }

    fn counter<V: EncodeCounterValue>(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: V) -> fmt::Result {
        self.counters(name, help, unit, std::iter::once((Pairs::new(), value)))
    }

    fn gauge<V: EncodeGaugeValue>(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: &V) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        metric.encode_gauge(value)
    }
}

/// Returns the labels of a row. One that is empty is left out, which is the same to Prometheus.
fn pairs(labels: &Labels) -> Pairs<'_> {
    let Labels {
        process,
        side,
        method,
        route,
        upstream,
        status,
    } = labels;
    let pairs: [(_, &str); 6] = [
        ("process", process),
        ("side", side),
        ("method", method),
        ("route", route),
        ("upstream", upstream),
        ("status", status),
    ];
    pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// Returns microseconds in seconds.
#[expect(clippy::cast_precision_loss, reason = "53 bits of microseconds are 285 years")]
const fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

const REQUESTS: &str = "Requests, with their responses or without";
const ERRORS: &str = "Requests with a status from 500 on, a gRPC status other than 0, or an end that came too early";
const DURATION: &str = "From the first byte of the request to the end of the response";
const GATEWAY: &str = "How long a gateway had a request while no upstream server had it";
const OTHERS: &str = "Requests with a label that is other, because there are too many values of that label";
const OPEN: &str = "Requests whose response has begun and has not ended";
const ACTIVE: &str = "Requests that were read or sent and whose response has not ended";
const FORGOTTEN: &str = "Requests whose end is not counted, because too many were open";
const RECORDS: &str = "Records of data that the hooks of a function brought";
const LOSSES: &str = "Times that bytes passed and were not captured";
const LOST: &str = "Bytes that passed and were not captured, as far as their number is known";
const REFUSED: &str = "Hooks that do not serve a process or a file";
const ALERTS: &str = "Exchanges that a rule of the policy matched";
const RING: &str = "Bytes in the fullest ring";
const RING_CAPACITY: &str = "Bytes that a ring has room for";
const TABLE: &str = "Entries of a table in the kernel";
const TABLE_CAPACITY: &str = "Entries that a table in the kernel has room for";
const DROPPED: &str = "Records, entries, lines or exchanges that were dropped";
const BUILD: &str = "The version of tlscope";
