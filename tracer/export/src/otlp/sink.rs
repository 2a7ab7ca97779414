//! The sink that makes records of lines.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tracer_observe::{
    batch::Source,
    correlate::{ActiveRequests, FunctionRecords},
    health::{Export, Figures, Subject},
    output::{Error, Sink, Written},
    redact::{EndLine, ExchangeLine, HopLine, Line, Redacted},
};

use super::{
    exporter::Exporter,
    logs,
    metrics::{Metrics, SeriesKey},
    open::{Open, OpenExchanges},
    options::Settings,
    record::{EncodedResource, Record},
    resource::Resources,
    signal::Signal,
    span::{self, End, Http, InHop, Place, SpanOptions},
    traces::{Traces, alone},
    transport::OWN_USER_AGENT,
};
use crate::limits::MAX_OPEN_BYTES;

/// Sends what lines say to a collector.
pub(crate) struct Otlp {
    exporter: Exporter,
    options: SpanOptions,
    resources: Resources,
    traces: Traces,
    open: OpenExchanges,
    metrics: Metrics,
    /// The paths of its requests.
    own_paths: Vec<String>,
    /// The latest time of the records, since 1970.
    now: Duration,
}

impl Otlp {
    pub(super) fn new(settings: Settings, exporter: Exporter, source: Source) -> Self {
        let Settings {
            targets,
            captured,
            resource,
            methods,
            metric_interval,
        } = settings;
        let resources = Resources::new(resource, source);
        Self {
            exporter,
            options: SpanOptions { captured, methods },
            traces: Traces::default(),
            open: OpenExchanges::new(MAX_OPEN_BYTES),
            metrics: Metrics::new(metric_interval, resources.own()),
            resources,
            own_paths: targets.into_iter().map(|target| target.url.path).collect(),
            now: Duration::ZERO,
        }
    }

    fn exchange(&mut self, line: &ExchangeLine<'_>, place: &Place, in_hop: InHop) {
        self.metrics.note(line.time.since_epoch());
        let resource = self.resources.of(line.pid, &line.process);
        let series = self.exporter.sends(Signal::Metrics).then(|| {
            let http = Http::of(line, &self.options.methods);
            SeriesKey::of(Arc::clone(&resource), line, &http)
        });
        let span = self
            .exporter
            .sends(Signal::Traces)
            .then(|| Record::new(&resource, &span::begin(line, place, in_hop, &self.options)));
        let open = Open {
            id: line.id.clone(),
            span,
            began: line.time.since_epoch(),
            so_far_us: line.head_us,
            side: line.side,
            status: line.response.as_ref().and_then(|response| response.status),
            series,
        };
        if line.ended.is_some() {
            self.ended(open, &End::of(line));
            return;
        }
        self.open.add(open);
        while let Some(longest) = self.open.take_over_bound() {
            self.cut(longest);
        }
    }

    fn hop(&mut self, hop: &HopLine<'_>, places: &[Place]) {
        let mut places = places.iter();
        if let Some(downstream) = &hop.downstream
            && let Some(place) = places.next()
        {
            let in_hop = InHop {
                gateway_us: hop.gateway_us,
                ..InHop::default()
            };
            self.exchange(&downstream.0, place, in_hop);
        }
        for (upstream, place) in hop.upstreams.iter().zip(places) {
            let in_hop = InHop {
                gateway_us: None,
                joined: upstream.joined,
                reused: upstream.reused,
            };
            self.exchange(&upstream.exchange.0, place, in_hop);
        }
    }

    fn end(&mut self, line: &EndLine<'_>) {
        if let Some(open) = self.open.take(&line.id) {
            let (side, status) = (open.side, open.status);
            self.ended(open, &End::later(line, side, status));
        }
    }

    /// Sends an exchange that has ended.
    fn ended(&mut self, open: Open, end: &End<'_>) {
        let Open {
            span, series, began, ..
        } = open;
        if let (Some(series), Some(duration_us)) = (series, end.duration_us) {
            let error = end.outcome.error();
            self.metrics.exchange(series.with_error(error.as_deref()), duration_us);
        }
        self.push_span(span, began, end);
    }

    /// Sends an exchange that has not ended as it is. Its duration is not known.
    fn cut(&self, mut open: Open) {
        let span = open.span.take();
        self.push_span(span, open.began, &open.cut());
    }

    fn push_span(&self, span: Option<Record>, began: Duration, end: &End<'_>) {
        if let Some(mut span) = span {
            span.append(&span::end(began, end));
            self.exporter.push(Signal::Traces, span);
        }
    }

    fn log(&mut self, line: &Redacted<Line<'_>>, places: &[Place]) -> Result<(), Error> {
        if self.exporter.sends(Signal::Logs) {
            let record = logs::record(line, places.first(), self.now)?;
            let record = Record::new(&self.resource(line), &record);
            self.exporter.push(Signal::Logs, record);
        }
        Ok(())
    }

    /// Returns the resource of a line.
    fn resource(&mut self, line: &Line<'_>) -> EncodedResource {
        match line {
            Line::Exchange(line) => self.resources.of(line.pid, &line.process),
            Line::Hop(line) => self.resources.of(line.pid, &line.process),
            Line::Loss(line) => self.resources.of(line.pid, &line.process),
            Line::Connection(line) => self.resources.of(line.pid, &line.process),
            Line::Hooks(line) => self.resources.of(line.pid, &line.process),
            Line::Alert(line) => self.resources.of(line.pid, &line.process),
            // The process of an end is not in it.
            Line::End(_) | Line::Health(_) | Line::Audit(_) => self.resources.own(),
        }
    }

