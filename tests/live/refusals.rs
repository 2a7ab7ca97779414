//! Processes that cannot be traced: one line with the reason, exit code 1, nothing on stdout, nothing attached.

use std::process::{self, Child, Command, Stdio};

use anyhow::Result;
use support::{CommandOutput, Nginx, Tracer, binary, kernel, program::Program, run};

/// A process that is killed when it is dropped.
struct Bystander(Child);

impl Bystander {
    fn start(program: &str, args: &[&str]) -> Result<Self> {
        Ok(Self(
            Command::new(program)
                .args(args)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()?,
        ))
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Asserts that `trace` refuses a process in one line that contains its PID and each of `texts`.
fn assert_refused(pid: &str, texts: &[&str]) -> Result<()> {
    let output = run::run(&mut binary::command(&["trace", "-p", pid])?)?;
    let CommandOutput { code, stdout, stderr } = &output;
    assert_eq!(
        (*code, stdout.as_str(), output.stderr_lines()),
        (Some(1), "", 1),
        "{stderr}"
    );
    for word in [&[pid], texts].concat() {
        assert!(stderr.contains(word), "{word} is not in: {stderr}");
    }
    assert!(!stderr.contains("panicked"), "{stderr}");
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_process_that_does_not_exist_is_refused() -> Result<()> {
    let gone = Bystander::start("true", &[])?;
    let pid = gone.pid();
    drop(gone);
    assert_refused(&pid, &["no process"])?;
    assert_refused("4294967295", &["no process"])
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_thread_id_is_refused_with_the_pid_of_its_process() -> Result<()> {
    let own = format!("-p {}", process::id());
    kernel::with_a_thread(|tid| assert_refused(&tid.to_string(), &["thread", &own]))
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_trace_of_a_process_without_tls_ends_with_the_process() -> Result<()> {
    let sleep = Bystander::start("sleep", &["600"])?;
    let tracer = Tracer::of(&[sleep.0.id()], &[])?;
    kernel::signal(sleep.0.id(), libc::SIGKILL)?;
    let trace = tracer.finish()?;
    let is_reported = trace
        .stderr
        .iter()
        .any(|line| line.contains(&sleep.pid()) && line.contains("as soon as it loads one"));
    assert_eq!((trace.code, is_reported), (Some(1), true));
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn tlscope_refuses_to_trace_in_a_pid_namespace_of_its_own() -> Result<()> {
    let mut inside = Command::new("unshare");
    inside.args(["--pid", "--fork", "--mount-proc"]).arg(binary::tlscope()?);
    let output = run::run(inside.args(["trace", "-p", "1"]))?;
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr_lines()),
        (Some(1), "", 1)
    );
    assert!(output.stderr.contains("PID namespace"), "{}", output.stderr);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_kernel_thread_is_refused() -> Result<()> {
    assert_refused("2", &["kernel thread"])?;
    assert_refused(&kernel::kernel_thread()?.to_string(), &["kernel thread"])
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_process_without_tls_is_reported_and_the_other_one_traced() -> Result<()> {
    let sleep = Bystander::start("sleep", &["600"])?;
    let nginx = Nginx::start()?;
    let tracer = Tracer::of(&[nginx.master(), sleep.0.id()], &[])?;
    let trace = tracer.stop()?;
    let messages = trace
        .stderr
        .iter()
        .filter(|line| line.contains(&sleep.pid()) && line.contains("no TLS library"));
    assert_eq!((trace.code, messages.count()), (Some(0), 1));
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn an_invalid_pattern_is_refused_before_anything_is_attached() -> Result<()> {
    let python = Program::python("client.py", &["1", "0"])?;
    let args = ["trace", "-p", &python.pid().to_string(), "--redact-pattern", "("];
    let output = run::run(&mut binary::command(&args)?)?;
    assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""));
    assert!(
        output.stderr.contains("--redact-pattern") && !output.stderr.contains("attached"),
        "{}",
        output.stderr
    );
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn no_tape_is_left_behind_if_nothing_can_be_attached() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let tape = directory.path().join("tape").display().to_string();
    let output = run::run(&mut binary::command(&["record", "-p", "4294967295", "-w", &tape])?)?;
    assert_eq!((output.code, output.stderr_lines()), (Some(1), 1), "{}", output.stderr);
    assert_eq!(std::fs::read_dir(directory.path())?.count(), 0);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_tape_is_never_written_over_an_existing_file() -> Result<()> {
    let python = Program::python("client.py", &["1", "0"])?;
    let file = tempfile::NamedTempFile::new()?;
    let args = [
        "record",
        "-p",
        &python.pid().to_string(),
        "-w",
        &file.path().display().to_string(),
    ];
    let output = run::run(&mut binary::command(&args)?)?;
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr_lines()),
        (Some(1), "", 1)
    );
    for word in [file.path().to_str().unwrap_or_default(), "already"] {
        assert!(output.stderr.contains(word), "{}", output.stderr);
    }
    assert_eq!(std::fs::read(file.path())?.len(), 0);
    Ok(())
}
