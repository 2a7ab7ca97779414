//! Writes what was observed: redacts it, selects it, and passes it to the sink. Reports the lines that the sink drops.

use std::time::SystemTime;

use http_decode::Exchange;

use super::{Flow, Summary};
use crate::{
    correlate::{ActiveRequests, FunctionRecords, HooksRefused, Observed, ObservedKind},
    filter::Filter,
    health::{Figures, Health, State, Subject, Watch},
    join::{Hop, Joined},
    output::{self, Sink, Written},
    policy::Policy,
    redact::{Line, Redacted, Redactor},
};

/// Writes lines.
pub(super) struct LineWriter {
    redactor: Redactor,
    filter: Filter,
    policy: Option<Policy>,
    sink: Box<dyn Sink + Send>,
    limit: Option<u64>,
    /// Exchanges, or hops, that were printed.
    printed: u64,
    summary: Summary,
    watch: Watch,
    /// Lines dropped since the last update of `watch`.
    dropped: u64,
    /// Exchanges over the limit on their rate before the last update of `watch`.
    rate_limited: u64,
}

/// The time of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// On the records' clock, in nanoseconds.
    pub(super) ns: u64,
    /// On the wall clock.
    pub(super) time: SystemTime,
}

impl LineWriter {
    pub(super) fn new(
        redactor: Redactor,
        filter: Filter,
        policy: Option<Policy>,
        sink: Box<dyn Sink + Send>,
        limit: Option<u64>,
    ) -> Self {
        let wanted_facts = policy.as_ref().map(Policy::wanted_facts).unwrap_or_default();
        let wants_fields = sink.wants_fields() || filter.wants_fields() || policy.is_some();
        Self {
            redactor: redactor.with_facts(wanted_facts).with_fields(wants_fields),
            filter,
            policy,
            sink,
            limit,
            printed: 0,
            summary: Summary::default(),
            watch: Watch::default(),
            dropped: 0,
            rate_limited: 0,
        }
    }

    /// Writes the lines of all that was observed by `at_ns` of the records' clock, and empties it.
    pub(super) fn write(&mut self, observed: &mut Vec<Observed>, at_ns: u64, now: Now) -> Result<(), output::Error> {
        // Only a damaged tape has a time after the end of its batch.
        let at_ns = at_ns.min(now.ns);
        for observed in observed.drain(..) {
            // The lines of connections follow those of the last exchange within the limit.
            if self.flow() == Flow::Continue || matches!(observed.kind, ObservedKind::Connection(_)) {
                self.write_one(&observed, at_ns, now)?;
            }
        }
        Ok(())
    }

