//! wrk: many keep-alive connections that send a given number of requests.
//!
//! wrk has a duration, but no count. The Lua script gives each of its two threads a number of permits. Once they are
//! used up, wrk is idle, so that no request is in flight when it is stopped.

use std::{
    io::read_to_string,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{CommandOutput, Nginx, kernel, source_file};

/// The number of threads of wrk.
const THREADS: usize = 2;

/// What wrk sends.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// The number of requests.
    pub requests: usize,
    /// The number of connections.
    pub connections: usize,
    /// The path. `NUMBER` in it is replaced with a unique number.
    pub path: &'a str,
    /// The method.
    pub method: &'a str,
    /// The size of the body in bytes.
    pub body: usize,
    /// The number of pipelined requests.
    pub depth: usize,
}

impl<'a> Load<'a> {
    /// Requests to one path over 32 connections.
    pub const fn of(requests: usize, path: &'a str) -> Self {
        Self {
            requests,
            connections: 32,
            path,
            method: "GET",
            body: 0,
            depth: 1,
        }
    }
}

/// A running wrk.
#[derive(Debug)]
pub struct Wrk(Child);

impl Wrk {
    /// Starts to send.
    pub fn start(nginx: &Nginx, load: Load<'_>) -> Result<Self> {
        let Load {
            requests,
            connections,
            path,
            method,
            body,
            depth,
        } = load;
        ensure!(
            requests % (THREADS * depth) == 0,
            "{requests} requests cannot be split evenly over {THREADS} threads"
        );
        let mut command = Command::new("wrk");
        command.args([
            &format!("-t{THREADS}"),
            &format!("-c{connections}"),
            "-d600",
            "--timeout",
            "60",
        ]);
        command
            .arg("-s")
            .arg(source_file("lua/counted.lua"))
            .arg(nginx.url("/"))
            .arg("--");
        command.args([
            &(requests / THREADS / depth).to_string(),
            method,
            path,
            &body.to_string(),
            &depth.to_string(),
        ]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(Self(command.spawn().context("wrk did not start")?))
    }

    /// Stops it. Fails if it reports any error.
    pub fn stop(self) -> Result<()> {
        let CommandOutput { stdout, stderr, .. } = self.interrupt()?;
        let failed = ["Socket errors", "Non-2xx"].iter().any(|word| stdout.contains(word));
        ensure!(!failed && stderr.is_empty(), "wrk reported errors: {stdout}{stderr}");
        Ok(())
    }

    fn interrupt(mut self) -> Result<CommandOutput> {
        kernel::signal(self.0.id(), libc::SIGINT)?;
        let (stdout, stderr) = (self.0.stdout.take(), self.0.stderr.take());
        let (stdout, stderr) = (stdout.map(read_to_string), stderr.map(read_to_string));
        Ok(CommandOutput {
            code: self.0.wait()?.code(),
            stdout: stdout.transpose()?.unwrap_or_default(),
            stderr: stderr.transpose()?.unwrap_or_default(),
        })
    }
}

impl Drop for Wrk {
    fn drop(&mut self) {
        // It has usually ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
