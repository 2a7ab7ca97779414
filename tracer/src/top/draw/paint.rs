//! Colours: those of the terminal's own palette, so that they fit its background.

use ratatui::style::{Color, Modifier, Style};

/// The colours of a screen.
#[derive(Clone, Copy, Debug)]
pub(in crate::top) struct Palette {
    /// Whether there are any.
    pub(in crate::top) is_coloured: bool,
}

impl Palette {
    /// Returns the style of a status.
    pub(super) const fn status(self, status: Option<u16>) -> Style {
        match status {
            Some(100..=299) => self.color(Color::Green),
            Some(300..=399) => self.color(Color::Cyan),
            Some(400..=499) => self.color(Color::Yellow),
            Some(500..) => self.color(Color::Red),
            Some(_) | None => Style::new(),
        }
    }

    /// Returns the style of a class of statuses.
    pub(super) fn class(self, class: &str) -> Style {
        let digit = class.as_bytes().first().filter(|byte| byte.is_ascii_digit());
        self.status(digit.map(|digit| u16::from(digit - b'0') * 100))
    }

    /// Returns the style of a line of an exchange, by its first characters.
    pub(super) fn line(self, line: &str) -> Style {
        match line.as_bytes() {
            [b'-', b'-', b'-', ..] | [b'+', b'+', b'+', ..] => Style::new().add_modifier(Modifier::BOLD),
            [b'-', ..] => self.color(Color::Red),
            [b'+', ..] => self.color(Color::Green),
            [b'@' | b'~', ..] => self.color(Color::Cyan),
            [b'*', ..] => Style::new().add_modifier(Modifier::DIM),
            _ => Style::new(),
        }
    }

    /// Returns the style of what the user should see at once.
    pub(super) const fn warning(self) -> Style {
        self.color(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// Returns the style of a number of failures.
    pub(super) const fn failure(self) -> Style {
        self.color(Color::Red).add_modifier(Modifier::BOLD)
    }

    const fn color(self, color: Color) -> Style {
        if self.is_coloured {
            Style::new().fg(color)
        } else {
            Style::new()
        }
    }
}
