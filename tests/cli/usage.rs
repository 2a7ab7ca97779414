//! Arguments: wrong ones exit with 2, help with 0, and missing privileges are reported first.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use anyhow::Result;
use support::{binary, copy, run};

use crate::refused::{assert_is_refusal, assert_refused, tlscope};

#[test]
fn wrong_usage_exits_with_2() -> Result<()> {
    let wrong: [&[&str]; 34] = [
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
        &["trace", "-p", "4294967296"],
        &["trace", "-p", "1", "-o", "xml"],
        &["trace", "-p", "1", "-n", "0"],
        &["trace", "-p", "1", "-n", "many"],
        &["trace", "-p", "1", "--duration", "10"],
        &["trace", "-p", "1", "--call-bytes", "0"],
        &["trace", "-p", "1", "--call-bytes", "4194305"],
        &["trace", "-p", "1", "--ring-kib", "300"],
        &["trace", "-p", "1", "--hold", "soon"],
        &["trace", "-p", "1", "--nonsense"],
        &["inspect"],
        &["inspect", "-p", "0"],
        &["inspect", "-p", "1", "file"],
        &["inspect", "-o", "har", "file"],
        &["record", "-p", "1"],
        &["record", "-w", "file"],
        &["replay"],
        &["replay", "one", "two"],
        &["replay", "one", "-p", "1"],
        &["schema", "one"],
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
fn help_and_version_are_printed_on_stdout() -> Result<()> {
    let commands = ["trace", "inspect", "record", "replay", "schema"];
    let help = tlscope(&["--help"])?;
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    for command in commands {
        assert!(help.stdout.contains(command), "{command}");
        let help = tlscope(&[command, "--help"])?;
        assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""), "{command}");
    }
    let version = tlscope(&["--version"])?;
    let expected = format!("tlscope {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((version.code, version.stdout), (Some(0), expected));
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
        ("--header", "two words"),
        ("--status", "9xx9"),
        ("--status", "6xx"),
        ("--status", "abc"),
        ("--slower-than", "soon"),
        ("--slower-than", "200"),
        ("--hold", "200"),
        ("--count", "0"),
        ("--id-header", ""),
        ("--id-header", "two words"),
        ("--output", "xml"),
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
fn without_privileges(directory: &std::path::Path, args: &[&str]) -> Result<Command> {
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