    /// Writes the lines of all that was joined, and empties it.
    pub(super) fn write_joined(&mut self, joined: &mut Vec<Joined>, at_ns: u64, now: Now) -> Result<(), output::Error> {
        for joined in joined.drain(..) {
            match joined {
                Joined::Hop(hop) if self.flow() == Flow::Continue => self.write_hop(&hop, at_ns, now)?,
                Joined::Hop(_) => {}
                Joined::Other(observed) => {
                    if self.flow() == Flow::Continue || matches!(observed.kind, ObservedKind::Connection(_)) {
                        self.write_one(&observed, at_ns, now)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes an audit line, and flushes the sink.
    pub(super) fn write_audit(&mut self, line: &Redacted<Line<'_>>, now: Now) -> Result<(), output::Error> {
        if self.sink.write(line)? == Written::Dropped {
            self.dropped += 1;
        }
        self.report_dropped(now)?;
        self.sink.flush()
    }

    /// Flushes the sink at the end of a batch.
    pub(super) fn flush(&mut self, now: Now) -> Result<(), output::Error> {
        self.sink.tick(now.time)?;
        self.report_unexported(now)?;
        self.sink.flush()
    }

    /// Reports how many lines exports dropped, and the output after it had accepted them.
    pub(super) fn report_unexported(&mut self, now: Now) -> Result<(), output::Error> {
        let mut health = Vec::new();
        self.sink.add_health(&mut health);
        for (subject, figures) in health {
            match subject {
                Subject::Output => self.summary.unwritten += figures.dropped,
                Subject::Export(_) | Subject::Ring | Subject::Table(_) | Subject::RateLimit | Subject::Policy => {
                    self.summary.unexported += figures.dropped;
                }
            }
            self.update_health(subject, figures, now)?;
        }
        Ok(())
    }

    /// Updates the figures of a ring or table, and writes its health if that is due.
    pub(super) fn update_health(&mut self, subject: Subject, figures: Figures, now: Now) -> Result<(), output::Error> {
        self.sink.note_health(&subject, &figures);
        match self.watch.update(&subject, figures, now.ns) {
            Some((state, figures)) => self.write_health(subject, state, figures, now),
            None => Ok(()),
        }
    }

    /// Returns whether the sink has a use for the requests whose responses have not ended.
    pub(super) fn wants_active(&self) -> bool {
        self.sink.wants_active()
    }

    /// Passes on the requests whose responses have not ended.
    pub(super) fn note_active(&mut self, active: &[ActiveRequests]) {
        self.sink.note_active(active);
    }

    /// Passes on how many records of data the hooks of each function have brought.
    pub(super) fn note_records(&mut self, records: &[FunctionRecords]) {
        self.sink.note_records(records);
    }

    /// Writes that hooks do not serve a process.
    pub(super) fn write_refused(&mut self, refused: &HooksRefused) -> Result<(), output::Error> {
        if self.sink.write(&self.redactor.hooks(refused))? == Written::Dropped {
            self.dropped += 1;
            self.summary.dropped += 1;
        }
        Ok(())
    }

    /// Reports the lines that were dropped and the exchanges that were left out since the last health lines.
    pub(super) fn write_last_health(&mut self, now: Now) -> Result<(), output::Error> {
        let last = self.watch.take_last();
        last.into_iter()
            .try_for_each(|(subject, state, figures)| self.write_health(subject, state, figures, now))
    }

    /// Ends the output, and waits until all of it is written.
    pub(super) fn finish(self) -> Result<(), output::Error> {
        self.sink.finish()
    }

    /// Returns whether more lines are wanted.
    pub(super) fn flow(&self) -> Flow {
        let reached = self.limit.is_some_and(|limit| self.printed >= limit);
        if reached { Flow::Done } else { Flow::Continue }
    }

    /// Returns the totals of the lines.
    pub(super) fn summary(&self) -> Summary {
        Summary {
            forgotten_ends: self.filter.forgotten(),
            sampled_out: self.filter.sampled_out(),
            rate_limited: self.filter.rate_limited(),
            alerts: self.policy.as_ref().map(Policy::alerts),
            enough: self.flow(),
            ..self.summary
        }
    }

    fn write_hop(&mut self, hop: &Hop, at_ns: u64, now: Now) -> Result<(), output::Error> {
        if let Some(line) = self.redactor.redact_hop(hop)
            && self.write_line(&line, at_ns, now)?
        {
            self.printed += 1;
            hop.exchanges().for_each(|exchange| self.count(exchange));
        }
        Ok(())
    }

    fn count(&mut self, exchange: &Exchange) {
        self.summary.exchanges += 1;
        self.summary.half += u64::from(exchange.request.is_none() || exchange.response.is_none());
    }

    /// Writes a line that passes the filter, and the alerts about it, which need not; returns whether it was written.
    fn write_line(&mut self, line: &Redacted<Line<'_>>, at_ns: u64, now: Now) -> Result<bool, output::Error> {
        let alerts = self.policy.as_mut().map(|policy| policy.judge(line, at_ns));
        let is_written = self.write_selected(line, at_ns, now)?;
        for alert in alerts.iter().flatten() {
            self.write_selected(alert, at_ns, now)?;
        }
        Ok(is_written)
    }

    /// Writes a line that passes the filter; returns whether it was written.
    fn write_selected(&mut self, line: &Redacted<Line<'_>>, at_ns: u64, now: Now) -> Result<bool, output::Error> {
        if !self.filter.passes(line, at_ns) {
            return Ok(false);
        }
        self.report_dropped(now)?;
        let written = self.sink.write(line)?;
        if written == Written::Dropped {
            self.dropped += 1;
            self.summary.dropped += 1;
        }
        Ok(written == Written::Yes)
    }

    fn write_one(&mut self, observed: &Observed, at_ns: u64, now: Now) -> Result<(), output::Error> {
        let line = self.redactor.redact(observed);
        if !self.write_line(&line, at_ns, now)? {
            return Ok(());
        }
        if let ObservedKind::Exchange(exchange) = &observed.kind {
            self.printed += 1;
            self.count(exchange);
        }
        Ok(())
    }

    /// Reports how many lines were dropped. If that line is dropped too, the count goes into the next report.
    pub(super) fn report_dropped(&mut self, now: Now) -> Result<(), output::Error> {
        let figures = Figures {
            dropped: std::mem::take(&mut self.dropped),
            ..Figures::default()
        };
        self.update_health(Subject::Output, figures, now)
    }

    /// Reports how many exchanges the limit on their rate left out.
    pub(super) fn report_rate_limited(&mut self, now: Now) -> Result<(), output::Error> {
        let Some(rate_limited) = self.filter.rate_limited() else {
            return Ok(());
        };
        let before = std::mem::replace(&mut self.rate_limited, rate_limited);
        let figures = Figures {
            dropped: rate_limited - before,
            ..Figures::default()
        };
        self.update_health(Subject::RateLimit, figures, now)
    }

    /// Reports how many keys the policy forgot, because it counted too many at once.
    pub(super) fn report_forgotten(&mut self, now: Now) -> Result<(), output::Error> {
        let Some(policy) = &mut self.policy else {
            return Ok(());
        };
        let figures = Figures {
            dropped: policy.take_forgotten(),
            ..Figures::default()
        };
        self.update_health(Subject::Policy, figures, now)
    }

    fn write_health(
        &mut self,
        subject: Subject,
        state: State,
        figures: Figures,
        now: Now,
    ) -> Result<(), output::Error> {
        let health = Health {
            time: now.time,
            subject,
            state,
            figures,
        };
        if self.sink.write(&self.redactor.health(&health))? == Written::Dropped {
            self.watch.restore(&health.subject, figures);
        }
        Ok(())
    }
}
