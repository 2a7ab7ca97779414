//! The service: `tlscope agent`, as systemd starts, watches and reloads it.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};
use support::{Nginx, Tracer, binary, curl, kernel, nginx::Setup, run, wait};
use tempfile::TempDir;

/// What systemd does for a service of the type `notify`.
struct Service {
    folder: TempDir,
    socket: UnixDatagram,
    /// The messages so far, one word each.
    told: Vec<String>,
}

impl Service {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let socket = UnixDatagram::bind(folder.path().join("notify"))?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self {
            folder,
            socket,
            told: Vec::new(),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the configuration: to trace what listens on a port.
    fn configure(&self, port: u16) -> Result<()> {
        self.configure_with(port, "")
    }

    /// Writes the configuration, with these lines at its end.
    fn configure_with(&self, port: u16, more: &str) -> Result<()> {
        let lines = self.path("lines.json");
        let text = format!("port = [{port}]\nwrite = {lines:?}\noutput = \"json\"\n{more}");
        Ok(fs::write(self.path("agent.toml"), text)?)
    }

    fn start(&self) -> Result<Tracer> {
        let configuration = self.path("agent.toml").display().to_string();
        let mut command = binary::command(&["agent", "--config", &configuration])?;
        command
            .env("NOTIFY_SOCKET", self.path("notify"))
            .env("WATCHDOG_USEC", "200000");
        Tracer::spawn(command)
    }

    /// Waits for a message that begins so.
    fn wait_for(&mut self, message: &str) -> Result<()> {
        let mut buffer = [0; 4096];
        loop {
            let length = self
                .socket
                .recv(&mut buffer)
                .with_context(|| format!("no {message}: {:?}", self.told))?;
            let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
            self.told.extend(text.lines().map(str::to_owned));
            if text.lines().any(|line| line.starts_with(message)) {
                return Ok(());
            }
        }
    }

    /// Waits until the file of lines has an exchange with this path.
    fn wait_for_path(&self, path: &str) -> Result<()> {
        let text = format!("\"path\":\"{path}\"");
        wait::until_true(&format!("the exchange {path}"), || {
            Ok(self.lines()?.iter().any(|line| line.contains(&text)))
        })
    }

