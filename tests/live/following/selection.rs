//! Selection of processes by name, by user, by port, and by mapped libraries, now and later.

use std::{path::PathBuf, process};

use anyhow::{Context as _, Result};
use support::{
    Exchange, Nginx, Tracer, binary, copy, curl, loopback, namespace::Network, nginx::Setup, program::Program, run,
    search,
};
use tempfile::TempDir;

use crate::claims::{assert_facts_of_server, assert_same_requests};

const REQUESTS: usize = 20;

/// A copy of nginx with a unique name.
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

fn send_requests(nginx: &Nginx) -> Result<()> {
    curl::request(&[&nginx.url(&format!("/small/[1-{REQUESTS}]"))])?;
    nginx.wait_until_logged(REQUESTS)
}

/// Stops the tracer once it has printed all requests that the gateways have logged. Asserts that it printed no others.
fn assert_gateways_are_seen(tracer: Tracer, gateways: &[&Nginx]) -> Result<()> {
    let logs: Vec<_> = gateways.iter().map(|nginx| nginx.log()).collect::<Result<_>>()?;
    tracer.wait_for_lines(logs.iter().map(Vec::len).sum())?;
    let trace = tracer.stop()?;
    assert_eq!(trace.code, Some(0));
    let exchanges = assert_same_requests(&trace, &logs.concat())?;
    for (nginx, log) in gateways.iter().zip(&logs) {
        let worker = log.first().context("nginx has served no request")?.pid;
        let own = |exchange: &&Exchange| exchange.number("/pid") == worker;
        assert_facts_of_server(&exchanges.iter().filter(own).cloned().collect::<Vec<_>>(), log, nginx)?;
    }
    Ok(())
}

