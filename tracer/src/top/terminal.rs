//! The terminal, and the thread that draws on it and reads keys.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyEventKind},
};
use tracer_observe::{output::Style, top::Board};

use super::{
    draw::{Look, Palette, draw},
    sink::TopSink,
    state::{State, Wish},
};
use crate::messages::{self, complain};

/// Time between two screens, unless a key is pressed.
const REFRESH: Duration = Duration::from_millis(500);

/// How long the thread waits for a key before it looks whether the run has ended.
const POLL: Duration = Duration::from_millis(50);

/// The terminal of the user interface.
pub(crate) struct Terminal {
    board: Board,
    style: Style,
}

impl Terminal {
    /// Creates a user interface in a style, of which it uses the zone and whether it is coloured.
    pub(crate) fn new(style: Style) -> Self {
        let plain = Style {
            color: false,
            ..style.clone()
        };
        Self {
            board: Board::new(plain),
            style,
        }
    }

    /// Takes the terminal and starts the thread. Messages are held back until the terminal is given back.
    pub(crate) fn start(self) -> io::Result<TopSink> {
        let board = self.board.clone();
        let mut terminal = ratatui::try_init().inspect_err(|_| drop(ratatui::try_restore()))?;
        IS_TAKEN.store(true, Ordering::Relaxed);
        messages::hold();
        let thread = thread::Builder::new().name("top".to_owned());
        let interface = thread.spawn(move || {
            let ended = self.interact(&mut terminal);
            self.board.close();
            give_back();
            if let Err(error) = ended {
                complain(&format!("the terminal does not work: {error}"));
            }
        });
        Ok(TopSink::new(board, interface.inspect_err(|_| give_back())?))
    }

    /// Draws and reads keys until the user quits or the run ends.
    fn interact(&self, terminal: &mut DefaultTerminal) -> io::Result<()> {
        let mut state = State::default();
        let mut look = Look {
            palette: Palette {
                is_coloured: self.style.color,
            },
            line: self.style.clone(),
            message: String::new(),
        };
        while !self.board.is_finished() {
            state.update(self.board.view(state.span));
            look.message = messages::latest();
            let mut page = 1;
            terminal.draw(|frame| page = draw(frame, &state, &look))?;
            if self.keys(&mut state, page)? == Wish::Quit {
                break;
            }
        }
        Ok(())
    }

    /// Waits for a key until the next screen is due.
    fn keys(&self, state: &mut State, page: usize) -> io::Result<Wish> {
        let due = Instant::now() + REFRESH;
        while Instant::now() < due && !self.board.is_finished() {
            if !event::poll(POLL)? {
                continue;
            }
            let event = event::read()?;
            if let Event::Key(key) = event
                && key.kind != KeyEventKind::Release
            {
                messages::forget_latest();
                return Ok(state.key(key, page));
            }
            if matches!(event, Event::Resize(..)) {
                return Ok(Wish::GoOn);
            }
        }
        Ok(Wish::GoOn)
    }
}

/// Whether a user interface has the terminal.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// Gives the terminal back, if it was taken, and prints the messages that were held back.
pub(crate) fn give_back() {
    if !IS_TAKEN.swap(false, Ordering::Relaxed) {
        return;
    }
    let restored = ratatui::try_restore();
    messages::release();
    if let Err(error) = restored {
        complain(&format!("the terminal could not be restored, try `reset`: {error}"));
    }
}
