//! Arguments: wrong ones exit with 2, help with 0, and missing privileges are reported first.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use anyhow::Result;
use support::{binary, copy, run};

use crate::refused::{assert_is_refusal, assert_refused, tlscope};

#[test]
fn wrong_usage_exits_with_2() -> Result<()> {
    let wrong: &[&[&str]] = &[
        &[],
        &["nonsense"],
        &["trace"],
        &["trace", "-p"],
        &["trace", "-p", "nginx"],
        &["trace", "-p", "-1"],
        &["trace", "-p", "0"],
        &["trace", "--name", ""],
        &["trace", "--name", "/usr/sbin/nginx"],
        &["trace", "--container", "no id"],
        &["trace", "--uid"],
        &["trace", "--uid", ""],
        &["trace", "--uid", "4294967295"],
        &["trace", "--uid", "-1"],
        &["trace", "--port"],
        &["trace", "--port", "0"],
        &["trace", "--port", "65536"],
        &["trace", "--port", "-1"],
        &["trace", "--port", "https"],
        &["record", "--port", "8443,9443", "-w", "/none/such"],
        &["trace", "-p", "4294967296"],
        &["trace", "-p", "1", "-o", "xml"],
        &["top"],
        &["top", "-p", "1", "-o", "json"],
        &["top", "-p", "1", "--hold", "long"],
        &["trace", "-p", "1", "-n", "0"],
        &["trace", "-p", "1", "-n", "many"],
        &["trace", "-p", "1", "--duration", "10"],
        &["trace", "-p", "1", "--call-bytes", "0"],
        &["trace", "-p", "1", "--call-bytes", "4194305"],
        &["trace", "-p", "1", "--ring-kib", "300"],
        &["trace", "-p", "1", "--hold", "soon"],
        &["trace", "-p", "1", "--nonsense"],
        &["replay", "one", "--otlp", "localhost:4318"],
        &["replay", "one", "--otlp", "ftp://localhost"],
        &["replay", "one", "--otlp", "http://user:word@localhost"],
        &["replay", "one", "--otlp", "http://localhost:0"],
        &["replay", "one", "--otlp-signals", "traces"],
        &["replay", "one", "--otlp=", "--otlp-header", "x"],
        &["replay", "one", "--otlp=http://a", "--otlp-header", "x"],
        &["replay", "one", "--otlp=http://a", "--otlp-signals", "spans"],
        &["replay", "one", "--otlp=http://a", "--otlp-capture-headers", "a b"],
        &["inspect"],
        &["inspect", "-p", "0"],
        &["inspect", "-p", "1", "file"],
        &["inspect", "-o", "har", "file"],
        &["doctor", "-p", "0"],
        &["doctor", "-o", "har"],
        &["record", "-p", "1"],
        &["record", "-w", "file"],
        &["replay"],
        &["replay", "one", "-q", "-v"],
        &["completions"],
        &["man", "one", "two"],
        &["replay", "one", "two"],
        &["replay", "one", "-p", "1"],
        &["schema", "one"],
        &["stat"],
        &["stat", "--tape"],
        &["stat", "--tape", "one", "-p", "1"],
        &["stat", "--tape", "one", "--wait"],
        &["stat", "--tape", "one", "--audit", "output"],
        &["replay", "one", "--audit="],
        &["stat", "-p", "1", "--identity", "/none/such"],
        &["stat", "--tape", "one", "--interval", "0s"],
        &["stat", "-p", "1", "-o", "har"],
        &["trace", "-p", "1", "--metrics"],
        &["trace", "-p", "1", "--rotate", "1MiB"],
        &["trace", "-p", "1", "-w", "/none/such", "--keep", "3"],
        &["trace", "-p", "1", "-w", "/none/such", "--compress", "gzip"],
        &["trace", "-p", "1", "-w", "/none/such", "--keep-for", "30d"],
        &["trace", "-p", "1", "-w", "/none/such", "--keep-bytes", "1GiB"],
        &["trace", "-p", "1", "--audit"],
        &["trace", "-p", "1", "--audit="],
        &["trace", "-p", "1", "--no-audit"],
        &["record", "-p", "1", "-w", "/none/such", "--audit", "output"],
        &["stat", "-p", "1", "--audit", "output"],
        &["top", "-p", "1", "--audit", "output"],
        &["record", "-p", "1", "-w", "/none/such", "--recipient", "age1none"],
        &[
            "record",
            "-p",
            "1",
            "-w",
            "/none/such",
            "--recipient",
            "ssh-ed25519 AAAA",
        ],
        &["record", "-p", "1", "-w", "/none/such", "-R", "/none/such"],
        &[
            "trace",
            "-p",
            "1",
            "-w",
            "/none/such",
            "--rotate",
            "1MiB",
            "--compress",
            "xz",
        ],
        &["trace", "-p", "1", "-w", "/none/such", "--rotate", "1MiB", "-o", "har"],
        &["replay", "one", "-w", "/none/such", "--rotate", "1MiB", "-o", "har"],
        &["replay", "one", "-w", "/none/such", "--rotate", "1MiB", "--keep", "0"],
    ];
    for args in wrong {
        let output = tlscope(args)?;
        assert_eq!(
            (output.code, output.stdout.as_str()),
            (Some(2), ""),
            "{args:?}: {}",
            output.stderr
        );
        assert!(
            !output.stderr.is_empty() && !output.stderr.contains("panicked"),
            "{args:?}: {}",
            output.stderr
        );
    }
    Ok(())
}

