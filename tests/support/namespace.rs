//! A network namespace of a test's own.
//!
//! In: nothing. Out: words that start a program in it. Its loopback is up, and nothing else is in it, so that addresses
//! in two of them can be the same.

use std::{
    fs,
    process::{Command, id},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result};

use crate::run;

/// A network namespace; it is gone when this is dropped and its last process has ended.
#[derive(Debug)]
pub struct Network(String);

impl Network {
    /// Makes one.
    pub fn make() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("tlscope-test-{}-{}", id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        run::succeed(Command::new("ip").args(["netns", "add", &name]))?;
        let network = Self(name);
        run::succeed(&mut network.command("ip", &["link", "set", "lo", "up"]))?;
        Ok(network)
    }

    /// The words that start a program in it, which become that program.
    pub fn within(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.0]
    }

    /// A program in it.
    pub fn command(&self, program: &str, words: &[&str]) -> Command {
        let [first, rest @ ..] = self.within();
        let mut command = Command::new(first);
        command.args(rest).arg(program).args(words);
        command
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // A test that failed has said so; one that succeeded does not fail for this.
        drop(run::run(Command::new("ip").args(["netns", "delete", &self.0])));
    }
}

/// The number by which the kernel knows the network namespace of a process.
pub fn network_of(pid: u32) -> Result<u64> {
    let name = fs::read_link(format!("/proc/{pid}/ns/net"))?;
    let name = name.to_string_lossy();
    let number = name.strip_prefix("net:[").and_then(|rest| rest.strip_suffix(']'));
    Ok(number
        .with_context(|| format!("not a name of a namespace: {name}"))?
        .parse()?)
}
