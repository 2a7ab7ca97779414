//! The keys and the columns.

use ratatui::{
    Frame,
    layout::Rect,
    widgets::{Block, Borders, Paragraph},
};

/// Draws the help.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect) {
    let block = Block::new().borders(Borders::TOP).title(" help ");
    frame.render_widget(Paragraph::new(TEXT).block(block), area);
}

const TEXT: &str = "\
Up Down  PgUp PgDn  Home End   select a row (also k j g G)
Enter                          open the row's latest exchange; Left Right: others
Left Right (< >)               sort by the next column; r reverses the order
/                              show rows that contain a text; Esc shows all
p or Space                     pause and go on
t                              the last ten seconds, or all since the begin
l                              show or hide the latest exchanges
q or Ctrl-C                    quit

CODE     class of the status; none: no response was seen
REQUEST  method, host and path, {} for what differs; -> the process asked
REQ/S    requests a second
ERR      status 500 or more, a failed gRPC call, or ended before its response
P50 P90 P99  durations that so many of 100 do not exceed
GW P50   half had no upstream server busy for longer: the gateway's own time
LOST     exchanges of which a part was lost or not seen";
