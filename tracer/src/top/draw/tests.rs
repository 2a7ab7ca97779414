//! Tests of whole screens, and of keys.

use std::path::Path;

use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
};
use tracer_observe::{
    filter::{Filter, FilterArgs},
    output::Style,
    pipeline::{Options, Pipeline},
    redact::{Redactor, Rules},
    tape::Reader,
    top::{Board, Top},
};

use super::*;
use crate::top::state::Wish;

/// A user interface on a screen in memory, with a board of the tape of a gateway: 127.0.0.1:8443 in front of two servers.
struct Screen {
    board: Board,
    state: State,
    look: Look,
    terminal: Terminal<TestBackend>,
}

impl Screen {
    fn new(width: u16, height: u16) -> Self {
        let board = Board::new(Style::default());
        replay(&board);
        let mut screen = Self {
            state: State::default(),
            board,
            look: Look {
                palette: Palette { is_coloured: true },
                line: Style::default(),
                message: String::new(),
            },
            terminal: Terminal::new(TestBackend::new(width, height)).unwrap(),
        };
        // The tape is longer than ten seconds.
        screen.key(KeyCode::Char('t'));
        screen
    }

    fn draw(&mut self) -> String {
        self.state.update(self.board.view(self.state.span));
        let (state, look) = (&self.state, &self.look);
        self.terminal
            .draw(|frame| {
                draw(frame, state, look);
            })
            .unwrap();
        let buffer = self.terminal.backend().buffer();
        let width = usize::from(buffer.area.width);
        let rows = buffer.content.chunks(width);
        rows.map(|row| {
            row.iter()
                .map(ratatui::buffer::Cell::symbol)
                .collect::<String>()
                .trim_end()
                .to_owned()
                + "\n"
        })
        .collect()
    }

    fn key(&mut self, code: KeyCode) -> String {
        assert_eq!(self.state.key(KeyEvent::new(code, KeyModifiers::NONE), 10), Wish::GoOn);
        self.draw()
    }

    fn keys(&mut self, text: &str) -> String {
        text.chars()
            .map(|character| self.key(KeyCode::Char(character)))
            .last()
            .unwrap_or_default()
    }

    /// Returns the row that is shown in reverse.
    fn selected(&self) -> String {
        let buffer = self.terminal.backend().buffer();
        let rows = buffer.content.chunks(usize::from(buffer.area.width)).skip(2);
        let mut reversed = rows.filter(|row| {
            row.first()
                .is_some_and(|cell| cell.modifier.contains(Modifier::REVERSED))
        });
        let row = reversed.next().unwrap();
        row.iter().map(ratatui::buffer::Cell::symbol).collect()
    }
}

fn replay(board: &Board) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/tapes/gateway.tape");
    let mut tape = Reader::open(&path).unwrap();
    let options = Options {
        decode: http_decode::Settings::default(),
        redactor: Redactor::new(Rules::default()),
        filter: Filter::new(FilterArgs::default()),
        policy: None,
        sink: Box::new(Top::new(board.clone())),
        limit: None,
        connections: false,
        hops: true,
        verbose: false,
    };
    let mut pipeline = Pipeline::new(tape.header(), options);
    while let Some(batch) = tape.next_batch().unwrap() {
        pipeline.batch(batch).unwrap();
    }
    pipeline.conclude().unwrap();
}

#[test]
fn the_table_fits_80_columns() {
    let mut screen = Screen::new(80, 24);
    let text = screen.draw();
    let lines: Vec<_> = text.lines().collect();
    let expected = "\
CODE REQUEST                       REQ/S   ERR    P50    P90    P99 GW P50  LOST
2xx  GET 127.0.0.1:9444/hello         44     -  153us 9.05ms 9.05ms   75us     -
2xx  GET 127.0.0.1:9444/checked/h     22     -  124us  124us  124us   58us     -
3xx  GET 127.0.0.1:9444/login         22     -   92us   92us   92us   46us     -
2xx  GET 127.0.0.1:9444/own           22     -   18us   18us   18us      -     -
4xx  GET 127.0.0.1:9444/retried/n     22     - 3.50ms 3.50ms 3.50ms 3.32ms     -";
    assert_eq!(lines[1..7].join("\n"), expected, "{text}");
    assert_eq!(lines[0], "tlscope top  16:54:33  up 0s  all: 131 req/s, 0 err");
    // The selected row is shown as a whole in the last line.
    assert_eq!(
        lines[23],
        "? help  q quit  2xx GET 127.0.0.1:9444/hello -> 127.0.0.1:9443"
    );
    assert!(
        text.contains("16:54:33.751 302 GET 127.0.0.1:9444/login       92us <- 127.0.0.1:48160 3097cb84"),
        "{text}"
    );
}

