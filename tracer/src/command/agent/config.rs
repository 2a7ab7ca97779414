//! The configuration of an agent: a TOML file whose keys are the long options of `tlscope trace`.
//!
//! An option that takes a value has a string or a number, one that may be repeated also an array of them, and one without a
//! value `true` or `false`. Whatever `trace` would refuse is refused with the place in the file.

use std::{fs, ops::Range};

use clap::{
    Arg, ArgAction, Args as _, FromArgMatches as _,
    error::{ContextKind, ContextValue},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{audit::Options, command::live_arguments::TraceArgs};

/// A configuration that was read.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) path: String,
    pub(super) text: String,
    pub(super) trace: TraceArgs,
}

impl Config {
    /// Reads a file. The error is one line, with the place of the mistake.
    pub(super) fn read(path: &str) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        Self::of(path, text)
    }

    /// Reads the text of a file.
    pub(super) fn of(path: &str, text: String) -> Result<Self, String> {
        let trace = parse(&text).map_err(|mistake| mistake.in_file(path, &text))?;
        Ok(Self {
            path: path.to_owned(),
            text,
            trace,
        })
    }
}

/// What is wrong with a configuration, and where in the text, if it is at one place.
#[derive(Debug, Eq, PartialEq)]
struct Mistake {
    what: String,
    at: Option<Range<usize>>,
}

impl Mistake {
    /// Returns `FILE:LINE:COLUMN: WHAT`; columns count characters.
    fn in_file(self, path: &str, text: &str) -> String {
        let Self { what, at } = self;
        let Some(before) = at.and_then(|at| text.get(..at.start)) else {
            return format!("{path}: {what}");
        };
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("{path}:{line}:{column}: {what}")
    }
}

fn parse(text: &str) -> Result<TraceArgs, Mistake> {
    let table = DeTable::parse(text).map_err(|error| Mistake {
        what: error.message().to_owned(),
        at: error.span(),
    })?;
    let mut command = TraceArgs::augment_args(
        clap::Command::new("agent")
            .disable_help_flag(true)
            .color(clap::ColorChoice::Never),
    );
    command.build();
    let mut words = vec!["agent".to_owned()];
    for (key, value) in table.get_ref() {
        words.extend(words_of(&command, key, value)?);
    }
    let matches = command.try_get_matches_from_mut(words);
    let trace = matches.and_then(|matches| {
        let mut trace = TraceArgs::from_arg_matches(&matches)?;
        trace.live.audit.options = Options::of(&command, &matches);
        Ok(trace)
    });
    let checked = trace.and_then(|mut trace| {
        // A service is started again, and its file must not be emptied then.
        trace.output.to.append = true;
        trace.output.check()?;
        Ok(trace)
    });
    checked.map_err(|error| refused(&error, table.get_ref()))
}

/// Returns the words of the command line that a key and its value stand for.
fn words_of(
    command: &clap::Command,
    key: &Spanned<std::borrow::Cow<'_, str>>,
    value: &Spanned<DeValue<'_>>,
) -> Result<Vec<String>, Mistake> {
    let name = key.get_ref();
    let at = |what: String, span: Range<usize>| Mistake { what, at: Some(span) };
    let mut options = command.get_arguments();
    let Some(option) = options.find(|option| option.get_long() == Some(name)) else {
        return Err(at(format!("`{name}` is no option of tlscope trace"), key.span()));
    };
    let values = match (value.get_ref(), takes_value(option)) {
        (DeValue::Boolean(is_set), false) => return Ok(is_set.then(|| format!("--{name}")).into_iter().collect()),
        (_, false) => return Err(at(format!("`{name}` is true or false"), value.span())),
        (DeValue::Array(several), true) if matches!(option.get_action(), ArgAction::Append) => several.iter().collect(),
        (_, true) => vec![value],
    };
    let word = |value: &Spanned<DeValue<'_>>| {
        let value_of = scalar(value.get_ref());
        value_of
            .map(|value| format!("--{name}={value}"))
            .ok_or_else(|| at(format!("`{name}` is one string or number"), value.span()))
    };
    values.into_iter().map(word).collect()
}

fn takes_value(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Set | ArgAction::Append)
}

/// Returns a string or a number as it is on a command line.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Integer(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            None
        }
    }
}

/// Returns what the parser of the command line refused, at the value of the option that it names.
fn refused(error: &clap::Error, table: &DeTable<'_>) -> Mistake {
    let named = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(option)) => option.as_str(),
        Some(ContextValue::Strings(options)) => options.first().map_or("", String::as_str),
        _ => "",
    };
    let name = named
        .trim_start_matches("--")
        .split([' ', '='])
        .next()
        .unwrap_or_default();
    let value = table.iter().find(|(key, _)| key.get_ref() == name);
    let text = error.to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
    let what: Vec<_> = lines.map(|line| line.trim_start_matches("error: ")).collect();
    Mistake {
        what: what.join(" "),
        at: value.map(|(_, value)| value.span()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(text: &str) -> String {
        parse(text).unwrap_err().in_file("a.toml", text)
    }

    #[test]
    fn keys_are_the_long_options_of_trace() {
        let text =
            "port = [8443, 443]\nname = \"nginx\"\nall = false\nhops = true\nhold = \"2s\"\nmax-connections = 7000\n";
        let trace = parse(text).unwrap();
        assert_eq!(trace.live.selection.ports, [8443, 443]);
        assert_eq!(trace.live.selection.programs, ["nginx"]);
        assert!(!trace.live.selection.all && trace.output.hops);
        assert_eq!(trace.output.hold.as_secs(), 2);
        assert_eq!(trace.live.max_connections, Some(7000));
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        for (text, place, what) in [
            ("port = [8443", "a.toml:1:", ""),
            ("all = true\nhop = true", "a.toml:2:1: ", "`hop` is no option"),
            ("all = 1", "a.toml:1:7: ", "`all` is true or false"),
            (
                "all = true\nhold = [\"1s\", \"2s\"]",
                "a.toml:2:8: ",
                "`hold` is one string or number",
            ),
            (
                "all = true\nport = 0x10",
                "a.toml:2:8: ",
                "`port` is one string or number",
            ),
            ("all = true\nhold = \"soon\"", "a.toml:2:8: ", "invalid value 'soon'"),
            ("port = [443, 70000]", "a.toml:1:8: ", "invalid value '70000'"),
            ("hops = true", "a.toml: ", "required"),
            ("all = true\nhelp = true", "a.toml:2:1: ", "`help` is no option"),
        ] {
            let mistake = mistake(text);
            assert!(
                mistake.starts_with(place) && mistake.contains(what),
                "{text}: {mistake}"
            );
            assert!(!mistake.contains('\n'), "{mistake}");
        }
    }
}
