//! Exchanges that are kept so that they can be opened.
//!
//! Of a busy route only some are kept, because each is copied and written as text.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    limits::{MAX_TOP_BYTES, MAX_TOP_EXCHANGE_BYTES, MAX_TOP_EXCHANGES},
    output::{Error, OneLine, Sink as _, Style, Text, Written, short_duration},
    redact::{EndLine, ExchangeLine, ExchangeObject, HopLine, Line, Redacted},
    stat::Key,
};

/// An exchange that can be opened: of a hop, the downstream one, or the upstream one if that is alone.
#[derive(Clone, Debug)]
pub struct Kept {
    pub(super) key: Arc<Key>,
    line: ExchangeLine<'static>,
    /// Its heads, and what the gateway changed, as in `-o text`.
    text: String,
    /// The memory that it takes, in bytes.
    size: usize,
}

impl Kept {
    /// Copies an exchange and the text of its line.
    fn new(key: Arc<Key>, line: &ExchangeLine<'_>, whole: &Redacted<Line<'_>>, style: &Style) -> Self {
        let mut text = as_text(|sink| sink.write_exchange(line), style);
        if matches!(&**whole, Line::Hop(_)) {
            text += &as_text(|sink| sink.write(whole), style);
        }
        Self {
            key,
            line: line.to_static(),
            // The copied line takes about as much as its text does before that is cut.
            size: size_of::<Self>() + 2 * text.len(),
            text: bounded(text),
        }
    }

    /// Returns the id of the exchange.
    pub fn id(&self) -> &str {
        &self.line.id
    }

    /// Returns the status of the response, if it is known.
    pub fn status(&self) -> Option<u16> {
        self.line.response.as_ref().and_then(|response| response.status)
    }

    /// Returns its heads and what the gateway changed, as in `-o text`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the exchange on one line, as in `-o line`.
    pub fn one_line(&self, style: &Style) -> String {
        let mut bytes = Vec::new();
        let written = OneLine::new(&mut bytes, style.clone()).exchange(&self.line);
        // Writing to memory does not fail. The day, if any, is on a line before.
        let text = written.map_or(String::new(), |_| String::from_utf8_lossy(&bytes).into_owned());
        text.lines().last().unwrap_or_default().to_owned()
    }
}

/// The latest exchanges, at most [`MAX_TOP_EXCHANGES`] of together [`MAX_TOP_BYTES`].
#[derive(Debug, Default)]
pub(super) struct Latest {
    kept: VecDeque<Arc<Kept>>,
    bytes: usize,
    /// When an exchange of a row was kept last.
    times: HashMap<Arc<Key>, SystemTime>,
}

impl Latest {
    /// Keeps an exchange of a row, unless another one was kept shortly before.
    pub(super) fn add(
        &mut self,
        key: &Arc<Key>,
        line: &ExchangeLine<'_>,
        whole: &Redacted<Line<'_>>,
        style: &Style,
        now: SystemTime,
    ) {
        let is_new = |last: &SystemTime| now.duration_since(*last).is_ok_and(|since| since < PAUSE);
        if self.times.get(key).is_some_and(is_new) {
            return;
        }
        if self.times.len() >= MAX_TOP_EXCHANGES {
            self.times.clear();
        }
        self.times.insert(Arc::clone(key), now);
        let kept = Arc::new(Kept::new(Arc::clone(key), line, whole, style));
        self.bytes += kept.size;
        self.kept.push_back(kept);
        while self.kept.len() > MAX_TOP_EXCHANGES || self.bytes > MAX_TOP_BYTES {
            let Some(oldest) = self.kept.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(oldest.size);
        }
    }

    /// Adds its end to an exchange that was kept while it went on.
    pub(super) fn end(&mut self, end: &EndLine<'_>) {
        let Some(place) = self.kept.iter_mut().rev().find(|kept| kept.line.id == end.id) else {
            return;
        };
        let kept = Arc::make_mut(place);
        kept.line.duration_us = Some(end.duration_us);
        kept.line.ended = Some(end.ended);
        let note = format!("* {} after {}\n", end.ended, short_duration(end.duration_us));
        kept.text += &note;
        kept.size += note.len();
        self.bytes += note.len();
    }

    /// Returns them, the oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Kept>> {
        self.kept.iter()
    }
}

/// Returns the exchange that a hop is about.
pub(super) fn principal<'a, 'b>(hop: &'a HopLine<'b>) -> Option<&'a ExchangeLine<'b>> {
    let lonely = hop.upstreams.first().map(|upstream| &upstream.exchange);
    let ExchangeObject(line) = hop.downstream.as_ref().or(lonely)?;
    Some(line)
}

/// Returns what is written as text.
fn as_text(write: impl FnOnce(&mut Text<&mut Vec<u8>>) -> Result<Written, Error>, style: &Style) -> String {
    let mut bytes = Vec::new();
    match write(&mut Text::new(&mut bytes, style.clone())) {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("* {error}\n"),
    }
}

/// Cuts a text at [`MAX_TOP_EXCHANGE_BYTES`].
fn bounded(mut text: String) -> String {
    if text.len() > MAX_TOP_EXCHANGE_BYTES {
        let end = text.floor_char_boundary(MAX_TOP_EXCHANGE_BYTES);
        text.truncate(end);
        text += "\n* the rest is left out\n";
    }
    text
}

/// Time between two kept exchanges of a row.
const PAUSE: Duration = Duration::from_millis(100);