#[test]
fn a_wide_terminal_shows_upstreams_and_a_small_one_something() {
    let text = Screen::new(120, 24).draw();
    assert!(
        text.contains("UPSTREAM") && text.contains("/hello                 ") || text.contains("127.0.0.1:9443"),
        "{text}"
    );
    for (width, height) in [(1, 1), (20, 3), (40, 5), (300, 100)] {
        let mut screen = Screen::new(width, height);
        for key in [KeyCode::Enter, KeyCode::Esc, KeyCode::Char('?')] {
            assert!(!screen.key(key).is_empty(), "{width}x{height}");
        }
    }
}

#[test]
fn keys_sort_by_a_column_and_reverse() {
    let mut screen = Screen::new(80, 24);
    // From the requests a second over the errors and P50 to P90.
    let text = screen.keys("sss");
    assert!(text.lines().nth(2).unwrap().contains("/hello"), "{text}");
    let text = screen.keys("<");
    assert!(text.lines().nth(2).unwrap().contains("/retried"), "{text}");
    let text = screen.keys("r");
    assert!(text.lines().nth(2).unwrap().contains("/own"), "{text}");
}

#[test]
fn a_selected_row_stays_selected_when_the_order_changes() {
    let mut screen = Screen::new(80, 24);
    assert!(screen.selected().contains("/hello"));
    screen.key(KeyCode::Down);
    screen.key(KeyCode::Char('j'));
    assert!(screen.selected().contains("/login"));
    screen.keys("r");
    assert!(screen.selected().contains("/login"));
    screen.key(KeyCode::End);
    assert!(screen.selected().contains("/hello"));
    screen.key(KeyCode::PageUp);
    assert!(screen.selected().contains("/retried"));
}

#[test]
fn a_filter_is_typed_and_cleared() {
    let mut screen = Screen::new(80, 24);
    let text = screen.keys("/LOGI");
    assert!(text.ends_with("/LOGI\u{2588}\n"), "{text}");
    // While a text is typed, a key is a letter.
    let text = screen.keys("q");
    assert!(!text.contains("3xx"), "{text}");
    screen.key(KeyCode::Backspace);
    let text = screen.key(KeyCode::Enter);
    assert!(
        text.contains("\n3xx ") && !text.contains("\n2xx ") && text.contains("filter: LOGI"),
        "{text}"
    );
    let text = screen.key(KeyCode::Esc);
    assert!(text.contains("\n2xx "), "{text}");
    let text = screen.keys(&format!("/{}", "x".repeat(210)));
    assert!(text.contains("no exchanges") || text.contains("/xxx"), "{text}");
    assert_eq!(screen.state.filter.len(), 200);
    screen.key(KeyCode::Backspace);
    screen.key(KeyCode::Char('\u{e9}'));
    assert_eq!(screen.state.filter.len(), 199, "it has no room for two bytes");
    assert!(screen.key(KeyCode::Esc).contains("\n2xx "));
}

#[test]
fn an_exchange_is_opened_with_its_heads_and_what_the_gateway_changed() {
    let mut screen = Screen::new(100, 60);
    let text = screen.key(KeyCode::Enter);
    assert!(text.contains("> GET /hello") && text.contains("@@ request"), "{text}");
    assert!(text.contains("1 of 1 kept"), "{text}");
    let scrolled = screen.key(KeyCode::Char('j'));
    assert_ne!(scrolled, text);
    assert_eq!(screen.key(KeyCode::Home), text);
    let end = screen.key(KeyCode::End);
    assert!(!end.contains("> GET /hello"), "{end}");
    for key in [KeyCode::Right, KeyCode::Left] {
        assert_eq!(screen.key(key), text);
    }
    assert!(screen.key(KeyCode::Esc).contains("CODE REQUEST"));
}

#[test]
fn a_pause_keeps_what_is_shown() {
    let mut screen = Screen::new(80, 24);
    let before = screen.keys("p");
    assert!(before.contains("PAUSED"), "{before}");
    screen.board = Board::new(Style::default());
    assert_eq!(screen.draw(), before);
    let text = screen.keys("p");
    assert!(text.contains("no exchanges"), "{text}");
}

#[test]
fn a_message_is_shown_and_the_log_can_be_hidden() {
    let mut screen = Screen::new(80, 24);
    assert!(screen.draw().contains("some of the latest exchanges"));
    assert!(!screen.keys("l").contains("some of the latest exchanges"));
    screen.look.message = "tlscope: attached to nginx (7)".to_owned();
    assert!(screen.draw().ends_with("tlscope: attached to nginx (7)\n"));
    assert!(screen.keys("?").contains("quit"));
}

#[test]
fn q_and_control_c_quit() {
    for key in [
        KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE),
        KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL),
    ] {
        assert_eq!(State::default().key(key, 10), Wish::Quit);
    }
    // Even while a filter is typed.
    let mut screen = Screen::new(80, 24);
    screen.keys("/");
    let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(screen.state.key(key, 10), Wish::Quit);
}
