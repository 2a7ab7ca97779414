//! How text for people looks: its colours, its width and the zone of its times.
//!
//! All of it is a setting, because nothing here reads a clock, the environment or the terminal.

use std::{
    fmt::{self, Display, Formatter},
    sync::Arc,
};

use crate::redact::Time;

/// How text for people looks.
#[derive(Clone)]
pub struct Style {
    /// Whether it is coloured.
    pub color: bool,
    /// Columns of a line that is made to fit.
    pub width: usize,
    /// The zone of its times.
    pub zone: Zone,
}

impl Default for Style {
    /// Returns the style of a file: no colours, 80 columns, UTC.
    fn default() -> Self {
        Self {
            color: false,
            width: 80,
            zone: Zone::UTC,
        }
    }
}

impl Style {
    /// Returns a text that is displayed in a colour, if there are any.
    pub(crate) const fn paint<T: Display>(&self, paint: Paint, text: T) -> Painted<T> {
        Painted {
            paint: if self.color { paint } else { Paint::Plain },
            text,
        }
    }

    /// Returns a time in the zone.
    pub(crate) fn local(&self, time: &Time) -> Local {
        self.zone.local(time)
    }
}

/// The zone of local times.
#[derive(Clone)]
pub struct Zone(Option<Offset>);

/// Returns how many seconds a zone is ahead of UTC at a moment, given in seconds since 1970.
type Offset = Arc<dyn Fn(u64) -> i32 + Send + Sync>;

impl Zone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self(None);

    /// Creates a zone from a function that returns how many seconds it is ahead of UTC at a moment, given in seconds since
    /// 1970.
    pub fn new(offset: impl Fn(u64) -> i32 + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(offset)))
    }

    fn local(&self, time: &Time) -> Local {
        let offset = self.0.as_ref().map_or(0, |offset| offset(time.since_epoch().as_secs()));
        Local {
            time: time.shifted(offset),
            minutes: offset / 60,
        }
    }
}

/// A time in a zone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local {
    time: Time,
    /// How many minutes the zone is ahead of UTC.
    minutes: i32,
}

impl Local {
    /// Returns the date, such as `2026-11-21`.
    pub(crate) fn date(&self) -> &str {
        self.time.as_str().get(..10).unwrap_or_default()
    }

    /// Returns the time of day with milliseconds, such as `07:45:00.123`.
    pub(crate) fn clock(&self) -> &str {
        self.time.as_str().get(11..23).unwrap_or_default()
    }

    /// Returns the offset from UTC: sign, hours, minutes.
    pub(super) const fn offset(&self) -> (char, u32, u32) {
        let minutes = self.minutes.unsigned_abs();
        (if self.minutes < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
    }

    /// Returns a note of the day, unless `last` was of the same day and offset.
    pub(super) fn day_after(&self, last: Option<&Self>) -> Option<String> {
        let same = last.is_some_and(|last| (last.date(), last.minutes) == (self.date(), self.minutes));
        let (sign, hours, minutes) = self.offset();
        (!same).then(|| match self.minutes {
            0 => format!("* {}, UTC", self.date()),
            _ => format!("* {}, UTC{sign}{hours:02}:{minutes:02}", self.date()),
        })
    }
}

/// A colour. The terminal's own palette is used, so that it fits its background.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Paint {
    Plain,
    Bold,
    Dim,
    Red,
    BoldRed,
    Green,
    Yellow,
    Cyan,
}

impl Paint {
    /// Returns the colour of a status.
    pub(super) const fn of_status(status: Option<u16>) -> Self {
        match status {
            Some(100..=299) => Self::Green,
            Some(300..=399) => Self::Cyan,
            Some(400..=499) => Self::Yellow,
            Some(500..) => Self::BoldRed,
            Some(_) | None => Self::Dim,
        }
    }

    /// Returns the parameters of Select Graphic Rendition (ECMA-48 section 8.3.117).
    const fn parameters(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "31",
            Self::BoldRed => "1;31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Cyan => "36",
        }
    }
}

/// A text in a colour.
pub(crate) struct Painted<T> {
    paint: Paint,
    text: T,
}

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        if self.paint == Paint::Plain {
            return self.text.fmt(formatter);
        }
        write!(formatter, "\u{1b}[{}m", self.paint.parameters())?;
        self.text.fmt(formatter)?;
        formatter.write_str("\u{1b}[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{output::sample, redact::Line};

    fn sample_time() -> Time {
        let Line::Exchange(line) = &*sample::exchange() else {
            panic!("not an exchange")
        };
        line.time
    }

    #[test]
    fn a_time_is_shown_in_its_zone() {
        // 07:45 in UTC; an hour earlier the zone would still be ahead by two hours.
        let zone = Zone::new(|at| if at >= 1_795_247_100 { 3600 } else { 7200 });
        let local = zone.local(&sample_time());
        assert_eq!((local.date(), local.clock()), ("2026-11-21", "08:45:00.123"));
        assert_eq!(local.day_after(None).as_deref(), Some("* 2026-11-21, UTC+01:00"));
        assert_eq!(local.day_after(Some(&local)), None);
        let utc = Zone::UTC.local(&sample_time());
        assert_eq!(utc.day_after(Some(&local)).as_deref(), Some("* 2026-11-21, UTC"));
        let behind = Zone::new(|_| -12_600).local(&sample_time());
        assert_eq!(behind.day_after(Some(&utc)).as_deref(), Some("* 2026-11-21, UTC-03:30"));
    }

    #[test]
    fn a_text_is_painted_only_in_colour() {
        let plain = Style::default();
        let color = Style {
            color: true,
            ..Style::default()
        };
        assert_eq!(plain.paint(Paint::Red, "x").to_string(), "x");
        assert_eq!(color.paint(Paint::BoldRed, "x").to_string(), "\u{1b}[1;31mx\u{1b}[0m");
        assert_eq!(color.paint(Paint::Plain, "x").to_string(), "x");
    }
}
