//! The sink that counts.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    open::Open,
    report::{Counted, Report},
    route::shortened,
    rows::{Counts, Key, Rows, upstream},
    table::Table,
    upstreams::Upstreams,
};
use crate::{
    output::{Error, Lines, Sink, Style, Written, write_json},
    redact::{EndLine, ExchangeLine, ExchangeObject, HopLine, Line, Redacted},
};

/// How statistics are printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Form {
    /// One JSON object for each.
    Json,
    /// A table.
    Text,
}

/// Counts exchanges and prints a statistic of each interval, and of the rest at the end.
pub struct Stat<L: Lines> {
    lines: L,
    form: Form,
    style: Style,
    /// The time of the records between two statistics; without it, there is one at the end.
    interval: Option<Duration>,
    rows: Rows,
    upstreams: Upstreams,
    open: Open<(Arc<Key>, Option<Arc<str>>)>,
    losses: u64,
    lost_bytes: u64,
    /// Exchanges that were forgotten by the last statistic.
    forgotten_before: u64,
    /// Statistics that were dropped because their reader had stalled, since the last one that was not.
    dropped: u64,
    /// Begin of the span.
    from: Option<SystemTime>,
    /// The latest time of the records.
    now: Option<SystemTime>,
}

impl<L: Lines> Stat<L> {
    /// Creates a sink that prints to `lines`.
    pub fn new(lines: L, form: Form, style: Style, interval: Option<Duration>) -> Self {
        Self {
            lines,
            form,
            style,
            interval,
            rows: Rows::default(),
            upstreams: Upstreams::default(),
            open: Open::default(),
            losses: 0,
            lost_bytes: 0,
            forgotten_before: 0,
            dropped: 0,
            from: None,
            now: None,
        }
    }

    fn exchange(&mut self, line: &ExchangeLine<'_>) {
        let began = SystemTime::UNIX_EPOCH + line.time.since_epoch();
        self.from.get_or_insert(began);
        let key = Arc::new(Key::of(line));
        let address = upstream(line).map(|address| Arc::<str>::from(shortened(address)));
        if line.side == "client" {
            self.upstreams.remember(&line.connection.id);
        }
        let is_error = is_error(line);
        let count = |counts: &mut Counts| {
            counts.requests += 1;
            counts.errors += u64::from(is_error);
            if let Some(micros) = line.duration_us {
                counts.durations.add(micros);
            }
        };
        count(self.rows.counts(&key));
        if let Some(address) = &address {
            count(&mut self.upstreams.counts(address).exchanges);
        }
        if line.ended.is_none() && line.request.is_some() && !is_error {
            self.open.insert(&line.id, (key, address));
        }
    }

    fn end(&mut self, line: &EndLine<'_>) {
        let EndLine {
            id,
            response: _,
            first_byte_us: _,
            first_event_us: _,
            duration_us,
            ended,
            grpc_status,
            grpc_message: _,
            encoding: _,
        } = line;
        let Some((key, address)) = self.open.remove(id) else {
            return;
        };
        let is_error = is_failure(Some(ended), *grpc_status);
        let count = |counts: &mut Counts| {
            counts.errors += u64::from(is_error);
            counts.durations.add(*duration_us);
        };
        count(self.rows.counts(&key));
        if let Some(address) = &address {
            count(&mut self.upstreams.counts(address).exchanges);
        }
    }

    fn hop(&mut self, hop: &HopLine<'_>) {
        hop.exchanges().for_each(|line| self.exchange(line));
        if let (Some(ExchangeObject(downstream)), Some(micros)) = (&hop.downstream, hop.gateway_us) {
            let key = Arc::new(Key::of(downstream));
            self.rows.counts(&key).gateway.add(micros);
        }
    }

    /// Prints the statistic of the span up to `to`, and begins another one.
    fn report(&mut self, to: SystemTime) -> Result<Vec<u8>, Error> {
        let forgotten = self.open.forgotten + self.upstreams.forgotten();
        let counted = Counted {
            rows: &self.rows,
            upstreams: &self.upstreams,
            losses: self.losses,
            lost_bytes: self.lost_bytes,
            forgotten: forgotten - self.forgotten_before,
            dropped: self.dropped,
        };
        let report = Report::new(&counted, self.from.unwrap_or(to), to);
        let mut out = Vec::new();
        match self.form {
            Form::Json => {
                write_json(&mut out, &report)?;
                out.push(b'\n');
            }
            Form::Text => {
                out.extend(Table::new(&report, &self.style).to_string().into_bytes());
            }
        }
        self.rows = Rows::default();
        self.upstreams.clear();
        (self.losses, self.lost_bytes) = (0, 0);
        self.forgotten_before = forgotten;
        self.from = Some(to);
        Ok(out)
    }
}

impl<L: Lines> Sink for Stat<L> {
    fn write(&mut self, line: &Redacted<Line<'_>>) -> Result<Written, Error> {
        match &**line {
            Line::Exchange(line) => self.exchange(line),
            Line::Hop(hop) => self.hop(hop),
            Line::End(line) => self.end(line),
            Line::Connection(line) => self.upstreams.connection(line),
            Line::Loss(line) => {
                self.losses += 1;
                self.lost_bytes = self.lost_bytes.saturating_add(line.bytes.unwrap_or(0));
            }
            Line::Health(_) | Line::Hooks(_) | Line::Alert(_) | Line::Audit(_) => {}
        }
        Ok(Written::Yes)
    }

    fn tick(&mut self, now: SystemTime) -> Result<(), Error> {
        self.now = Some(now);
        let from = *self.from.get_or_insert(now);
        let is_due = |interval| now.duration_since(from).is_ok_and(|span| span >= interval);
        if self.interval.is_some_and(is_due) {
            let report = self.report(now)?;
            match self.lines.line(&report)? {
                Written::Yes => self.dropped = 0,
                Written::Dropped => self.dropped += 1,
            }
        }
        Ok(())
    }

    fn wants_fields(&self) -> bool {
        false
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(self.lines.flush()?)
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        let to = self.now.or(self.from).unwrap_or(SystemTime::UNIX_EPOCH);
        let report = self.report(to)?;
        Ok(self.lines.finish(&report)?)
    }
}

/// Returns whether an exchange failed, as far as it is known.
pub fn is_error(line: &ExchangeLine<'_>) -> bool {
    let status = line.response.as_ref().and_then(|response| response.status);
    status.is_some_and(|status| status >= 500) || is_failure(line.ended, line.grpc_status)
}

/// Returns whether an end is a failure: it came too early, or gRPC says so.
pub fn is_failure(ended: Option<&str>, grpc_status: Option<u32>) -> bool {
    matches!(ended, Some("reset" | "closed")) || grpc_status.is_some_and(|status| status > 0)
}
