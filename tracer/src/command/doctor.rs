//! `tlscope doctor`: says whether tracing can work here, what would limit it, and what to do about that.

use std::{
    io::{self, IsTerminal as _, Write as _, stdout},
    iter,
};

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use tracer_capture::doctor::{Finding, Roots, State, examine_machine, examine_process};
use tracer_observe::output::{Shown, write_json};

use crate::{messages::Progress, outcome::Outcome};

#[derive(Args, Debug)]
pub(super) struct DoctorArgs {
    /// Also examine this process, and try its probes without placing them
    #[arg(short = 'p', long = "pid", value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pid: Option<u32>,
    /// Output format; text on a terminal, else json
    #[arg(short = 'o', long = "output", value_name = "FORMAT", value_parser = ["json", "text"])]
    format: Option<String>,
}

/// Prints what was found. Fails if something prevents tracing.
pub(super) fn run(arguments: &DoctorArgs) -> Result<Outcome> {
    let progress = Progress::start(|elapsed| format!("examining this machine: {} s", elapsed.as_secs()));
    let machine = examine_machine(&Roots::default());
    let process = arguments.pid.map(|pid| (pid, examine_process(pid)));
    drop(progress);
    let of_machine = machine.iter().map(|finding| (None, finding));
    let of_process = process.iter().flat_map(|(pid, findings)| {
        let pids = iter::repeat(Some(*pid));
        pids.zip(findings)
    });
    let lines: Vec<_> = of_machine
        .chain(of_process)
        .map(|(pid, finding)| CheckLine::new(pid, finding))
        .collect();
    let json = arguments
        .format
        .as_deref()
        .map_or_else(|| !stdout().is_terminal(), |format| format == "json");
    match print(&lines, json) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    if lines.iter().any(|line| line.state == State::Prevents.name()) {
        Ok(Outcome::Failed)
    } else {
        Ok(Outcome::Done)
    }
}

/// The object that is printed for a finding.
#[derive(Debug, Serialize)]
struct CheckLine<'a> {
    v: u8,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    subject: &'static str,
    state: &'static str,
    value: &'a str,
    meaning: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a str>,
}

impl<'a> CheckLine<'a> {
    fn new(pid: Option<u32>, finding: &'a Finding) -> Self {
        let Finding {
            subject,
            state,
            value,
            meaning,
            action,
        } = finding;
        Self {
            v: 1,
            r#type: "check",
            pid,
            subject: subject.name(),
            state: state.name(),
            value,
            meaning,
            action: action.as_deref(),
        }
    }

    fn text(&self) -> String {
        let Self {
            subject,
            state,
            value,
            meaning,
            action,
            v: _,
            r#type: _,
            pid: _,
        } = self;
        // Some of these texts come from files and names of processes.
        let indent = STATE + SUBJECT + 2;
        let action = action.map(|action| format!("{:indent$}do: {}\n", "", Shown(action)));
        format!(
            "{state:<STATE$} {subject:<SUBJECT$} {}\n{:indent$}{}\n{}",
            Shown(value),
            "",
            Shown(meaning),
            action.unwrap_or_default(),
        )
    }
}

/// Width of the column of states, and of that of subjects.
const STATE: usize = 8;
const SUBJECT: usize = 13;

fn print(lines: &[CheckLine<'_>], json: bool) -> io::Result<()> {
    let mut out = stdout().lock();
    for line in lines {
        if json {
            write_json(&mut out, line)?;
            writeln!(out)?;
        } else {
            write!(out, "{}", line.text())?;
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use tracer_capture::doctor::Subject;

    use super::*;

    #[test]
    fn every_name_fits_its_column() {
        assert!(State::ALL.iter().all(|state| state.name().len() <= STATE));
        assert!(Subject::ALL.iter().all(|subject| subject.name().len() <= SUBJECT));
    }

    #[test]
    fn a_line_of_text_has_what_is_found_what_it_means_and_what_to_do() {
        let finding = Finding {
            subject: Subject::Btf,
            state: State::Limited,
            value: "not\u{1b}available".to_owned(),
            meaning: "addresses come from /proc".to_owned(),
            action: Some("boot another kernel".to_owned()),
        };
        let text = CheckLine::new(None, &finding).text();
        let indent = " ".repeat(STATE + SUBJECT + 2);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("limited  btf ") && !lines[0].contains('\u{1b}'));
        assert_eq!(lines[1], format!("{indent}addresses come from /proc"));
        assert_eq!(lines[2], format!("{indent}do: boot another kernel"));
    }
}