#[test]
fn an_unknown_user_exits_with_2_and_names_the_option() -> Result<()> {
    for command in ["trace", "record"] {
        let output = tlscope(&[command, "--uid", "root", "--uid", "no-such-user", "-w", "/none/such"])?;
        assert_eq!(
            (output.code, output.stdout.as_str()),
            (Some(2), ""),
            "{}",
            output.stderr
        );
        for word in ["--uid", "no-such-user", "passwd"] {
            assert!(output.stderr.contains(word), "{word}: {}", output.stderr);
        }
    }
    Ok(())
}

#[test]
fn a_private_key_that_is_given_as_a_recipient_is_not_repeated() -> Result<()> {
    let key = "AGE-SECRET-KEY-1HUNTER2HUNTER2";
    let output = tlscope(&["record", "-p", "1", "-w", "/none/such", "--recipient", key])?;
    assert_eq!(output.code, Some(2));
    assert!(
        output.stderr.contains("private key") && !output.stderr.contains("HUNTER2"),
        "{}",
        output.stderr
    );
    Ok(())
}

#[test]
fn help_is_printed_on_stdout() -> Result<()> {
    let commands = ["trace", "inspect", "doctor", "record", "replay", "stat", "schema"];
    let help = tlscope(&["--help"])?;
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    for command in commands {
        assert!(help.stdout.contains(command), "{command}");
        let help = tlscope(&[command, "--help"])?;
        assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""), "{command}");
    }
    Ok(())
}

#[test]
fn an_invalid_value_exits_with_2_and_names_the_option() -> Result<()> {
    let tape = crate::tape::any()?;
    let values = [
        ("--redact-pattern", "("),
        ("--redact-pattern", ""),
        ("--redact-pattern", "a{1000}{1000}{1000}"),
        ("--redact", ""),
        ("--side", "upstream"),
        ("--host", ""),
        ("--path", "["),
        ("--header", "host=("),
        ("--header", "host: ("),
        ("--header", "two words"),
        ("--header", "=x"),
        ("--status", "9xx9"),
        ("--status", "6xx"),
        ("--status", "abc"),
        ("--status", "5xx,"),
        ("--status", "500-400"),
        ("--local-port", "0"),
        ("--local-port", "65536"),
        ("--local-port", "https"),
        ("--remote", ""),
        ("--remote", "localhost"),
        ("--remote", "10.0.0.1/8"),
        ("--remote", "10.0.0.0/33"),
        ("--remote", "fd00::/129"),
        ("--request-id", ""),
        ("--errors", "yes"),
        ("--sample", "0/5"),
        ("--sample", "2/1"),
        ("--sample", "1%"),
        ("--rate-limit", "100"),
        ("--rate-limit", "0/s"),
        ("--rate-limit", "100/day"),
        ("--slower-than", "soon"),
        ("--slower-than", "200"),
        ("--hold", "200"),
        ("--count", "0"),
        ("--id-header", ""),
        ("--id-header", "two words"),
        ("--output", "xml"),
        ("--syslog", "log.test"),
        ("--syslog", "tls://log.test"),
        ("--rotate", "100"),
        ("--rotate", "0MiB"),
        ("--keep", "some"),
        ("--keep-for", "30"),
        ("--keep-for", "1ms"),
        ("--keep-bytes", "10GB"),
        ("--keep-bytes", "0GiB"),
        ("--metrics", "9464"),
        ("--metrics", "localhost"),
        ("--metrics", "127.0.0.1:65536"),
        ("--color", "sometimes"),
    ];
    for (option, value) in values {
        let output = tlscope(&["replay", &tape, &format!("{option}={value}")])?;
        assert_eq!(
            (output.code, output.stdout.as_str()),
            (Some(2), ""),
            "{option}: {}",
            output.stderr
        );
        assert!(output.stderr.contains(option), "{option}: {}", output.stderr);
    }
    Ok(())
}

