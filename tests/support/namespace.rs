//! Network namespaces.
//!
//! A namespace has a loopback interface only, so that connections in two of them can have equal addresses.

use std::{
    fs,
    process::{Command, id},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result};

use crate::run;

/// A network namespace. Dropping it removes the namespace once its last process has ended.
#[derive(Debug)]
pub struct Network(String);

impl Network {
    /// Makes a namespace.
    pub fn make() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("tlscope-test-{}-{}", id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        run::succeed(Command::new("ip").args(["netns", "add", &name]))?;
        let network = Self(name);
        run::succeed(&mut network.command("ip", &["link", "set", "lo", "up"]))?;
        Ok(network)
    }

    /// Returns the beginning of a command that executes the rest of the command in the namespace.
    pub fn exec_prefix(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.0]
    }

    /// Makes a command that runs in the namespace.
    pub fn command(&self, program: &str, args: &[&str]) -> Command {
        let [first, rest @ ..] = self.exec_prefix();
        let mut command = Command::new(first);
        command.args(rest).arg(program).args(args);
        command
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Failing to clean up does not fail the test.
        drop(run::run(Command::new("ip").args(["netns", "delete", &self.0])));
    }
}

/// Returns the inode of the network namespace of a process.
pub fn network_of(pid: u32) -> Result<u64> {
    let name = fs::read_link(format!("/proc/{pid}/ns/net"))?;
    let name = name.to_string_lossy();
    let number = name.strip_prefix("net:[").and_then(|rest| rest.strip_suffix(']'));
    Ok(number
        .with_context(|| format!("not the name of a namespace: {name}"))?
        .parse()?)
}
