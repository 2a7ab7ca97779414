//! Log records: each line with its JSON as body.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, any_value::Value},
    logs::v1::{LogRecord, SeverityNumber},
};
use tracer_observe::{
    output::{Error, Json, Sink as _},
    redact::{AlertLine, ExchangeLine, Line, Redacted, Time},
};

use super::span::{End, Place, nanos};

/// What the log record of a line has beside the line.
#[derive(Clone, Copy, Debug)]
struct About {
    name: &'static str,
    severity: Severity,
    time: Option<Time>,
}

/// The number and the name of a severity.
type Severity = (SeverityNumber, &'static str);

const INFO: Severity = (SeverityNumber::Info, "INFO");
const WARN: Severity = (SeverityNumber::Warn, "WARN");
const ERROR: Severity = (SeverityNumber::Error, "ERROR");

impl About {
    /// Describes a line.
    fn of(line: &Line<'_>) -> Self {
        let about = |name, severity, time| Self {
            name,
            severity,
            time: Some(time),
        };
        match line {
            Line::Exchange(line) => about("tlscope.exchange", severity(line), line.time),
            Line::Hop(hop) => about("tlscope.hop", hop.exchanges().next().map_or(INFO, severity), hop.time),
            // Its time is not in it.
            Line::End(_) => Self {
                name: "tlscope.end",
                severity: INFO,
                time: None,
            },
            Line::Loss(line) => about("tlscope.loss", WARN, line.time),
            Line::Connection(line) => about("tlscope.connection", INFO, line.time),
            Line::Health(line) => about("tlscope.health", WARN, line.time),
            Line::Hooks(line) => about("tlscope.health", WARN, line.time),
            Line::Alert(line) => about("tlscope.alert", severity_of_alert(line), line.time),
            Line::Audit(line) => about("tlscope.audit", INFO, line.time),
        }
    }
}

fn severity(line: &ExchangeLine<'_>) -> Severity {
    match End::of(line).outcome.error() {
        Some(_) => ERROR,
        None => INFO,
    }
}

fn severity_of_alert(line: &AlertLine<'_>) -> Severity {
    match line.severity {
        "info" => INFO,
        "critical" => ERROR,
        _ => WARN,
    }
}

/// Returns the log record of a line, whose exchange has this place in its trace; `now` is the time of those that have none.
pub(super) fn record(
    line: &Redacted<Line<'_>>,
    place: Option<&Place>,
    now: std::time::Duration,
) -> Result<LogRecord, Error> {
    let About {
        name,
        severity: (severity_number, severity_text),
        time,
    } = About::of(line);
    let mut body = Vec::new();
    Json::new(&mut body).write(line)?;
    body.truncate(body.trim_ascii_end().len());
    let time = nanos(time.map_or(now, |time| time.since_epoch()));
    Ok(LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: nanos(now).max(time),
        severity_number: severity_number.into(),
        severity_text: severity_text.to_owned(),
        // A line is UTF-8.
        body: Some(AnyValue {
            value: Some(Value::StringValue(String::from_utf8(body).unwrap_or_default())),
        }),
        trace_id: place.map(|place| place.trace.to_vec()).unwrap_or_default(),
        span_id: place.map(|place| place.span.to_vec()).unwrap_or_default(),
        event_name: name.to_owned(),
        ..LogRecord::default()
    })
}
