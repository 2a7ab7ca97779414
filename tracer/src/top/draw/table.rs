//! The table of routes.

use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    style::{Modifier, Style},
    text::{Line, Text},
    widgets::{Cell, Row, Table, TableState},
};
use tracer_observe::top::Row as Route;

use super::Palette;
use crate::top::{columns::Column, state::State};

/// Draws the table with the selected row in reverse.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, palette: Palette) {
    let shows_upstream = area.width >= WIDE;
    let mut widths = vec![Constraint::Length(4), Constraint::Min(10)];
    let mut titles = vec![Cell::from("CODE"), Cell::from("REQUEST")];
    if shows_upstream {
        widths.push(Constraint::Length(UPSTREAM_WIDTH));
        titles.push(Cell::from("UPSTREAM"));
    }
    for column in Column::ALL {
        widths.push(Constraint::Length(width(column)));
        titles.push(Cell::from(title(column, state)));
    }
    let rows = state.rows.iter().map(|route| row(route, shows_upstream, palette));
    let table = Table::new(rows, widths)
        .header(Row::new(titles).style(Style::new().add_modifier(Modifier::BOLD)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    frame.render_stateful_widget(table, area, &mut TableState::new().with_selected(state.selected()));
}

/// Returns the title of a column; that by which rows are sorted is marked.
fn title(column: Column, state: &State) -> Line<'static> {
    let title = Line::raw(column.title()).right_aligned();
    if column == state.sorting.column {
        title.style(Style::new().add_modifier(Modifier::REVERSED))
    } else {
        title
    }
}

fn row(route: &Route, shows_upstream: bool, palette: Palette) -> Row<'_> {
    let arrow = if route.side == "client" { "-> " } else { "" };
    let mut cells = vec![
        Cell::from(route.status).style(palette.class(route.status)),
        Cell::from(Text::raw(format!("{arrow}{}", route.request))),
    ];
    if shows_upstream {
        cells.push(Cell::from(route.upstream.as_str()));
    }
    for column in Column::ALL {
        let text = column.text(route);
        let is_failure = matches!(column, Column::Errors | Column::Partial) && text != "-";
        let style = if is_failure { palette.failure() } else { Style::new() };
        cells.push(Cell::from(Line::raw(text).right_aligned()).style(style));
    }
    Row::new(cells)
}

const fn width(column: Column) -> u16 {
    match column {
        Column::Errors | Column::Partial => 5,
        Column::PerSecond | Column::P50 | Column::P90 | Column::P99 | Column::Gateway => 6,
    }
}

/// Columns of a terminal from which on the upstream server has one of its own.
const WIDE: u16 = 110;

/// Columns of the upstream server: those of an IPv4 address and a port.
const UPSTREAM_WIDTH: u16 = 21;
