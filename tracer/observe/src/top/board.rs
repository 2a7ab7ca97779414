//! What the table shows.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use super::{
    Figures, Row, Span, View,
    kept::{Latest, principal},
    traffic::{RECENT_SECONDS, Tally, Traffic},
};
use crate::{
    limits::MAX_TOP_ROWS,
    output::Style,
    redact::{EndLine, ExchangeLine, ExchangeObject, HopLine, Line, LossLine, Redacted, Time},
    stat::{Key, Open, is_error, is_failure, shortened},
};

/// The board, which is shared by the sink that adds to it and the user interface that looks at it.
#[derive(Clone)]
pub struct Board(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    style: Style,
    rows: HashMap<Arc<Key>, Traffic>,
    other: Traffic,
    all: Traffic,
    open: Open<Arc<Key>>,
    latest: Latest,
    losses: u64,
    lost_bytes: u64,
    from: Option<SystemTime>,
    now: Option<SystemTime>,
    /// Whether nobody looks at it any more.
    is_closed: bool,
    /// Whether nothing is added any more.
    is_finished: bool,
}

impl Board {
    /// Creates an empty board that writes exchanges in this style.
    pub fn new(style: Style) -> Self {
        Self(Arc::new(Mutex::new(Content {
            style,
            ..Content::default()
        })))
    }

    /// Returns the board as it is now.
    pub fn view(&self, span: Span) -> View {
        self.lock().view(span)
    }

    /// Ends the run: nobody looks at the board any more.
    pub fn close(&self) {
        self.lock().is_closed = true;
    }

    /// Returns whether nothing is added any more.
    pub fn is_finished(&self) -> bool {
        self.lock().is_finished
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Notes that nothing is added any more.
    pub fn finish(&self) {
        self.lock().is_finished = true;
    }

    pub(super) fn tick(&self, now: SystemTime) {
        let mut content = self.lock();
        content.from.get_or_insert(now);
        content.now = content.now.max(Some(now));
    }

    pub(super) fn write(&self, line: &Redacted<Line<'_>>) {
        let mut content = self.lock();
        match &**line {
            Line::Exchange(exchange) => content.exchange(exchange, None, line),
            Line::Hop(hop) => {
                if let Some(exchange) = principal(hop) {
                    content.exchange(exchange, Some(hop), line);
                }
            }
            Line::End(end) => content.end(end),
            Line::Loss(loss) => content.loss(loss),
            Line::Connection(_) | Line::Health(_) | Line::Hooks(_) | Line::Alert(_) | Line::Audit(_) => {}
        }
    }

    /// What another thread has left half done after a panic is still a board.
    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn exchange(&mut self, line: &ExchangeLine<'_>, hop: Option<&HopLine<'_>>, whole: &Redacted<Line<'_>>) {
        let mut key = Key::of(line);
        if let Some(asked) = hop.and_then(upstreams) {
            key.upstream = Some(asked);
        }
        let key = Arc::new(key);
        let failed = is_error(line);
        let partial = line.ended == Some("lost") || line.request.is_none();
        let gateway_us = hop.and_then(|hop| hop.gateway_us);
        self.count(&key, |tally| {
            tally.counts.requests += 1;
            tally.counts.errors += u64::from(failed);
            tally.partial += u64::from(partial);
            if let Some(micros) = line.duration_us {
                tally.counts.durations.add(micros);
            }
            if let Some(micros) = gateway_us {
                tally.counts.gateway.add(micros);
            }
        });
        if line.ended.is_none() && line.request.is_some() && !failed {
            self.open.insert(&line.id, Arc::clone(&key));
        }
        let now = self.now.unwrap_or(SystemTime::UNIX_EPOCH + line.time.since_epoch());
        self.latest.add(&key, line, whole, &self.style, now);
    }

    fn end(&mut self, end: &EndLine<'_>) {
        self.latest.end(end);
        if let Some(key) = self.open.remove(&end.id) {
            let failed = is_failure(Some(end.ended), end.grpc_status);
            let partial = end.ended == "lost";
            self.count(&key, |tally| {
                tally.counts.errors += u64::from(failed);
                tally.partial += u64::from(partial);
                tally.counts.durations.add(end.duration_us);
            });
        }
    }

    fn loss(&mut self, loss: &LossLine<'_>) {
        self.losses += 1;
        self.lost_bytes = self.lost_bytes.saturating_add(loss.bytes.unwrap_or(0));
    }

    fn count(&mut self, key: &Arc<Key>, add: impl Fn(&mut Tally)) {
        let second = seconds(self.now);
        let is_full = self.rows.len() >= MAX_TOP_ROWS && !self.rows.contains_key(key);
        let row = if is_full {
            &mut self.other
        } else {
            self.rows.entry(Arc::clone(key)).or_default()
        };
        row.add(second, &add);
        self.all.add(second, add);
    }

    fn view(&mut self, span: Span) -> View {
        let (second, traced) = (seconds(self.now), self.traced());
        let measured = match span {
            Span::Recent => traced.min(self.recent()).as_secs_f64(),
            Span::All => traced.as_secs_f64(),
        };
        let figures = |traffic: &mut Traffic| match span {
            Span::Recent => Figures::new(&traffic.recent(second), measured),
            Span::All => Figures::new(traffic.all(), measured),
        };
        let named = self
            .rows
            .iter_mut()
            .map(|(key, traffic)| Row::named(key, figures(traffic)));
        let mut rows: Vec<_> = named.collect();
        let other = figures(&mut self.other);
        rows.extend((other.requests > 0).then(|| Row::unnamed(other)));
        // A row that has had nothing in the span is not shown.
        rows.retain(|row| row.figures.requests > 0 || row.figures.p50_us.is_some());
        View {
            clock: self.clock(),
            traced,
            rows,
            all: figures(&mut self.all),
            losses: self.losses,
            lost_bytes: self.lost_bytes,
            forgotten: self.open.forgotten,
            latest: self.latest.iter().cloned().collect(),
            is_finished: self.is_finished,
        }
    }

    fn traced(&self) -> Duration {
        let (Some(from), Some(now)) = (self.from, self.now) else {
            return Duration::ZERO;
        };
        now.duration_since(from).unwrap_or_default()
    }

    /// Returns the length of the last seconds: the current one is not over.
    fn recent(&self) -> Duration {
        let now = self.now.and_then(|now| now.duration_since(SystemTime::UNIX_EPOCH).ok());
        let fraction = Duration::from_nanos(now.unwrap_or_default().subsec_nanos().into());
        Duration::from_secs(RECENT_SECONDS - 1) + fraction
    }

    fn clock(&self) -> String {
        let time = self.now.map(Time::new);
        time.map_or(String::new(), |time| {
            self.style.local(&time).clock().get(..8).unwrap_or_default().to_owned()
        })
    }
}

/// Returns the addresses that a hop's gateway asked: the last one, and how many others.
fn upstreams(hop: &HopLine<'_>) -> Option<String> {
    let of = |ExchangeObject(line): &ExchangeObject<'_>| line.connection.remote.as_deref().map(shortened);
    let mut all: Vec<_> = hop
        .upstreams
        .iter()
        .filter_map(|upstream| of(&upstream.exchange))
        .collect();
    let last = all.pop()?;
    all.retain(|address| *address != last);
    all.sort_unstable();
    all.dedup();
    Some(match all.len() {
        0 => last,
        more => format!("{last} and {more} more"),
    })
}

fn seconds(time: Option<SystemTime>) -> u64 {
    let since = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    since.unwrap_or_default().as_secs()
}
