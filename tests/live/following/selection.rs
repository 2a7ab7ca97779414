//! Which processes are traced: by name, by user, by what they map, now or later.

use std::{path::PathBuf, process};

use anyhow::{Context as _, Result};
use support::{Exchange, Nginx, Tracer, binary, copy, curl, nginx::Setup, program::Program, run, search};
use tempfile::TempDir;

use crate::claims::{assert_facts_of_server, assert_same_requests};

const REQUESTS: usize = 20;

/// A copy of nginx under a name that no other process on the machine has.
struct Renamed {
    directory: TempDir,
    name: String,
}

impl Renamed {
    fn make() -> Result<Self> {
        let renamed = Self {
            directory: tempfile::tempdir()?,
            name: format!("gateway-{}", process::id()),
        };
        copy::file(&search::program("nginx")?, &renamed.path())?;
        Ok(renamed)
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(&self.name)
    }

    fn start(&self) -> Result<Nginx> {
        Nginx::start_with(Setup {
            program: Some(&self.path()),
            workers: Some(1),
            ..Setup::default()
        })
    }
}

fn ask(nginx: &Nginx) -> Result<()> {
    curl::ask(&[&nginx.url(&format!("/small/[1-{REQUESTS}]"))])?;
    nginx.wait_until_logged(REQUESTS)
}

/// Stops the tracer once it has printed what the gateways have logged, which is all that it has printed.
fn assert_gateways_are_seen(tracer: Tracer, gateways: &[&Nginx]) -> Result<()> {
    let logs: Vec<_> = gateways.iter().map(|nginx| nginx.log()).collect::<Result<_>>()?;
    tracer.wait_for_lines(logs.iter().map(Vec::len).sum())?;
    let trace = tracer.stop()?;
    assert_eq!(trace.code, Some(0));
    let exchanges = assert_same_requests(&trace, &logs.concat())?;
    for (nginx, log) in gateways.iter().zip(&logs) {
        let worker = log.first().context("it has served")?.pid;
        let own = |exchange: &&Exchange| exchange.number("/pid") == worker;
        assert_facts_of_server(&exchanges.iter().filter(own).cloned().collect::<Vec<_>>(), log, nginx)?;
    }
    Ok(())
}

/// Its workers are its master's children, of which nothing more is said.
fn wait_until_attached(tracer: &Tracer, nginx: &Nginx) -> Result<()> {
    tracer.wait_for_message(&["attached to", &format!("({})", nginx.master())])
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_name_selects_current_and_later_processes() -> Result<()> {
    let renamed = Renamed::make()?;
    let (now, other) = (renamed.start()?, Nginx::start()?);
    let tracer = Tracer::ready(&["trace", "--name", &renamed.name])?;
    // The library is probed already: nothing of it is missed.
    let later = renamed.start()?;
    ask(&other)?;
    ask(&now)?;
    ask(&later)?;
    assert_gateways_are_seen(tracer, &[&now, &later])
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn wait_waits_for_the_first_process_of_a_name() -> Result<()> {
    let renamed = Renamed::make()?;
    let tracer = Tracer::ready(&["trace", "--name", &renamed.name, "--wait"])?;
    let nginx = renamed.start()?;
    wait_until_attached(&tracer, &nginx)?;
    ask(&nginx)?;
    assert_gateways_are_seen(tracer, &[&nginx])
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_name_without_a_process_is_refused() -> Result<()> {
    let name = format!("nobody-{}", process::id());
    let ran = run::run(&mut binary::command(&["trace", "--name", &name])?)?;
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.complaints()),
        (Some(1), "", 1),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains(&name) && ran.stderr.contains("--wait"),
        "{}",
        ran.stderr
    );
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_name_without_a_process_is_refused_with_a_similar_one() -> Result<()> {
    let _nginx = Nginx::start()?;
    let ran = run::run(&mut binary::command(&["trace", "--name", "NGINX"])?)?;
    assert_eq!((ran.code, ran.complaints()), (Some(1), 1), "{}", ran.stderr);
    assert!(ran.stderr.contains("there is nginx"), "{}", ran.stderr);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn names_and_pids_add_up() -> Result<()> {
    let renamed = Renamed::make()?;
    let (named, by_id, other) = (renamed.start()?, Nginx::start()?, Nginx::start()?);
    let tracer = Tracer::ready(&["trace", "--name", &renamed.name, "-p", &by_id.master().to_string()])?;
    ask(&other)?;
    ask(&named)?;
    ask(&by_id)?;
    assert_gateways_are_seen(tracer, &[&named, &by_id])
}

/// An nginx whose master is root's, and whose workers become another user's.
fn start_as(user: &str) -> Result<Nginx> {
    Nginx::start_with(Setup {
        workers: Some(1),
        user: Some(user),
        ..Setup::default()
    })
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_user_selects_processes_that_change_to_it_from_their_first_request() -> Result<()> {
    let (of_user, of_root) = (start_as("nobody")?, start_as("root")?);
    let tracer = Tracer::ready(&["trace", "--uid", "nobody"])?;
    // Forked by a master that is not traced.
    of_user.reload()?;
    ask(&of_root)?;
    ask(&of_user)?;
    let worker = of_user.workers()?.first().copied().map(u64::from);
    assert!(of_user.log()?.iter().all(|access| access.pid == worker));
    assert_gateways_are_seen(tracer, &[&of_user])
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_user_without_a_process_is_refused_or_awaited() -> Result<()> {
    let ran = run::run(&mut binary::command(&["trace", "--uid", "nobody"])?)?;
    assert_eq!((ran.code, ran.complaints()), (Some(1), 1), "{}", ran.stderr);
    let said = ["user nobody", "--wait"];
    assert!(said.iter().all(|word| ran.stderr.contains(word)), "{}", ran.stderr);
    let tracer = Tracer::ready(&["trace", "--uid", "nobody", "--wait"])?;
    let nginx = start_as("nobody")?;
    ask(&nginx)?;
    assert_gateways_are_seen(tracer, &[&nginx])
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn all_selects_every_process_that_maps_a_tls_library() -> Result<()> {
    let nginx = Nginx::start()?;
    let mut python = Program::python("client.py", &[&nginx.port().to_string(), &REQUESTS.to_string()])?;
    let tracer = Tracer::ready(&["trace", "--all"])?;
    python.begin()?;
    let log = nginx.wait_for_log(REQUESTS)?;
    // Other processes of the machine may be seen as well.
    let pids = [log.first().and_then(|access| access.pid), Some(u64::from(python.pid()))];
    let seen = |tracer: &Tracer| pids.map(|pid| tracer.count_lines(&format!("\"pid\":{},", pid.unwrap_or(0))));
    support::wait::until_true("both sides of each request", || Ok(seen(&tracer) == [REQUESTS; 2]))?;
    let trace = tracer.stop()?;
    assert_eq!(trace.code, Some(0));
    let ids: Vec<_> = trace.exchanges()?;
    for (pid, side) in pids.into_iter().zip(["server", "client"]) {
        let own: Vec<_> = ids.iter().filter(|exchange| exchange.number("/pid") == pid).collect();
        let mut printed: Vec<_> = own.iter().filter_map(|exchange| exchange.request_id()).collect();
        let mut logged: Vec<_> = log.iter().map(|access| access.id.as_str()).collect();
        printed.sort_unstable();
        logged.sort_unstable();
        assert_eq!(printed, logged);
        assert!(own.iter().all(|exchange| exchange.text("/side") == Some(side)));
    }
    python.finish().map(drop)
}
