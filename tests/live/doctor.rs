//! `tlscope doctor` beside other tracers, on processes that run.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;
use support::{
    Nginx, Tracer, binary, kernel,
    libraries::{self, Libraries},
    program::Program,
    run, schema,
};

/// Runs `doctor` on a process, and returns its exit code and its lines.
fn examine(pid: u32) -> Result<(Option<i32>, Vec<Value>)> {
    let output = run::run(&mut binary::command(&["doctor", "-o", "json", "-p", &pid.to_string()])?)?;
    assert_eq!(output.stderr, "");
    let lines: Result<Vec<_>> = output.stdout.lines().map(schema::parse).collect();
    Ok((output.code, lines?))
}

fn about<'a>(lines: &'a [Value], subject: &str) -> Result<&'a Value> {
    let mut lines = lines.iter();
    lines
        .find(|line| line["subject"] == subject)
        .context(subject.to_owned())
}

fn text<'a>(line: &'a Value, member: &str) -> &'a str {
    line[member].as_str().unwrap_or_default()
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_gateway_can_be_traced_and_nothing_is_left_attached() -> Result<()> {
    let nginx = Nginx::start()?;
    let before = kernel::listed_ids("link")?;
    let (code, lines) = examine(nginx.master())?;
    assert_eq!(code, Some(0), "{lines:#?}");
    assert_ne!(about(&lines, "programs")?["state"], "prevents");
    assert!(text(about(&lines, "library")?, "value").contains("openssl"));
    for subject in ["process", "seccomp", "shadow_stack", "sites"] {
        let line = about(&lines, subject)?;
        assert_eq!(
            (&line["state"], &line["pid"]),
            (&"fine".into(), &nginx.master().into()),
            "{line}"
        );
    }
    assert!(text(about(&lines, "sites")?, "meaning").contains("accepts"));
    support::wait::until_true("the end of all links of tlscope", || {
        Ok(kernel::listed_ids("link")?.is_subset(&before))
    })
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn probes_of_another_tracer_are_counted_and_it_is_named() -> Result<()> {
    let nginx = Nginx::start()?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    let (code, lines) = examine(nginx.master())?;
    assert_eq!(code, Some(0), "{lines:#?}");
    assert!(text(about(&lines, "tracers")?, "value").contains("tlscope ("));
    let sites = about(&lines, "sites")?;
    assert!(
        sites["state"] == "limited" && text(sites, "meaning").contains("breakpoints"),
        "{sites}"
    );
    assert_eq!(tracer.stop()?.code, Some(0));
    Ok(())
}

/// Returns the path of the copied libssl, and the file offset of a function of it that is always probed.
fn first_site(libraries: &Libraries) -> Result<(String, u64)> {
    let path = libraries.path().join("libssl.so.3").display().to_string();
    let output = run::succeed(&mut binary::command(&["inspect", "-o", "json", &path])?)?;
    let line = schema::parse(output.stdout.lines().next().context("no line")?)?;
    let functions = line["plan"]["functions"].as_array().context("no functions")?;
    let mut entries = functions.iter().filter(|function| function["role"] == "end");
    // `probed at 0x34850: push`
    let site = entries.find_map(|function| {
        let (_, site) = function["site"].as_str()?.split_once("0x")?;
        u64::from_str_radix(site.split(':').next()?, 16).ok()
    });
    Ok((path, site.context("no site")?))
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_tool_that_holds_a_place_with_a_ref_ctr_offset_prevents_tracing() -> Result<()> {
    let libraries = Libraries::copy()?;
    let python = Program::python_with(libraries.path(), "client.py", &["1", "0"])?;
    assert!(!libraries::maps_deleted_libssl(python.pid())?);
    let (path, offset) = first_site(&libraries)?;
    let holder = Program::c("ref_ctr.c", &[&path, &offset.to_string()])?;
    let (code, lines) = examine(python.pid())?;
    let sites = about(&lines, "sites")?;
    assert_eq!((code, &sites["state"]), (Some(1), &"prevents".into()), "{sites}");
    for word in ["ref_ctr_offset", &format!("{offset:#x}")] {
        assert!(text(sites, "meaning").contains(word), "{sites}");
    }
    // Tracing fails for the same reason.
    let args = ["trace", "-p", &python.pid().to_string(), "--duration", "1s"];
    let refused = run::run(&mut binary::command(&args)?)?;
    assert!(refused.stderr.contains("ref_ctr_offset"), "{}", refused.stderr);
    assert!(text(about(&lines, "tracers")?, "value").contains("perf events"));
    holder.finish()?;
    let (code, lines) = examine(python.pid())?;
    assert_eq!((code, &about(&lines, "sites")?["state"]), (Some(0), &"fine".into()));
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_pid_namespace_of_its_own_prevents_tracing() -> Result<()> {
    let mut inside = Command::new("unshare");
    inside.args(["--pid", "--fork", "--mount-proc"]).arg(binary::tlscope()?);
    let output = run::run(inside.args(["doctor", "-o", "json"]))?;
    let lines: Result<Vec<_>> = output.stdout.lines().map(schema::parse).collect();
    let lines = lines?;
    assert_eq!(
        (output.code, &about(&lines, "pid_namespace")?["state"]),
        (Some(1), &"prevents".into())
    );
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_kernel_without_btf_limits_tracing() -> Result<()> {
    let output = run::run(&mut binary::command_without_btf(&["doctor", "-o", "json"])?)?;
    let lines: Result<Vec<_>> = output.stdout.lines().map(schema::parse).collect();
    let lines = lines?;
    let btf = about(&lines, "btf")?;
    assert_eq!((output.code, &btf["state"]), (Some(0), &"limited".into()), "{lines:#?}");
    assert!(text(btf, "meaning").contains("/proc"));
    Ok(())
}
