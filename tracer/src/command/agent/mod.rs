//! `tlscope agent`: traces as a service, by a configuration file.
//!
//! At SIGHUP it opens its file anew, and reads the configuration again. One that has changed is checked first: with a mistake in
//! it, the agent goes on as before. Else it ends the trace as at its end, and executes itself, so that its process stays the same.

mod config;

use std::{cell::Cell, env, io, os::unix::process::CommandExt as _, process::Command, rc::Rc, sync::Arc};

use anyhow::{Context as _, Result};
use clap::Args;

use self::config::Config;
use super::trace;
use crate::{
    messages::{self, complain},
    outcome::Outcome,
    service,
};

#[derive(Args, Debug)]
pub(super) struct AgentArgs {
    /// The configuration, in TOML: its keys are the long options of `tlscope trace`
    #[arg(long, value_name = "FILE", value_parser = parse_config)]
    config: Arc<Config>,
    /// Check the configuration, and trace nothing
    #[arg(long)]
    check: bool,
}

pub(super) fn run(arguments: &AgentArgs) -> Result<Outcome> {
    if arguments.check {
        return Ok(Outcome::Done);
    }
    let config = Arc::clone(&arguments.config);
    let has_changed = Rc::new(Cell::new(false));
    let changed = Rc::clone(&has_changed);
    let reload = move || {
        // What was decided stays, whatever becomes of the file while the trace ends.
        changed.set(changed.get() || is_new(&config));
        changed.get()
    };
    let outcome = trace::run_until_reload(&arguments.config.trace, Some(Box::new(reload)))?;
    if has_changed.get() {
        return Err(execute_again()).context("tlscope cannot be executed again");
    }
    Ok(outcome)
}

/// Returns whether the configuration has changed and is valid.
fn is_new(known: &Config) -> bool {
    match Config::read(&known.path) {
        Ok(read) => read.text != known.text,
        Err(mistake) => {
            complain(&format!("the configuration is not loaded: {mistake}"));
            false
        }
    }
}

/// Executes this program with the same arguments. Returns only if that fails.
fn execute_again() -> io::Error {
    service::reloading();
    messages::flush();
    let mut arguments = env::args_os();
    let mut command = Command::new("/proc/self/exe");
    command.args(arguments.by_ref().skip(1));
    if let Some(name) = env::args_os().next() {
        command.arg0(name);
    }
    command.exec()
}

fn parse_config(path: &str) -> Result<Arc<Config>, String> {
    Config::read(path).map(Arc::new)
}
