//! A statistic as a table for people, as wide as the terminal.

use std::fmt::{self, Display, Formatter};

use super::report::{Numbers, Report, Row, UpstreamRow};
use crate::output::{Paint, Style, cut, cut_begin, padding, short_duration};

/// Displays a statistic.
pub(super) struct Table<'a> {
    report: &'a Report<'a>,
    style: &'a Style,
    /// Whether there is a column for how long a gateway had the requests.
    has_gateway: bool,
}

impl<'a> Table<'a> {
    /// Creates the table of a statistic.
    pub(super) fn new(report: &'a Report<'a>, style: &'a Style) -> Self {
        Self {
            report,
            style,
            has_gateway: report.rows.iter().any(|row| row.gateway_p50_us.is_some()),
        }
    }
}

impl Display for Table<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Report { rows, upstreams, .. } = self.report;
        self.summary(out)?;
        if !rows.is_empty() {
            self.head(out, "STATUS  REQUEST")?;
        }
        for row in rows {
            let first = self.first(&described(row));
            self.numbers(out, &first, &row.numbers, row.gateway_p50_us)?;
        }
        if !upstreams.is_empty() {
            self.head(out, "UPSTREAM")?;
        }
        for upstream in upstreams {
            self.upstream(out, upstream)?;
        }
        writeln!(out)
    }
}

impl Table<'_> {
    fn summary(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Report {
            from,
            to,
            requests,
            errors,
            per_second,
            losses,
            lost_bytes,
            forgotten,
            dropped,
            ..
        } = self.report;
        let (first, last) = (self.style.local(from), self.style.local(to));
        let span = format!("{} {} to {}", first.date(), first.clock(), last.clock());
        let lines = [
            Some(format!(
                "* {span}: {}, {}, {}/s",
                counted(*requests, "request"),
                counted(*errors, "error"),
                rate(*per_second)
            )),
            (*losses > 0).then(|| {
                format!(
                    "* {} lost in {}",
                    counted(*lost_bytes, "byte"),
                    counted(*losses, "place")
                )
            }),
            (*forgotten > 0).then(|| format!("* {forgotten} not counted to their end, too many were open")),
            (*dropped > 0).then(|| format!("* {dropped} statistics dropped, their reader had stalled")),
        ];
        for line in lines.into_iter().flatten() {
            let line = cut(&line, self.style.width);
            writeln!(out, "{}", self.style.paint(Paint::Bold, line))?;
        }
        Ok(())
    }

    fn head(&self, out: &mut Formatter<'_>, first: &str) -> fmt::Result {
        let gateway = self.has_gateway.then_some("GW P50");
        let names = ["REQS", "ERRS", "REQ/S", "P50", "P90", "P99"]
            .into_iter()
            .chain(gateway);
        let names: Vec<_> = names.map(|name| format!(" {name:>WIDTH$}")).collect();
        let line = format!("{}{}", self.first(first), names.concat());
        writeln!(out, "{}", self.style.paint(Paint::Dim, line))
    }

    fn upstream(&self, out: &mut Formatter<'_>, row: &UpstreamRow<'_>) -> fmt::Result {
        let UpstreamRow {
            upstream,
            other: _,
            numbers,
            connections,
            reused,
            resets,
            timeouts,
            handshake_p50_us,
            handshake_p99_us,
            rtt_p50_us,
        } = row;
        let address = cut_begin(upstream.unwrap_or("other"), self.width());
        self.numbers(out, &self.first(&address), numbers, None)?;
        let time = |name: &str, micros: Option<u64>| micros.map(|micros| format!("{name} {}", short_duration(micros)));
        let count = |count: u64, name: &str| (count > 0).then(|| counted(count, name));
        let notes = [
            Some(format!(
                "  {}, {} on one used before",
                counted(*connections, "connection"),
                counted(*reused, "request")
            )),
            time("handshake p50", *handshake_p50_us),
            time("p99", *handshake_p99_us),
            time("round trip", *rtt_p50_us),
            count(*resets, "reset"),
            count(*timeouts, "timeout"),
        ];
        let notes = notes.into_iter().flatten().collect::<Vec<_>>().join(", ");
        writeln!(out, "{}", cut(&notes, self.style.width))
    }

    /// Writes a row of which the first column is given, and how long the gateway had half of the requests.
    fn numbers(&self, out: &mut Formatter<'_>, first: &str, numbers: &Numbers, gateway: Option<u64>) -> fmt::Result {
        let Numbers {
            requests,
            errors,
            per_second,
            timed: _,
            p50_us,
            p90_us,
            p99_us,
            max_us: _,
        } = numbers;
        let paint = if *errors > 0 { Paint::BoldRed } else { Paint::Plain };
        let errors = self.style.paint(paint, format!("{errors:>WIDTH$}"));
        write!(out, "{first} {requests:>WIDTH$} {errors} {:>WIDTH$}", rate(*per_second))?;
        let gateway = self.has_gateway.then_some(gateway);
        for micros in [*p50_us, *p90_us, *p99_us].into_iter().chain(gateway) {
            let text = micros.map_or("-".to_owned(), short_duration);
            write!(out, " {text:>WIDTH$}")?;
        }
        writeln!(out)
    }

    /// Returns the first column of a row.
    fn first(&self, text: &str) -> String {
        let text = cut(text, self.width());
        let padding = padding(&text, self.width());
        text + &padding
    }

    /// Returns the width of the first column: what the numbers leave.
    fn width(&self) -> usize {
        let numbers = 6 + usize::from(self.has_gateway);
        self.style.width.saturating_sub(numbers * (WIDTH + 1)).max(LEAST_WIDTH)
    }
}

/// Returns what a row counts.
fn described(row: &Row<'_>) -> String {
    let Row {
        side,
        method,
        host,
        route,
        upstream,
        status,
        other,
        numbers: _,
        gateway_p50_us: _,
        gateway_p99_us: _,
    } = row;
    if other.is_some() {
        return "other".to_owned();
    }
    let arrow = if *side == Some("client") { "->" } else { "<-" };
    let [method, host, route, status] = [method, host, route, status].map(|text| text.unwrap_or("?"));
    let upstream = upstream.map_or(String::new(), |upstream| format!(" {upstream}"));
    format!("{status:<4} {arrow} {method} {host}{route}{upstream}")
}

/// Returns a number with a noun.
fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// Formats a rate in few characters.
fn rate(per_second: Option<f64>) -> String {
    match per_second {
        None => "-".to_owned(),
        Some(rate) if rate < 10.0 => format!("{rate:.2}"),
        Some(rate) => format!("{rate:.0}"),
    }
}

/// The width of a number.
const WIDTH: usize = 6;

/// The least width of the first column.
const LEAST_WIDTH: usize = 20;