    fn push_metrics(&self, records: Vec<Record>) {
        for record in records {
            self.exporter.push(Signal::Metrics, record);
        }
    }
}

impl Sink for Otlp {
    fn write(&mut self, line: &Redacted<Line<'_>>) -> Result<Written, Error> {
        if is_own(line, &self.own_paths) {
            return Ok(Written::Yes);
        }
        let places = match &**line {
            Line::Exchange(exchange) => vec![alone(exchange)],
            Line::Hop(hop) => self.traces.places(hop),
            Line::End(_)
            | Line::Loss(_)
            | Line::Connection(_)
            | Line::Health(_)
            | Line::Hooks(_)
            | Line::Alert(_)
            | Line::Audit(_) => Vec::new(),
        };
        self.log(line, &places)?;
        match &**line {
            Line::Exchange(exchange) => {
                for place in &places {
                    self.exchange(exchange, place, InHop::default());
                }
            }
            Line::Hop(hop) => self.hop(hop, &places),
            Line::End(end) => self.end(end),
            Line::Loss(loss) => {
                let resource = self.resource(line);
                self.metrics.loss(&resource, loss);
            }
            Line::Health(health) => self.metrics.health(health),
            Line::Hooks(hooks) => {
                let resource = self.resource(line);
                self.metrics.hooks(&resource, hooks);
            }
            Line::Connection(_) | Line::Alert(_) | Line::Audit(_) => {}
        }
        Ok(Written::Yes)
    }

    fn tick(&mut self, now: SystemTime) -> Result<(), Error> {
        self.now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        if self.exporter.sends(Signal::Metrics) {
            let due = self.metrics.tick(self.now);
            self.push_metrics(due);
        }
        Ok(())
    }

    fn add_health(&mut self, health: &mut Vec<(Subject, Figures)>) {
        let figures = Figures {
            dropped: self.exporter.take_dropped(),
            ..Figures::default()
        };
        health.push((Subject::Export(Export::Otlp), figures));
    }

    fn wants_active(&self) -> bool {
        self.exporter.sends(Signal::Metrics)
    }

    fn note_active(&mut self, active: &[ActiveRequests]) {
        let resources = &mut self.resources;
        let mut of = |requests: &ActiveRequests| resources.of(requests.process.pid, &requests.process.name);
        let active: Vec<_> = active.iter().map(|requests| (of(requests), requests)).collect();
        self.metrics.note_active(&active, &self.options.methods);
    }

    fn note_records(&mut self, records: &[FunctionRecords]) {
        if self.exporter.sends(Signal::Metrics) {
            self.metrics.note_records(records);
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        while let Some(open) = self.open.take_first() {
            self.cut(open);
        }
        if self.exporter.sends(Signal::Metrics) {
            let last = self.metrics.finish();
            self.push_metrics(last);
        }
        self.exporter.finish();
        Ok(())
    }
}

/// Returns whether a line is about a request of an export, such as to a collector that is traced too: each would cause another.
/// Anyone can send its user agent, so the request must also be for one of these paths, or what a gateway makes of it.
fn is_own(line: &Line<'_>, paths: &[String]) -> bool {
    let is_own = |line: &ExchangeLine<'_>| {
        let Some((request, path)) = line
            .request
            .as_ref()
            .and_then(|request| Some((request, request.path.as_deref()?)))
        else {
            return false;
        };
        let is_agent = |(name, value): &tracer_observe::redact::FieldLine<'_>| {
            name.as_deref() == Some("user-agent") && value.as_deref() == Some(OWN_USER_AGENT)
        };
        let is_path = |own: &String| path.ends_with(own.as_str()) || own.ends_with(path);
        request.method.as_deref() == Some("POST") && request.headers.iter().any(is_agent) && paths.iter().any(is_path)
    };
    match line {
        Line::Exchange(line) => is_own(line),
        Line::Hop(hop) => hop.exchanges().any(is_own),
        Line::End(_)
        | Line::Loss(_)
        | Line::Connection(_)
        | Line::Health(_)
        | Line::Hooks(_)
        | Line::Alert(_)
        | Line::Audit(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::sample, *};

    /// Returns whether a request with this method and path, and the user agent of an export, is taken for one of an export.
    fn is_taken_for_own(method: &'static str, path: Option<&'static str>) -> bool {
        let mut line = sample::exchange();
        let request = line.request.as_mut().unwrap();
        request.method = Some(method.into());
        request.path = path.map(Into::into);
        request
            .headers
            .push((Some("user-agent".into()), Some(OWN_USER_AGENT.into())));
        is_own(&Line::Exchange(Box::new(line)), &["/v1/traces".to_owned()])
    }

    #[test]
    fn nobody_hides_a_request_by_the_user_agent_of_an_export() {
        for path in ["/v1/traces", "/collector/v1/traces", "/traces"] {
            assert!(is_taken_for_own("POST", Some(path)), "{path}");
        }
        assert!(!is_taken_for_own("GET", Some("/v1/traces")));
        for path in [Some("/"), Some("/admin"), Some("/v1/traces?x"), None] {
            assert!(!is_taken_for_own("POST", path), "{path:?}");
        }
    }
}
