//! The board at a moment.

use std::{sync::Arc, time::Duration};

use super::{Figures, Kept};
use crate::{output::Shown, stat::Key};

/// The exchanges that the numbers of a view are of.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Span {
    /// Those of the last ten seconds.
    #[default]
    Recent,
    /// All of them.
    All,
}

/// The board at a moment.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The time of the records, as a time of day in the zone of the style; empty before the first record.
    pub clock: String,
    /// How long it has been traced.
    pub traced: Duration,
    /// The rows, in no order.
    pub rows: Vec<Row>,
    /// The sum of all rows.
    pub all: Figures,
    /// Losses, and their bytes as far as known, since the begin.
    pub losses: u64,
    /// See `losses`.
    pub lost_bytes: u64,
    /// Exchanges whose duration and end are not counted, because too many were open.
    pub forgotten: u64,
    /// Exchanges that can be opened, the oldest first.
    pub latest: Vec<Arc<Kept>>,
    /// Whether nothing is added any more.
    pub is_finished: bool,
}

/// A row.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which row it is.
    pub id: RowId,
    /// `server` if the traced process was asked, `client` if it asked.
    pub side: &'static str,
    /// The class of the status.
    pub status: &'static str,
    /// The method, the host and the template of the path, escaped.
    pub request: String,
    /// The address of the upstream server, escaped; empty if there is none.
    pub upstream: String,
    /// Its numbers.
    pub figures: Figures,
}

/// Identifies a row; by default, that of all that has no row of its own.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RowId(Option<Arc<Key>>);

impl RowId {
    /// Returns whether an exchange is counted in the row.
    pub fn has(&self, kept: &Kept) -> bool {
        self.0.as_ref() == Some(&kept.key)
    }
}

impl Row {
    /// Creates the row of a key.
    pub(super) fn named(key: &Arc<Key>, figures: Figures) -> Self {
        let Key {
            side,
            method,
            host,
            route,
            upstream,
            status,
        } = &**key;
        let [method, host, route] = [method, host, route].map(|text| text.as_deref().unwrap_or("?"));
        Self {
            id: RowId(Some(Arc::clone(key))),
            side,
            status,
            request: Shown(&format!("{method} {host}{route}")).to_string(),
            upstream: upstream
                .as_deref()
                .map_or(String::new(), |text| Shown(text).to_string()),
            figures,
        }
    }

    /// Creates the row of all that has no row of its own.
    pub(super) fn unnamed(figures: Figures) -> Self {
        Self {
            id: RowId(None),
            side: "",
            status: "",
            request: "all other".to_owned(),
            upstream: String::new(),
            figures,
        }
    }
}
