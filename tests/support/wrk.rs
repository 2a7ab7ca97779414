//! wrk: many keep-alive connections that send a given number of requests.
//!
//! wrk knows a duration and no count. The Lua script gives each of its two threads a number of permits, so that every
//! connection is silent once they are used up: nothing is in flight when wrk is stopped.

use std::{
    io::read_to_string,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{Nginx, Ran, kernel, source_file};

/// Threads of wrk; each has its own count.
const THREADS: usize = 2;

/// What wrk is to send.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// How many requests.
    pub requests: usize,
    /// Over how many connections.
    pub connections: usize,
    /// To which path; `NUMBER` in it becomes one that no other request has.
    pub path: &'a str,
    /// With which method.
    pub method: &'a str,
    /// With how many bytes of body.
    pub body: usize,
    /// How many at once on a connection, before their answers are read.
    pub depth: usize,
}

impl<'a> Load<'a> {
    /// Many requests to one path, over 32 connections.
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
    /// Starts sending.
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
            "{requests} requests do not fall evenly on {THREADS} threads"
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

    /// Stops it; all that it has met must be answers without an error.
    pub fn stop(self) -> Result<()> {
        let Ran { stdout, stderr, .. } = self.interrupt()?;
        let failed = ["Socket errors", "Non-2xx"].iter().any(|word| stdout.contains(word));
        ensure!(!failed && stderr.is_empty(), "wrk met errors: {stdout}{stderr}");
        Ok(())
    }

    fn interrupt(mut self) -> Result<Ran> {
        kernel::signal(self.0.id(), libc::SIGINT)?;
        let (stdout, stderr) = (self.0.stdout.take(), self.0.stderr.take());
        let (stdout, stderr) = (stdout.map(read_to_string), stderr.map(read_to_string));
        Ok(Ran {
            code: self.0.wait()?.code(),
            stdout: stdout.transpose()?.unwrap_or_default(),
            stderr: stderr.transpose()?.unwrap_or_default(),
        })
    }
}

impl Drop for Wrk {
    fn drop(&mut self) {
        // It has usually ended before.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
