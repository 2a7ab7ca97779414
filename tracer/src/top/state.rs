//! What the user has chosen, and how keys change it.

#![expect(clippy::wildcard_enum_match_arm, reason = "most keys mean nothing")]

use std::sync::Arc;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tracer_observe::top::{Kept, Row, RowId, Span, View};

use super::columns::Column;

/// What the user has chosen.
#[derive(Default)]
pub(super) struct State {
    /// What is shown. It stays as it is while paused.
    pub(super) view: View,
    /// The rows that are shown, sorted.
    pub(super) rows: Vec<Row>,
    pub(super) span: Span,
    pub(super) sorting: Sorting,
    /// Only rows whose text contains this are shown.
    pub(super) filter: String,
    /// Whether keys change the filter.
    pub(super) is_typing: bool,
    pub(super) is_paused: bool,
    pub(super) hides_log: bool,
    pub(super) page: Page,
    /// The selected row; the first one if it is not shown any more.
    selected: Option<RowId>,
}

/// By what rows are sorted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Sorting {
    pub(super) column: Column,
    /// Whether the least come first.
    pub(super) is_reversed: bool,
}

impl Default for Sorting {
    fn default() -> Self {
        Self {
            column: Column::PerSecond,
            is_reversed: false,
        }
    }
}

/// What covers the table.
#[derive(Clone, Default)]
pub(super) enum Page {
    /// Nothing.
    #[default]
    Table,
    /// One exchange.
    Exchange {
        /// Exchanges of the row that was opened, the oldest first. They stay as they are while they are looked at.
        kept: Vec<Arc<Kept>>,
        /// The one that is shown.
        shown: usize,
        /// Lines scrolled off its begin.
        scrolled: usize,
    },
    /// The keys.
    Help,
}

/// Whether the user wants to go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wish {
    GoOn,
    Quit,
}

impl State {
    /// Takes a newer view of the board, unless the user has paused.
    pub(super) fn update(&mut self, view: View) {
        if self.is_paused {
            self.view.is_finished = view.is_finished;
        } else {
            self.view = view;
            self.arrange();
        }
    }

    /// Returns the place of the selected row.
    pub(super) fn selected(&self) -> Option<usize> {
        let place = self.rows.iter().position(|row| Some(&row.id) == self.selected.as_ref());
        place.or((!self.rows.is_empty()).then_some(0))
    }

    /// Returns the selected row.
    pub(super) fn selected_row(&self) -> Option<&Row> {
        self.rows.get(self.selected()?)
    }

    /// Changes what a key stands for. `page` is the number of lines of a screen.
    pub(super) fn key(&mut self, key: KeyEvent, page: usize) -> Wish {
        if key.modifiers.contains(KeyModifiers::CONTROL) && matches!(key.code, KeyCode::Char('c')) {
            return Wish::Quit;
        }
        if self.is_typing {
            self.type_filter(key.code);
            return Wish::GoOn;
        }
        match self.page {
            Page::Table => return self.table_key(key.code, page),
            Page::Exchange { .. } => self.exchange_key(key.code, page),
            Page::Help => self.page = Page::Table,
        }
        Wish::GoOn
    }

    fn table_key(&mut self, key: KeyCode, page: usize) -> Wish {
        match key {
            KeyCode::Char('q') => return Wish::Quit,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.page = Page::Help,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('l') => self.hides_log = !self.hides_log,
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Char('t') => self.span = other_span(self.span),
            KeyCode::Char('r') => self.sorting.is_reversed = !self.sorting.is_reversed,
            KeyCode::Char('>' | 's') | KeyCode::Right => self.sorting.column = self.sorting.column.beside(1),
            KeyCode::Char('<' | 'S') | KeyCode::Left => self.sorting.column = self.sorting.column.beside(-1),
            KeyCode::Enter => self.open(),
            _ => self.move_selection(key, page),
        }
        self.arrange();
        Wish::GoOn
    }

    fn move_selection(&mut self, key: KeyCode, page: usize) {
        let Some(selected) = self.selected() else {
            return;
        };
        let last = self.rows.len().saturating_sub(1);
        let place = scrolled(key, selected, page, last);
        self.selected = self.rows.get(place.min(last)).map(|row| row.id.clone());
    }

    /// Opens the latest exchange of the selected row.
    fn open(&mut self) {
        let Some(row) = self.selected_row() else {
            return;
        };
        let id = row.id.clone();
        let of_row = self.view.latest.iter().filter(|kept| id.has(kept));
        let kept: Vec<_> = of_row.cloned().collect();
        self.selected = Some(id);
        if let Some(shown) = kept.len().checked_sub(1) {
            let scrolled = 0;
            self.page = Page::Exchange { kept, shown, scrolled };
        }
    }

    fn exchange_key(&mut self, key: KeyCode, page: usize) {
        let Page::Exchange {
            kept,
            shown,
            scrolled: top,
        } = &mut self.page
        else {
            return;
        };
        match key {
            KeyCode::Char('q') | KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace => self.page = Page::Table,
            KeyCode::Left | KeyCode::Char('N') => (*shown, *top) = (shown.saturating_sub(1), 0),
            KeyCode::Right | KeyCode::Char('n') => {
                (*shown, *top) = (shown.saturating_add(1).min(kept.len().saturating_sub(1)), 0);
            }
            _ => {
                let lines = kept.get(*shown).map_or(0, |kept| kept.text().lines().count());
                *top = scrolled(key, *top, page, lines.saturating_sub(1));
            }
        }
    }

    fn type_filter(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => {
                self.is_typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(character) if self.filter.len() + character.len_utf8() <= MAX_FILTER_BYTES => {
                self.filter.push(character);
            }
            _ => {}
        }
        self.arrange();
    }

    /// Filters and sorts the rows.
    fn arrange(&mut self) {
        let wanted = self.filter.to_lowercase();
        let text = |row: &Row| format!("{} {} {} {}", row.status, row.side, row.request, row.upstream).to_lowercase();
        let rows = self.view.rows.iter().filter(|row| text(row).contains(&wanted));
        self.rows = rows.cloned().collect();
        let Sorting { column, is_reversed } = self.sorting;
        self.rows.sort_by(|left, right| column.compare(left, right));
        if is_reversed {
            self.rows.reverse();
        }
    }
}

const fn other_span(span: Span) -> Span {
    match span {
        Span::Recent => Span::All,
        Span::All => Span::Recent,
    }
}

/// Returns the place to which a key moves from `place`, at most `last`.
fn scrolled(key: KeyCode, place: usize, page: usize, last: usize) -> usize {
    let moved = match key {
        KeyCode::Up | KeyCode::Char('k') => place.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => place.saturating_add(1),
        KeyCode::PageUp => place.saturating_sub(page),
        KeyCode::PageDown => place.saturating_add(page),
        KeyCode::Home | KeyCode::Char('g') => 0,
        KeyCode::End | KeyCode::Char('G') => last,
        _ => place,
    };
    moved.min(last)
}

/// Maximum bytes of a filter.
const MAX_FILTER_BYTES: usize = 200;
