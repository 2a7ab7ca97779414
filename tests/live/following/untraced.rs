//! Messages about libraries and processes that are not traced, once for all processes.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use support::{Nginx, Trace, Tracer, binary, kernel, nginx::Setup, program::Program, run};

const CHILDREN: &str = "3";

/// Returns the lines on stderr with the reason why a library is not traced, without those that count further processes.
fn messages_about_java(trace: &Trace) -> Vec<&str> {
    let lines = trace.stderr.iter().map(String::as_str);
    lines
        .filter(|line| line.contains("libjvm") && line.contains("is not traced") && !line.contains("processes more"))
        .collect()
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn an_untraced_library_is_reported_once_beside_a_traced_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let library = Program::untraced_library(folder.path())?;
    let python = Program::python("beside.py", &["now", CHILDREN, &library.to_string_lossy()])?;
    let tracer = Tracer::of(&[python.pid()], &[])?;
    let trace = tracer.stop()?;
    let printed = messages_about_java(&trace);
    let [line] = printed.as_slice() else {
        panic!("not one line: {:?}", trace.stderr);
    };
    let mut pids = kernel::children(python.pid())?;
    pids.push(python.pid());
    assert_eq!(pids.len(), 4);
    for pid in pids {
        assert!(line.contains(&pid.to_string()), "{pid} is not in: {line}");
    }
    // `inspect` prints the same reason.
    let (_, reason) = line.split_once("is not traced: ").context("the line has no reason")?;
    let args = ["inspect", "-p", &python.pid().to_string(), "-o", "text"];
    let inspected = run::succeed(&mut binary::command(&args)?)?.stdout;
    assert!(
        inspected.contains("libjvm") && inspected.contains(reason),
        "{inspected}"
    );
    python.finish().map(drop)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn an_untraced_library_loaded_later_is_reported_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let library = Program::untraced_library(folder.path())?;
    let mut python = Program::python("beside.py", &["later", CHILDREN, &library.to_string_lossy()])?;
    let tracer = Tracer::of(&[python.pid()], &[])?;
    python.begin()?;
    let pid = format!("({})", python.pid());
    tracer.wait_for_message(&[&pid, "libjvm", "is not traced"])?;
    python.wait_for("loaded")?;
    // Messages about its children follow, so that any repetition has been printed.
    let child = kernel::children(python.pid())?
        .first()
        .context("the program has no children")?
        .to_string();
    tracer.wait_for_message(&["attached to", &child])?;
    let trace = tracer.stop()?;
    assert_eq!(messages_about_java(&trace).len(), 1, "{:?}", trace.stderr);
    python.finish().map(drop)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn short_lived_children_cause_no_messages() -> Result<()> {
    let script =
        "echo up; read go; i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i+1)); done; echo did; read end; exit 0";
    let mut shell = Program::run(Command::new("sh").args(["-c", script]).stderr(Stdio::inherit()))?;
    let tracer = Tracer::of(&[shell.pid()], &[])?;
    shell.begin()?;
    shell.wait_for("did")?;
    let trace = tracer.stop()?;
    shell.finish()?;
    let printed: Vec<_> = trace.stderr.iter().filter(|line| line.contains("not traced")).collect();
    assert!(printed.is_empty(), "{printed:?}");
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_workers_of_a_reload_are_reported() -> Result<()> {
    let nginx = Nginx::start_with(Setup {
        background: true,
        workers: Some(1),
        ..Setup::default()
    })?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    nginx.reload()?;
    let worker = *kernel::children(nginx.master())?
        .last()
        .context("nginx has no worker")?;
    tracer.wait_for_message(&["attached to nginx", &worker.to_string(), "OpenSSL"])?;
    assert_eq!(tracer.stop()?.code, Some(0));
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_process_with_only_an_untraced_library_is_refused_with_its_name() -> Result<()> {
    // It maps no other library.
    let folder = tempfile::tempdir()?;
    let library = Program::untraced_library(folder.path())?;
    let script = "import ctypes, sys; ctypes.CDLL(sys.argv[1]); print('up', flush=True); sys.stdin.read()";
    let python = Program::run(Command::new("python3").args(["-c", script]).arg(library))?;
    let pid = python.pid().to_string();
    for args in [&["trace", "--no-plaintext", "-p", &pid][..], &["inspect", "-p", &pid]] {
        let output = run::run(&mut binary::command(args)?)?;
        assert_eq!(
            (output.code, output.stdout.as_str(), output.stderr_lines()),
            (Some(1), "", 1),
            "{}",
            output.stderr
        );
        assert!(
            output.stderr.contains("libjvm") && output.stderr.contains("Java's own TLS (JSSE) is not"),
            "{}",
            output.stderr
        );
    }
    python.finish().map(drop)
}