#[test]
fn the_position_of_a_pattern_error_is_marked() -> Result<()> {
    let tape = crate::tape::any()?;
    for option in ["--path", "--redact-pattern", "--header=host"] {
        let output = tlscope(&["replay", &tape, &format!("{option}=ab(c")])?;
        let lines: Vec<_> = output.stderr.lines().collect();
        let marked = lines.windows(2).any(|lines| match *lines {
            [pattern, mark] => pattern.trim() == "ab(c" && mark.find('^') == pattern.find('('),
            _ => false,
        });
        assert!(marked, "{option}: {}", output.stderr);
    }
    Ok(())
}

#[test]
fn the_position_of_an_invalid_filter_is_marked() -> Result<()> {
    let tape = crate::tape::any()?;
    for (option, value, rest) in [
        ("--status", "5xx,40x", "x"),
        ("--header", "two words", " words"),
        ("--remote", "10.0.0.256/8", "256/8"),
        ("--remote", "fd00::1/64", "64"),
        ("--sample", "1/x", "x"),
        ("--rate-limit", "100/day", "day"),
        ("--rate-limit", "100", ""),
        ("--otlp", "http://host:0/", "0/"),
    ] {
        let output = tlscope(&["replay", &tape, &format!("{option}={value}")])?;
        let column = value.len() - rest.len();
        let marked = format!("\n    {value}\n    {:column$}^\nerror: ", "");
        assert_eq!(output.code, Some(2));
        assert!(output.stderr.contains(&marked), "{option}: {}", output.stderr);
    }
    Ok(())
}

#[test]
fn the_totals_have_what_was_left_out() -> Result<()> {
    let tape = crate::tape::any()?;
    let all = tlscope(&["replay", &tape, "-o", "json"])?;
    let exchanges = |stdout: &str| {
        let lines = stdout.lines();
        lines
            .filter(|line| line.starts_with("{\"v\":1,\"type\":\"exchange\""))
            .count()
    };
    let count = exchanges(&all.stdout);
    assert!(count > 2 && !all.stderr.contains("rate_limited") && !all.stderr.contains("sampled_out"));
    let limited = tlscope(&["replay", &tape, "-o", "json", "--rate-limit", "1/h"])?;
    let left_out = count - 1;
    assert_eq!((limited.code, exchanges(&limited.stdout)), (Some(0), 1));
    assert!(
        limited.stderr.ends_with(&format!(" rate_limited={left_out}\n")),
        "{}",
        limited.stderr
    );
    let mut lines = limited.stdout.lines();
    assert!(
        lines.any(|line| line.contains("\"subject\":\"rate_limit\"")),
        "{}",
        limited.stdout
    );
    let sampled = tlscope(&["replay", &tape, "-o", "json", "--sample", "1/4294967295"])?;
    let totals = format!("exchanges=0 half=0 lost_records=0 lost_bytes=0 sampled_out={count}\n");
    assert!(sampled.stderr.ends_with(&totals), "{}", sampled.stderr);
    Ok(())
}

#[test]
fn an_address_for_metrics_that_is_taken_is_refused() -> Result<()> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    assert_refused(
        &["replay", &crate::tape::any()?, "--metrics", &address],
        &["--metrics", &address, "in use"],
    )
}

#[test]
fn a_missing_key_file_is_refused() -> Result<()> {
    let tape = crate::tape::any()?;
    assert_refused(
        &["replay", &tape, "--fingerprint=/none/such"],
        &["--fingerprint", "/none/such"],
    )
}

#[test]
fn a_short_key_is_refused() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let key = directory.path().join("key");
    fs::write(&key, "hunter2")?;
    let flag = format!("--fingerprint={}", key.display());
    assert_refused(
        &["replay", &crate::tape::any()?, &flag],
        &["--fingerprint", "7 bytes", "32"],
    )
}

#[test]
fn tracing_without_privileges_reports_that_it_needs_root() -> Result<()> {
    let directory = tempfile::tempdir()?;
    for args in [&["trace", "-p", "1"][..], &["record", "-p", "1", "-w", "/none/such"]] {
        let output = run::run(&mut without_privileges(directory.path(), args)?)?;
        assert_is_refusal(&output, &["root"]);
    }
    Ok(())
}

/// Makes the command as an unprivileged user; root changes to nobody.
pub(crate) fn without_privileges(directory: &std::path::Path, args: &[&str]) -> Result<Command> {
    if run::succeed(Command::new("id").arg("-u"))?.stdout.trim() != "0" {
        return binary::command(args);
    }
    // Other users may not be allowed to read the target folder.
    let program = directory.join("tlscope");
    copy::file(binary::tlscope()?, &program)?;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        "--inh-caps=-all",
    ]);
    command.arg(program).args(args).current_dir("/");
    Ok(command)
}

#[test]
fn top_without_a_terminal_names_what_to_use_instead() -> Result<()> {
    let output = run::run(&mut binary::command(&["top", "-p", "1"])?)?;
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""));
    assert!(output.stderr.contains("tlscope stat"), "{}", output.stderr);
    Ok(())
}
