//! A collector of OpenTelemetry, made of the messages of `opentelemetry-proto` of `PyPI`.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::{certificate::Certificate, program::Program, source_file, wheel};

/// The package with the messages.
pub const PACKAGE: &str = "opentelemetry_proto-1.27.0";

/// A collector, which keeps what it takes.
#[derive(Debug)]
pub struct Collector {
    program: Program,
    http: String,
    grpc: String,
    /// Commands that were given so far.
    commands: usize,
    directory: TempDir,
}

impl Collector {
    /// Returns whether the package is there.
    pub fn is_installed() -> Result<bool> {
        Ok(wheel(PACKAGE)?.is_dir())
    }

    /// Starts a collector without TLS.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// Starts a collector whose HTTP has TLS.
    pub fn start_tls(certificate: &Certificate) -> Result<Self> {
        Self::start_with(&[&certificate.certificate, &certificate.key])
    }

    fn start_with(files: &[&PathBuf]) -> Result<Self> {
        let files: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
        let files: Vec<_> = files.iter().map(|file| &**file).collect();
        let packages = [wheel(PACKAGE)?, source_file("python")];
        let program = Program::python_of(&packages, "otlp_receiver.py", &files)?;
        let (http, grpc) = (program.wait_for("http ")?, program.wait_for("grpc ")?);
        let scheme = if files.is_empty() { "http" } else { "https" };
        Ok(Self {
            program,
            http: format!("{scheme}://127.0.0.1:{http}"),
            grpc: format!("grpc://127.0.0.1:{grpc}"),
            commands: 0,
            directory: tempfile::tempdir()?,
        })
    }

    /// Returns the URL for OTLP over HTTP.
    pub fn http(&self) -> &str {
        &self.http
    }

    /// Returns the URL for OTLP over gRPC.
    pub fn grpc(&self) -> &str {
        &self.grpc
    }

    /// Gives the next requests another answer than that they are taken; see the script.
    pub fn answer(&mut self, name: &str, count: usize) -> Result<()> {
        self.command(&format!("answer {name} {count}"))
    }

    /// Ends its servers, and their connections.
    pub fn stop(&mut self) -> Result<()> {
        self.command("stop")
    }

    /// Starts its servers again, on the same ports.
    pub fn start_again(&mut self) -> Result<()> {
        self.command("start")
    }

    /// Returns all that it has taken.
    pub fn report(&mut self) -> Result<Report> {
        let path = self.directory.path().join("report.json");
        self.command(&format!("report {}", path.display()))?;
        let text = fs::read_to_string(&path)?;
        let all = serde_json::from_str(&text)?;
        Ok(Report { text, all })
    }

    fn command(&mut self, command: &str) -> Result<()> {
        self.program.send_line(command)?;
        self.commands += 1;
        self.program.wait_for_count("done ", self.commands)
    }
}

/// What a collector has taken.
#[derive(Debug)]
pub struct Report {
    /// All of it, as JSON.
    pub text: String,
    all: Value,
}

impl Report {
    /// Returns the spans.
    pub fn spans(&self) -> Result<&Vec<Value>> {
        self.list("spans")
    }

    /// Returns the log records.
    pub fn logs(&self) -> Result<&Vec<Value>> {
        self.list("logs")
    }

    /// Returns the points of metrics.
    pub fn metrics(&self) -> Result<&Vec<Value>> {
        self.list("metrics")
    }

    /// Returns the requests, also those that were not taken.
    pub fn requests(&self) -> Result<&Vec<Value>> {
        self.list("requests")
    }

    fn list(&self, name: &str) -> Result<&Vec<Value>> {
        let list = self.all.get(name).and_then(Value::as_array);
        list.context("the report is cut short")
    }
}
