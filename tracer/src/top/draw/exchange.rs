//! One exchange with its heads, and what the gateway changed.

use std::sync::Arc;

use ratatui::{
    Frame,
    layout::Rect,
    text::Line,
    widgets::{Block, Borders, Paragraph, Wrap},
};
use tracer_observe::top::Kept;

use super::Look;

/// Draws the exchange `shown`, from the line `scrolled` on.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    (kept, shown, scrolled): (&[Arc<Kept>], usize, usize),
    look: &Look,
) {
    let Some(exchange) = kept.get(shown) else {
        return;
    };
    // A screen has no more lines than its height, even if none is wrapped.
    let lines = exchange.text().lines().skip(scrolled).take(usize::from(area.height));
    let lines: Vec<_> = lines.map(|line| Line::styled(line, look.palette.line(line))).collect();
    let block = Block::new()
        .borders(Borders::TOP)
        .title(format!(" exchange {} ", exchange.id()));
    let text = Paragraph::new(lines).block(block).wrap(Wrap { trim: false });
    frame.render_widget(text, area);
}
