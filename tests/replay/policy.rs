//! `--policy`: alerts about the exchanges of tapes, in every format, without secrets; mistakes with their place; commands.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::Value;
use support::{CommandOutput, binary, run, schema, secrets::find_secret};

use tracer_ebpf::AddressSource;

use crate::{
    tape_builder::TapeBuilder,
    tapes::{all, named, nginx, replay},
};

fn file(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/policy");
    folder.join(name).display().to_string()
}

/// Runs `replay` on a tape with a policy of these rules.
fn with_rules(tape: &Path, rules: &str, args: &[&str]) -> Result<CommandOutput> {
    let policy = tempfile::NamedTempFile::new()?;
    fs::write(policy.path(), rules)?;
    let (tape, policy) = (tape.display().to_string(), policy.path().display().to_string());
    run::run(&mut binary::command(
        &[&["replay", &tape, "-o", "json", "--policy", &policy], args].concat(),
    )?)
}

fn alerts(stdout: &str) -> Result<Vec<Value>> {
    let lines = stdout
        .lines()
        .filter(|line| line.starts_with(r#"{"v":1,"type":"alert""#));
    lines.map(schema::parse).collect()
}

#[test]
fn an_alert_follows_its_exchange_and_says_what_the_rule_found() -> Result<()> {
    let rules =
        "[[rule]]\nname = \"keys\"\nmessage = \"a key\"\nseverity = \"critical\"\nforbidden = [\"x-api-key\"]\n";
    let output = with_rules(&nginx()?, rules, &[])?;
    let alerts = alerts(&output.stdout)?;
    let alert = alerts.first().context("no alert")?;
    let expected = [
        ("rule", "keys"),
        ("message", "a key"),
        ("severity", "critical"),
        ("process", "nginx"),
    ];
    for (member, text) in expected {
        assert_eq!(alert[member], text, "{alert}");
    }
    assert_eq!(alert["evidence"]["field"], "x-api-key");
    assert_eq!(alert["evidence"]["value"], "[redacted]");
    let lines: Vec<_> = output.stdout.lines().collect();
    let at = lines.iter().position(|line| line.contains("\"type\":\"alert\""));
    let before = at
        .and_then(|at| lines.get(at.checked_sub(1)?))
        .context("nothing is before")?;
    assert_eq!(schema::parse(before)?["id"], alert["id"]);
    let totals = format!(" alerts={}\n", alerts.len());
    assert!(
        output.code == Some(0) && output.stderr.ends_with(&totals),
        "{}",
        output.stderr
    );
    Ok(())
}

#[test]
fn filters_and_sampling_do_not_hide_an_exchange_from_the_policy() -> Result<()> {
    let rules = "[[rule]]\nname = \"all\"\nrequired = [\"x-none\"]\n";
    let all = alerts(&with_rules(&nginx()?, rules, &[])?.stdout)?.len();
    for args in [
        &["--method", "NONE"][..],
        &["--sample", "1/4294967295"],
        &["--rate-limit", "1/h"],
    ] {
        let output = with_rules(&nginx()?, rules, args)?;
        assert!(all > 5 && alerts(&output.stdout)?.len() == all, "{args:?}");
    }
    Ok(())
}

#[test]
fn no_alert_shows_a_planted_secret_in_any_format() -> Result<()> {
    let policy = file("forty.toml");
    for tape in all()? {
        for form in ["json", "text", "line", "combined", "har"] {
            for rule in [&[][..], &["--fingerprint"]] {
                let args = [&["-o", form, "--policy", &policy], rule].concat();
                let (stdout, stderr) = replay(&tape, &args)?;
                let secret = find_secret(&stdout).or(find_secret(&stderr));
                assert_eq!(secret, None, "{} {form}", tape.display());
                assert!(stderr.contains(" alerts="), "{stderr}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_rule_about_values_of_credentials_tells_them_apart_and_shows_none() -> Result<()> {
    let rules = "[[rule]]\nname = \"token\"\ndistinct = { per = \"client\", of = \"credential:x-auth-token\", more_than = 0, within = \"1h\" }\n";
    let output = with_rules(&named("python")?, rules, &[])?;
    let alerts = alerts(&output.stdout)?;
    assert_eq!((alerts.len(), find_secret(&output.stdout)), (1, None));
    let per =
        "[[rule]]\nname = \"token\"\nrate = { per = \"credential:x-auth-token\", more_than = 4, within = \"1h\" }\n";
    let output = with_rules(&named("python")?, per, &[])?;
    // Five requests have one token.
    let alert = self::alerts(&output.stdout)?.pop().context("no alert")?;
    let key = alert["evidence"]["key"].as_str().unwrap_or_default();
    assert!(
        key.len() == 16 && key.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{alert}"
    );
    assert_eq!(
        (&alert["evidence"]["count"], find_secret(&output.stdout)),
        (&5.into(), None)
    );
    Ok(())
}

#[test]
fn a_request_for_another_host_than_that_of_the_handshake_is_told() -> Result<()> {
    let rules = "[[rule]]\nname = \"fronting\"\nhost_differs_from_sni = true\n";
    // The host of the requests is `a.test`.
    for (server_name, told) in [("shop.example", 1), ("A.test", 0), ("a.test.", 0), ("", 0)] {
        let mut tape = TapeBuilder::new();
        tape.facts(1, AddressSource::BIO, 0)?
            .tls(1, server_name.as_bytes())?
            .exchange(1)?
            .end(1);
        let folder = tape.write()?;
        let output = with_rules(&folder.path().join("made.tape"), rules, &[])?;
        let alerts = alerts(&output.stdout)?;
        assert_eq!(alerts.len(), told, "{server_name}");
        for alert in alerts {
            assert_eq!(
                (&alert["authority"], &alert["evidence"]["server_name"]),
                (&"a.test".into(), &server_name.into())
            );
        }
    }
    Ok(())
}

#[test]
fn the_starting_set_is_quiet_on_every_tape() -> Result<()> {
    for tape in all()? {
        let (stdout, stderr) = replay(&tape, &["-o", "json", "--policy", &file("starter.toml")])?;
        assert_eq!(alerts(&stdout)?, Vec::<Value>::new(), "{}", tape.display());
        assert!(stderr.ends_with(" alerts=0\n"), "{stderr}");
    }
    Ok(())
}

#[test]
fn a_mistake_exits_with_2_and_its_place_is_marked() -> Result<()> {
    let rules = "[[rule]]\nname = \"a\"\nmatches = \"(\"\n";
    let output = with_rules(&nginx()?, rules, &[])?;
    assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""));
    for text in [
        "--policy",
        "line 3, column 11:\n    matches = \"(\"\n              ^\n",
        "unclosed group",
    ] {
        assert!(output.stderr.contains(text), "{text}: {}", output.stderr);
    }
    let tape = nginx()?.display().to_string();
    for args in [&["--policy", "/none/such"][..], &["--alert-exec", "true"]] {
        let output = run::run(&mut binary::command(&[&["replay", &tape], args].concat())?)?;
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{args:?}");
        assert!(output.stderr.contains("--policy"), "{}", output.stderr);
    }
    Ok(())
}

#[test]
fn a_command_gets_each_alert_as_json() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let got = directory.path().join("got");
    let rules = "[[rule]]\nname = \"keys\"\nforbidden = [\"x-api-key\"]\n";
    let command = format!("cat >>'{}'", got.display());
    let output = with_rules(&nginx()?, rules, &["--alert-exec", &command])?;
    let printed: Vec<_> = output
        .stdout
        .lines()
        .filter(|line| line.contains("\"type\":\"alert\""))
        .collect();
    let told = fs::read_to_string(&got)?;
    assert!(
        !printed.is_empty() && told.lines().eq(printed.iter().copied()),
        "{told}"
    );
    assert_eq!(find_secret(&told), None);
    Ok(())
}

#[test]
fn a_command_that_fails_is_told_once_and_does_not_end_the_run() -> Result<()> {
    let rules = "[[rule]]\nname = \"all\"\nrequired = [\"x-none\"]\n";
    let output = with_rules(&nginx()?, rules, &["--alert-exec", "exit 3"])?;
    let told = output.stderr.lines().filter(|line| line.contains("--alert-exec"));
    assert_eq!((output.code, told.count()), (Some(0), 1), "{}", output.stderr);
    Ok(())
}

#[test]
fn alerts_beyond_what_commands_keep_up_with_are_counted() -> Result<()> {
    let rule = |number| format!("[[rule]]\nname = \"{number}\"\nrequired = [\"x-none\"]\n");
    let rules: Vec<_> = (0..20).map(rule).collect();
    let output = with_rules(&nginx()?, &rules.concat(), &["--alert-exec", "true"])?;
    let printed = alerts(&output.stdout)?.len();
    let health = output
        .stdout
        .lines()
        .filter(|line| line.contains("\"name\":\"alert_exec\""));
    let dropped: Result<Vec<_>> = health
        .map(|line| Ok(schema::parse(line)?["dropped"].as_u64()))
        .collect();
    let dropped: u64 = dropped?.into_iter().flatten().sum();
    // 64 wait, and few have run by then.
    assert!(
        printed > 200 && dropped > 100 && output.code == Some(0),
        "{dropped} of {printed}"
    );
    for text in [format!("lines not exported: {dropped}"), "still to be run".to_owned()] {
        assert!(output.stderr.contains(&text), "{text}: {}", output.stderr);
    }
    Ok(())
}