/// Waits for the message about the master. There is none about workers that it has then.
fn wait_until_attached(tracer: &Tracer, nginx: &Nginx) -> Result<()> {
    tracer.wait_for_message(&["attached to", &format!("({})", nginx.master())])
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_name_selects_current_and_later_processes() -> Result<()> {
    let renamed = Renamed::make()?;
    let (now, other) = (renamed.start()?, Nginx::start()?);
    let tracer = Tracer::ready(&["trace", "--name", &renamed.name])?;
    // The library is already probed, so no request is missed.
    let later = renamed.start()?;
    send_requests(&other)?;
    send_requests(&now)?;
    send_requests(&later)?;
    assert_gateways_are_seen(tracer, &[&now, &later])
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn wait_waits_for_the_first_process_of_a_name() -> Result<()> {
    let renamed = Renamed::make()?;
    let tracer = Tracer::ready(&["trace", "--name", &renamed.name, "--wait"])?;
    let nginx = renamed.start()?;
    wait_until_attached(&tracer, &nginx)?;
    send_requests(&nginx)?;
    assert_gateways_are_seen(tracer, &[&nginx])
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_name_without_a_process_is_refused() -> Result<()> {
    let name = format!("nobody-{}", process::id());
    let output = run::run(&mut binary::command(&["trace", "--name", &name])?)?;
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr_lines()),
        (Some(1), "", 1),
        "{}",
        output.stderr
    );
    assert!(
        output.stderr.contains(&name) && output.stderr.contains("--wait"),
        "{}",
        output.stderr
    );
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_name_without_a_process_is_refused_with_a_similar_one() -> Result<()> {
    let _nginx = Nginx::start()?;
    let output = run::run(&mut binary::command(&["trace", "--name", "NGINX"])?)?;
    assert_eq!((output.code, output.stderr_lines()), (Some(1), 1), "{}", output.stderr);
    assert!(output.stderr.contains("there is nginx"), "{}", output.stderr);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn names_and_pids_add_up() -> Result<()> {
    let renamed = Renamed::make()?;
    let (named, by_id, other) = (renamed.start()?, Nginx::start()?, Nginx::start()?);
    let tracer = Tracer::ready(&["trace", "--name", &renamed.name, "-p", &by_id.master().to_string()])?;
    send_requests(&other)?;
    send_requests(&named)?;
    send_requests(&by_id)?;
    assert_gateways_are_seen(tracer, &[&named, &by_id])
}

/// Starts nginx with a master that runs as root, and workers that change to another user.
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
    // The new workers are forked by a master that is not traced.
    of_user.reload()?;
    send_requests(&of_root)?;
    send_requests(&of_user)?;
    let worker = of_user.workers()?.first().copied().map(u64::from);
    assert!(of_user.log()?.iter().all(|access| access.pid == worker));
    assert_gateways_are_seen(tracer, &[&of_user])
}

/// A user of every Debian that no program runs as.
const IDLE_USER: &str = "games";

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_user_without_a_process_is_refused_or_awaited() -> Result<()> {
    let output = run::run(&mut binary::command(&["trace", "--uid", IDLE_USER])?)?;
    assert_eq!((output.code, output.stderr_lines()), (Some(1), 1), "{}", output.stderr);
    let texts = [&format!("user {IDLE_USER}"), "--wait"];
    assert!(
        texts.iter().all(|word| output.stderr.contains(word)),
        "{}",
        output.stderr
    );
    let tracer = Tracer::ready(&["trace", "--uid", IDLE_USER, "--wait"])?;
    let nginx = start_as(IDLE_USER)?;
    send_requests(&nginx)?;
    assert_gateways_are_seen(tracer, &[&nginx])
}

/// Starts nginx on a port.
fn start_on(port: u16, exec_prefix: &[&str]) -> Result<Nginx> {
    Nginx::start_with(Setup {
        port: Some(port),
        exec_prefix,
        workers: Some(1),
        ..Setup::default()
    })
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_port_selects_its_listener_and_the_next_one_from_its_first_request() -> Result<()> {
    let port = loopback::free_port()?;
    let (mut before, other) = (start_on(port, &[])?, Nginx::start()?);
    let tracer = Tracer::ready(&["trace", "--port", &port.to_string()])?;
    send_requests(&other)?;
    send_requests(&before)?;
    let master = before.master();
    before.stop()?;
    let after = start_on(port, &[])?;
    assert_ne!(after.master(), master);
    send_requests(&after)?;
    assert_gateways_are_seen(tracer, &[&before, &after])
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_port_selects_listeners_in_other_network_namespaces() -> Result<()> {
    let (one, other) = (Network::make()?, Network::make()?);
    let port = loopback::free_port()?;
    let now = start_on(port, &one.exec_prefix())?;
    let tracer = Tracer::ready(&["trace", "--port", &port.to_string()])?;
    let later = start_on(port, &other.exec_prefix())?;
    for (network, nginx) in [(&one, &now), (&other, &later)] {
        let urls = nginx.url(&format!("/small/[1-{REQUESTS}]"));
        run::succeed(&mut network.command("curl", &["-sSkf", "--http1.1", &urls]))?;
        nginx.wait_until_logged(REQUESTS)?;
    }
    tracer.wait_for_lines(2 * REQUESTS)?;
    let trace = tracer.stop()?;
    assert_eq!(trace.code, Some(0));
    assert_same_requests(&trace, &[now.log()?, later.log()?].concat()).map(drop)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_port_that_nobody_listens_on_is_refused_or_awaited() -> Result<()> {
    let port = loopback::free_port()?;
    let words = ["--port", &port.to_string()];
    let output = run::run(&mut binary::command(&[&["trace"][..], &words].concat())?)?;
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr_lines()),
        (Some(1), "", 1),
        "{}",
        output.stderr
    );
    let texts = [&format!("port {port}"), "--wait"];
    assert!(
        texts.iter().all(|text| output.stderr.contains(*text)),
        "{}",
        output.stderr
    );
    let tracer = Tracer::ready(&[&["trace", "--wait"][..], &words].concat())?;
    let nginx = start_on(port, &[])?;
    send_requests(&nginx)?;
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
    // Other processes of the machine may be traced as well.
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
