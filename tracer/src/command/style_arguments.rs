//! The options of how text for people looks, and what the terminal and the environment say about it.

use std::{env, io::stdout};

use clap::{Args, ValueEnum};
use jiff::{Timestamp, tz::TimeZone};
use rustix::termios::tcgetwinsize;
use tracer_observe::output::{Style, Zone};

use crate::messages::say;

/// How text for people looks.
#[derive(Args, Debug)]
pub(super) struct StyleArgs {
    /// When `-o text` and `-o line` are coloured; `auto` is on a terminal, unless `NO_COLOR` is set, and wherever
    /// `CLICOLOR_FORCE` is
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(super) color: When,
    /// Show times in UTC instead of local time, in `-o text`, `line` and `combined`
    #[arg(long)]
    pub(super) utc: bool,
}

/// When text is coloured.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum When {
    /// On a terminal.
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

impl StyleArgs {
    /// Returns the style of output to a terminal, or to something else.
    pub(super) fn style(&self, is_terminal: bool) -> Style {
        let variable = |name: &str| env::var(name).unwrap_or_default();
        Style {
            color: is_coloured(self.color, is_terminal, variable),
            width: width(&variable("COLUMNS"), || terminal_columns(is_terminal)),
            zone: if self.utc { Zone::UTC } else { local_zone() },
        }
    }
}

/// Decides whether text is coloured; see <https://no-color.org> and <https://bixense.com/clicolors>.
fn is_coloured(when: When, is_terminal: bool, variable: impl Fn(&str) -> String) -> bool {
    let is_off =
        || is_set(&variable("NO_COLOR")) || variable("CLICOLOR") == "0" || (is_terminal && variable("TERM") == "dumb");
    let forced = || {
        let force = variable("CLICOLOR_FORCE");
        is_set(&force) && force != "0" && !is_set(&variable("NO_COLOR"))
    };
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => forced() || (is_terminal && !is_off()),
    }
}

const fn is_set(value: &str) -> bool {
    !value.is_empty()
}

/// Returns how wide lines may be: as the user says, else as the terminal is, else 80 columns.
fn width(columns: &str, terminal: impl Fn() -> Option<usize>) -> usize {
    let told = columns.parse().ok().filter(|columns| *columns > 0);
    told.or_else(terminal).unwrap_or(80).min(MAX_COLUMNS)
}

fn terminal_columns(is_terminal: bool) -> Option<usize> {
    let size = is_terminal.then(|| tcgetwinsize(stdout()).ok())??;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Returns the zone that `TZ` or the system names; UTC if there is none.
fn local_zone() -> Zone {
    match TimeZone::try_system() {
        Ok(zone) => Zone::new(move |seconds| offset(&zone, seconds)),
        Err(error) => {
            say(&format!(
                "times are in UTC: the zone of this machine is not known: {error}"
            ));
            Zone::UTC
        }
    }
}

/// Returns how many seconds a zone is ahead of UTC; 0 after the last moment that the calendar has.
fn offset(zone: &TimeZone, seconds: u64) -> i32 {
    let moment = i64::try_from(seconds).ok().map(Timestamp::from_second);
    match moment {
        Some(Ok(moment)) => zone.to_offset(moment).seconds(),
        Some(Err(_)) | None => 0,
    }
}

/// Maximum columns of a line, whatever `COLUMNS` says.
const MAX_COLUMNS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn coloured(when: When, is_terminal: bool, variables: &[(&str, &str)]) -> bool {
        is_coloured(when, is_terminal, |name| {
            let found = variables.iter().find(|(each, _)| *each == name);
            found.map(|(_, value)| (*value).to_owned()).unwrap_or_default()
        })
    }

    #[test]
    fn a_terminal_is_coloured_unless_the_user_does_not_want_that() {
        assert!(coloured(When::Auto, true, &[("TERM", "xterm")]));
        assert!(!coloured(When::Auto, false, &[]));
        assert!(coloured(When::Auto, true, &[("NO_COLOR", "")]));
        for off in [("NO_COLOR", "1"), ("CLICOLOR", "0"), ("TERM", "dumb")] {
            assert!(!coloured(When::Auto, true, &[off]), "{off:?}");
            assert!(coloured(When::Always, true, &[off]), "{off:?}");
        }
        assert!(!coloured(When::Never, true, &[("CLICOLOR_FORCE", "1")]));
    }

    #[test]
    fn a_pipe_is_coloured_if_that_is_forced() {
        assert!(coloured(When::Auto, false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!coloured(When::Auto, false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!coloured(
            When::Auto,
            false,
            &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]
        ));
    }

    #[test]
    fn the_width_is_told_or_that_of_the_terminal_or_80() {
        assert_eq!(width("132", || Some(90)), 132);
        for none in ["", "0", "wide", "-1"] {
            assert_eq!(width(none, || Some(90)), 90, "{none}");
            assert_eq!(width(none, || None), 80, "{none}");
        }
        assert_eq!(width("99999999", || None), MAX_COLUMNS);
    }

    #[test]
    fn the_offset_is_that_of_the_moment() {
        // The end of daylight saving time in the European Union in 2026: 25 October, 01:00 UTC.
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        assert_eq!(offset(&zone, 1_792_889_999), 7200);
        assert_eq!(offset(&zone, 1_792_890_000), 3600);
        assert_eq!(offset(&zone, u64::MAX), 0);
        assert_eq!(offset(&zone, 253_402_300_800), 0);
    }
}
