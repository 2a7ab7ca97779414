//! What of a command line is in its audit line.

use clap::CommandFactory as _;
use tracer_observe::{audit::Secrets, redact::Rules};

use super::*;
use crate::audit::{Facts, is_sorted, line_of};

fn command(name: &str) -> clap::Command {
    let mut line = CommandLine::command();
    line.build();
    line.find_subcommand(name).unwrap().clone()
}

/// Returns the audit line of a command line, as JSON.
fn line(words: &[&str]) -> String {
    let mut line = CommandLine::command();
    let matches = line.try_get_matches_from_mut([&["tlscope"], words].concat()).unwrap();
    let (name, matches) = matches.subcommand().unwrap();
    line_of(&Facts {
        command: "trace",
        options: Options::of(line.find_subcommand(name).unwrap(), matches),
        secrets: Secrets::Shown,
        rules: Rules::default(),
    })
}

#[test]
fn every_option_of_a_command_that_is_audited_is_sorted() {
    for name in ["trace", "record", "replay", "stat", "top"] {
        for option in command(name).get_arguments() {
            let option = option.get_long().unwrap_or(option.get_id().as_str());
            let is_other = ["help", "version"].contains(&option);
            assert!(is_other || is_sorted(option), "{option} of {name}");
        }
    }
}

#[test]
fn the_tape_of_a_replay_is_its_selection() {
    let json = line(&["replay", "a.tape?token=hunter2", "--identity", "key", "--show-secrets"]);
    for part in [
        r#""selection":[["tape","a.tape?token=[redacted]"]]"#,
        r#""settings":[["identity","key"],["show-secrets",null]]"#,
    ] {
        assert!(json.contains(part), "{part}: {json}");
    }
}

#[test]
fn no_planted_secret_is_in_a_line() {
    let json = line(&[
        "trace",
        "--name=nginx",
        "--header=authorization: Bearer hunter2",
        "--header",
        "x-api-key=hunter2",
        "--header=cookie: sid=hunter2",
        "--path=^/x\\?access_token=hunter2",
        "--host=hunter2@a.test",
        "--otlp=https://collector.test:4318/hunter2",
        "--otlp-header=authorization=Bearer hunter2",
        "--otlp-header=x-key=hunter2",
        "--redact-pattern=hunter2",
        "--show-secrets",
        "-w/var/log/x?token=hunter2",
        "-n3",
    ]);
    assert!(!json.contains("hunter"), "{json}");
    for part in [
        r#""secrets":"shown","selection":[["name","nginx"]]"#,
        r#"["header","authorization: [redacted]"]"#,
        r#"["header","x-api-key=[redacted]"]"#,
        r#"["header","cookie: [redacted]"]"#,
        r#"["count","3"]"#,
        r#"["otlp","https://collector.test:4318"]"#,
        r#"["otlp-header","authorization=[redacted]"]"#,
        r#"["redact-pattern","[redacted]"]"#,
        r#"["show-secrets",null]"#,
    ] {
        assert!(json.contains(part), "{part}: {json}");
    }
}

#[test]
fn only_options_that_were_given_are_in_a_line() {
    let json = line(&["record", "-p", "7", "-p", "8", "-w", "tape", "--wait"]);
    for part in [
        r#""selection":[["pid","7"],["pid","8"],["wait",null]]"#,
        r#""outputs":[["write","tape"]]"#,
    ] {
        assert!(json.contains(part), "{part}: {json}");
    }
    for absent in ["filters", "settings", "call-bytes", "left_out", "claims_of"] {
        assert!(!json.contains(absent), "{absent}: {json}");
    }
}
