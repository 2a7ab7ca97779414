//! Makes a screen of the state.

mod table;
mod exchange;
mod help;
mod paint;
#[cfg(test)]
mod tests;

use std::time::Duration;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Modifier, Style},
    text::{Line, Span as Text},
    widgets::{Block, Borders, Paragraph},
};
use tracer_observe::{
    output::Style as LineStyle,
    top::{Span, View},
};

pub(super) use paint::Palette;

use super::{
    columns::rate,
    state::{Page, State},
};

/// How a screen looks.
pub(super) struct Look {
    pub(super) palette: Palette,
    /// The zone of times; its colours and width are not used.
    pub(super) line: LineStyle,
    /// The latest message to the user; empty if there is none.
    pub(super) message: String,
}

/// Draws a screen. Returns the number of lines by which a page is scrolled.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State, look: &Look) -> usize {
    let [title, middle, status] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)]).areas(frame.area());
    frame.render_widget(title_line(state, look), title);
    match &state.page {
        Page::Table => tables(frame, middle, state, look),
        Page::Exchange { kept, shown, scrolled } => exchange::draw(frame, middle, (kept, *shown, *scrolled), look),
        Page::Help => help::draw(frame, middle),
    }
    frame.render_widget(status_line(state, look), status);
    usize::from(middle.height).saturating_sub(2).max(1)
}

/// Draws the table, and the log below it if there is room.
fn tables(frame: &mut Frame<'_>, area: Rect, state: &State, look: &Look) {
    let log_height = if state.hides_log || area.height < LEAST_HEIGHT {
        0
    } else {
        area.height / 3
    };
    let [rows, log] = Layout::vertical([Constraint::Min(1), Constraint::Length(log_height)]).areas(area);
    table::draw(frame, rows, state, look.palette);
    if log_height > 0 {
        draw_log(frame, log, &state.view, look);
    }
}

/// Draws the latest exchanges, the newest last.
fn draw_log(frame: &mut Frame<'_>, area: Rect, view: &View, look: &Look) {
    let room = usize::from(area.height.saturating_sub(1));
    let style = LineStyle {
        color: false,
        width: usize::from(area.width),
        zone: look.line.zone.clone(),
    };
    let newest = view.latest.iter().rev().take(room).rev();
    let lines: Vec<_> = newest
        .map(|kept| Line::styled(kept.one_line(&style), look.palette.status(kept.status())))
        .collect();
    let block = Block::new()
        .borders(Borders::TOP)
        .title(" some of the latest exchanges ");
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// Returns the first line: the time of the records, and the sums.
fn title_line<'a>(state: &State, look: &Look) -> Line<'a> {
    let View {
        clock,
        traced,
        all,
        losses,
        lost_bytes,
        forgotten,
        is_finished,
        ..
    } = &state.view;
    let span = match state.span {
        Span::Recent => "the last 10 s",
        Span::All => "all",
    };
    let mut notes = vec![format!(
        "tlscope top  {clock}  up {}  {span}: {} req/s, {} err",
        span_text(*traced),
        rate(all.per_second),
        all.errors
    )];
    if *losses > 0 {
        notes.push(format!("lost {lost_bytes} B in {losses} places"));
    }
    if *forgotten > 0 {
        notes.push(format!("{forgotten} not followed to their end"));
    }
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut line = Line::styled(notes.join(", "), bold);
    for (is_set, word) in [(state.is_paused, "PAUSED"), (*is_finished, "ENDED")] {
        if is_set {
            line.push_span(Text::styled(format!("  {word}"), look.palette.warning()));
        }
    }
    line
}

/// Returns the last line: the filter while it is typed, else a message, else the selected row as a whole.
fn status_line<'a>(state: &State, look: &Look) -> Line<'a> {
    if state.is_typing {
        return Line::raw(format!("/{}\u{2588}", printable(&state.filter)));
    }
    if !look.message.is_empty() {
        return Line::styled(look.message.clone(), look.palette.warning());
    }
    match &state.page {
        Page::Table => Line::raw(selected_text(state)),
        Page::Exchange { kept, shown, .. } => Line::raw(format!(
            "{} of {} kept   Left older  Right newer  Up/Down scroll  Esc back",
            shown + 1,
            kept.len()
        )),
        Page::Help => Line::raw("any key goes back"),
    }
}

fn selected_text(state: &State) -> String {
    let filter = if state.filter.is_empty() {
        String::new()
    } else {
        format!("filter: {}   ", printable(&state.filter))
    };
    let keys = "? help  q quit";
    match state.selected_row() {
        Some(row) => {
            let upstream = if row.upstream.is_empty() {
                String::new()
            } else {
                format!(" -> {}", row.upstream)
            };
            format!("{keys}  {filter}{} {}{upstream}", row.status, row.request)
        }
        None => format!("{keys}  {filter}no exchanges"),
    }
}

/// Returns what the user has typed without control characters, which a terminal can paste.
fn printable(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).collect()
}

fn span_text(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..100 => format!("{seconds}s"),
        100..6000 => format!("{}min", seconds / 60),
        6000.. => format!("{}h", seconds / 3600),
    }
}

/// Lines between the first and the last one below which there is no room for the log.
const LEAST_HEIGHT: u16 = 14;
