//! A container runtime: the image of the recipe traces, with the rights that the Kubernetes manifest grants, what runs in a container
//! that its runtime finds by a label.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use support::{Tracer, certificate::Certificate, curl, debian_with_systemd, loopback::free_port, run};
use tempfile::TempDir;

use crate::package;

/// The image that the recipe begins with, which is made of the Debian that `scripts/setup` makes: there is no registry.
const BASE: &str = "docker.io/library/debian:12-slim";

/// Limits that every root may set. Podman would raise its own.
const LIMITS: [&str; 4] = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];

/// A podman whose images and containers are in a folder. Dropping it removes them.
struct Podman(TempDir);

impl Podman {
    fn command(&self, args: &[&str]) -> Command {
        let mut podman = Command::new("podman");
        podman.args([
            "--runtime",
            "runc",
            "--cgroup-manager",
            "cgroupfs",
            "--events-backend",
            "none",
            "--root",
        ]);
        podman
            .arg(self.0.path().join("root"))
            .arg("--runroot")
            .arg(self.0.path().join("run"));
        podman.args(args);
        podman
    }

    fn run(&self, args: &[&str]) -> Result<String> {
        Ok(run::succeed(&mut self.command(args))?.stdout.trim().to_owned())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        // Failing to clean up does not fail the test.
        for args in [
            &["rm", "--all", "--force", "--time", "0"][..],
            &["rmi", "--all", "--force"],
        ] {
            drop(self.run(args));
        }
    }
}

/// Returns whether containers can be run on this machine at all.
pub(crate) fn runs_containers() -> Result<bool> {
    let podman = Podman(tempfile::tempdir()?);
    let root = format!("{}:O", path(&debian_with_systemd()?)?);
    let args = [
        &["run", "--rm", "--network", "host"],
        &LIMITS[..],
        &["--rootfs", &root, "true"],
    ]
    .concat();
    Ok(run::run(&mut podman.command(&args))?.code == Some(0))
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path is not UTF-8")
}

fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tracer/packaging")
        .join(name)
}

/// Returns the capabilities that the manifest adds.
fn granted() -> Result<Vec<String>> {
    let manifest = fs::read_to_string(packaging("daemonset.yaml"))?;
    let line = manifest.lines().find_map(|line| line.trim().strip_prefix("add: ["));
    let names = line.context("the manifest adds no capabilities")?.trim_end_matches(']');
    Ok(names.split(", ").map(|name| format!("--cap-add={name}")).collect())
}

/// Starts nginx in a container with a label.
fn gateway(podman: &Podman, folder: &Path, port: u16) -> Result<()> {
    Certificate::make(folder)?;
    let configuration = format!(
        "events {{}}\nhttp {{ access_log off; server {{ listen 127.0.0.1:{port} ssl; ssl_certificate /gateway/cert.pem; \
         ssl_certificate_key /gateway/key.pem; location / {{ return 200 \"ok\"; }} }} }}\n"
    );
    fs::write(folder.join("nginx.conf"), configuration)?;
    let volume = format!("{}:/gateway:ro", path(folder)?);
    let program = ["nginx", "-c", "/gateway/nginx.conf", "-g", "daemon off;"];
    let args = [
        "--detach",
        "--network",
        "host",
        "--label",
        "app=gateway",
        "--volume",
        &volume,
        BASE,
    ];
    podman.run(&[&["run"], &LIMITS[..], &args, &program].concat()).map(drop)
}

/// Builds the image of the recipe, with the package in it.
fn build_image(podman: &Podman) -> Result<()> {
    let context = tempfile::tempdir()?;
    let archive = context.path().join("debian.tar");
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(debian_with_systemd()?).arg("-cf").arg(&archive);
    run::succeed(tar.arg("."))?;
    podman.run(&["import", "--quiet", path(&archive)?, BASE])?;
    fs::remove_file(archive)?;
    package::build(&context)?;
    fs::copy(packaging("Containerfile"), context.path().join("Containerfile"))?;
    let args = [
        "build",
        "--quiet",
        "--pull=never",
        "--network",
        "host",
        "--tag",
        "tlscope",
    ];
    podman.run(&[&args[..], &[path(context.path())?]].concat()).map(drop)
}

/// Starts the image with the rights of the manifest, to trace what runs in a container.
fn agent(podman: &Podman, folder: &Path, container: &str) -> Result<Tracer> {
    let configuration = format!("container = [{container:?}]\noutput = \"json\"\n");
    fs::write(folder.join("agent.toml"), configuration)?;
    let volume = format!("{}:/etc/tlscope:ro", path(folder)?);
    let rights = [
        "--read-only",
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
        "--security-opt=apparmor=unconfined",
    ];
    let mut run = podman.command(&["run", "--rm", "--pid", "host", "--network", "host", "--volume", &volume]);
    run.args(LIMITS).args(rights).args(granted()?);
    run.args(["tlscope", "agent", "--config", "/etc/tlscope/agent.toml"]);
    let tracer = Tracer::spawn(run)?;
    tracer.wait_until_ready()?;
    Ok(tracer)
}

pub(crate) fn recipe_and_label() -> Result<()> {
    let podman = Podman(tempfile::tempdir()?);
    build_image(&podman)?;
    let (files, configuration) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let port = free_port()?;
    gateway(&podman, files.path(), port)?;
    let container = podman.run(&["ps", "--filter", "label=app=gateway", "--quiet", "--no-trunc"])?;
    ensure!(container.len() == 64, "podman found {container:?}");
    let tracer = agent(&podman, configuration.path(), &container)?;
    curl::request(&[&format!("https://127.0.0.1:{port}/in/a/container")])?;
    tracer.wait_for_lines(1)?;
    let has_printed = tracer.has_printed("\"path\":\"/in/a/container\"");
    ensure!(has_printed, "another line was printed");
    let trace = tracer.stop()?;
    ensure!(trace.code == Some(0), "{:?}", trace.stderr);
    Ok(())
}