    fn lines(&self) -> Result<Vec<String>> {
        let lines = fs::read_to_string(self.path("lines.json"))?;
        Ok(lines.lines().map(str::to_owned).collect())
    }
}

fn nginx() -> Result<Nginx> {
    Nginx::start_with(Setup {
        workers: Some(1),
        ..Setup::default()
    })
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_configuration_is_loaded_again_by_the_same_process() -> Result<()> {
    let (first, second) = (nginx()?, nginx()?);
    let mut service = Service::new()?;
    service.configure(first.port())?;
    let agent = service.start()?;
    service.wait_for("READY=1")?;
    service.wait_for("WATCHDOG=1")?;
    curl::request(&[&first.url("/small/1")])?;
    service.wait_for_path("/small/1")?;
    // An unchanged configuration only opens the file anew, as after its rotation.
    fs::rename(service.path("lines.json"), service.path("old.json"))?;
    kernel::signal(agent.pid(), libc::SIGHUP)?;
    agent.wait_for_message(&["lines.json", "reopened"])?;
    curl::request(&[&first.url("/small/2")])?;
    service.wait_for_path("/small/2")?;
    assert_eq!(service.lines()?.len(), 1);
    // One with a mistake changes nothing.
    let valid = fs::read_to_string(service.path("agent.toml"))?;
    fs::write(service.path("agent.toml"), valid + "hold = \"soon\"\n")?;
    kernel::signal(agent.pid(), libc::SIGHUP)?;
    agent.wait_for_message(&["agent.toml:4:8: ", "soon"])?;
    curl::request(&[&first.url("/small/3")])?;
    service.wait_for_path("/small/3")?;
    service.configure(second.port())?;
    kernel::signal(agent.pid(), libc::SIGHUP)?;
    service.wait_for("RELOADING=1")?;
    // It has as long as a start may take, and then shows again that it goes on.
    service.wait_for("WATCHDOG_USEC=90000000")?;
    service.wait_for("READY=1")?;
    service.wait_for("WATCHDOG_USEC=200000")?;
    service.wait_for("WATCHDOG=1")?;
    for (nginx, path) in [(&first, "/small/4"), (&second, "/small/5")] {
        curl::request(&[&nginx.url(path)])?;
    }
    service.wait_for_path("/small/5")?;
    let lines = service.lines()?;
    assert!(
        lines.len() == 3 && !lines.iter().any(|line| line.contains("/small/4")),
        "{lines:?}"
    );
    let trace = agent.stop()?;
    assert_eq!(trace.code, Some(0), "{:?}", trace.stderr);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_hangup_while_it_begins_anew_is_not_lost_and_does_not_end_it() -> Result<()> {
    let (first, second) = (nginx()?, nginx()?);
    let mut service = Service::new()?;
    service.configure(first.port())?;
    let agent = service.start()?;
    service.wait_for("READY=1")?;
    for round in 0..5 {
        service.configure(second.port())?;
        kernel::signal(agent.pid(), libc::SIGHUP)?;
        service.wait_for("RELOADING=1")?;
        // Whether the new program has read the file by now or not, it is to trace the first nginx in the end.
        service.configure(first.port())?;
        kernel::signal(agent.pid(), libc::SIGHUP)?;
        service.wait_for("READY=1")?;
        let path = format!("/small/{round}");
        wait::until_true("an exchange of the first nginx", || {
            curl::request(&[&first.url(&path)])?;
            Ok(service.lines()?.iter().any(|line| line.contains(&path)))
        })?;
    }
    let trace = agent.stop()?;
    assert_eq!(trace.code, Some(0), "{:?}", trace.stderr);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_mistake_that_comes_between_check_and_load_does_not_end_the_agent() -> Result<()> {
    let (first, second) = (nginx()?, nginx()?);
    let mut service = Service::new()?;
    // Each reader waits here for its own text.
    run::succeed(Command::new("mkfifo").arg(service.path("agent.toml")))?;
    let agent = service.start()?;
    service.configure(first.port())?;
    service.wait_for("READY=1")?;
    kernel::signal(agent.pid(), libc::SIGHUP)?;
    service.configure(second.port())?;
    service.wait_for("RELOADING=1")?;
    fs::write(service.path("agent.toml"), "")?;
    agent.wait_for_message(&["as it was before this mistake", "agent.toml: "])?;
    service.wait_for("READY=1")?;
    curl::request(&[&second.url("/small/checked")])?;
    service.wait_for_path("/small/checked")?;
    let trace = agent.stop()?;
    assert_eq!(trace.code, Some(0), "{:?}", trace.stderr);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_command_of_an_agent_that_began_anew_has_no_signal_held_back() -> Result<()> {
    let nginx = nginx()?;
    let mut service = Service::new()?;
    let (policy, held_back) = (service.path("policy.toml"), service.path("held-back"));
    fs::write(&policy, "[[rule]]\nname = \"all\"\nrequired = [\"x-none\"]\n")?;
    service.configure(nginx.port())?;
    let agent = service.start()?;
    service.wait_for("READY=1")?;
    let command = format!("grep SigBlk /proc/self/status >{}", held_back.display());
    service.configure_with(
        nginx.port(),
        &format!("policy = {policy:?}\nalert-exec = {command:?}\n"),
    )?;
    kernel::signal(agent.pid(), libc::SIGHUP)?;
    service.wait_for("RELOADING=1")?;
    service.wait_for("READY=1")?;
    curl::request(&[&nginx.url("/small/alert")])?;
    let line = wait::until("the command's line", || {
        Ok(fs::read_to_string(&held_back).ok().filter(|line| line.ends_with('\n')))
    })?;
    let signals = line.split_whitespace().last().context("no mask")?;
    assert_eq!(u64::from_str_radix(signals, 16)?, 0, "{line}");
    let trace = agent.stop()?;
    assert_eq!(trace.code, Some(0), "{:?}", trace.stderr);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn an_agent_gives_up_the_right_to_administer() -> Result<()> {
    const SYS_ADMIN: u64 = 1 << 21;
    let nginx = nginx()?;
    let mut service = Service::new()?;
    service.configure(nginx.port())?;
    let agent = service.start()?;
    service.wait_for("READY=1")?;
    for thread in fs::read_dir(format!("/proc/{}/task", agent.pid()))? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        let sets = status.lines().filter(|line| line.starts_with("Cap"));
        for set in sets.filter(|line| !line.starts_with("CapAmb")) {
            let bits = set.split_whitespace().last().context("no set")?;
            assert_eq!(u64::from_str_radix(bits, 16)? & SYS_ADMIN, 0, "{set}");
        }
    }
    curl::request(&[&nginx.url("/small/without")])?;
    service.wait_for_path("/small/without")?;
    agent.stop()?;
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_configuration_is_checked_without_a_trace() -> Result<()> {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tracer/packaging/agent.toml");
    let check = |path: &Path| {
        let path = path.display().to_string();
        run::run(&mut binary::command(&["agent", "--check", "--config", &path])?)
    };
    let valid = check(&example)?;
    assert_eq!((valid.code, valid.stdout.as_str()), (Some(0), ""), "{}", valid.stderr);
    let service = Service::new()?;
    fs::write(service.path("agent.toml"), "all = true\nhop = true\n")?;
    let invalid = check(&service.path("agent.toml"))?;
    assert_eq!(invalid.code, Some(2));
    assert!(
        invalid.stderr.contains("agent.toml:2:1: `hop` is no option"),
        "{}",
        invalid.stderr
    );
    Ok(())
}
