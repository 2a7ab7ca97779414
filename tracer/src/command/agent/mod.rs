//! `tlscope agent`: traces as a service, by a configuration file.
//!
//! At SIGHUP it opens its file anew, and reads the configuration again. One that has changed is checked first: with a mistake in
//! it, the agent goes on as before. Else it ends the trace as at its end, and executes itself, so that its process stays the same.
//! Should the file have a mistake by then, what was checked is loaded.

mod checked;
mod config;

use std::{cell::RefCell, env, io, os::unix::process::CommandExt as _, process::Command, rc::Rc, sync::Arc};

use anyhow::{Context as _, Result};
use clap::Args;
use tracer_capture::attach;

use self::config::Config;
use super::trace;
use crate::{
    hangups,
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
    attach::give_up_admin().context("CAP_SYS_ADMIN cannot be given up")?;
    let config = Arc::clone(&arguments.config);
    let changed = Rc::new(RefCell::new(None));
    let found = Rc::clone(&changed);
    let reload = move || {
        // What was decided stays, whatever becomes of the file while the trace ends.
        let mut found = found.borrow_mut();
        if found.is_none() {
            *found = changed_text(&config);
            if found.is_some() {
                service::reloading();
            }
        }
        found.is_some()
    };
    let outcome = trace::run_until_reload(&arguments.config.trace, Some(Box::new(reload)))?;
    if let Some(text) = changed.take() {
        hangups::hold()?;
        execute_again(&text).context("tlscope cannot be executed again")?;
    }
    Ok(outcome)
}

/// Returns the text of the configuration if it has changed and is valid.
fn changed_text(known: &Config) -> Option<String> {
    match Config::read(&known.path) {
        Ok(read) => (read.text != known.text).then_some(read.text),
        Err(mistake) => {
            complain(&format!("the configuration is not loaded: {mistake}"));
            None
        }
    }
}

/// Executes this program with the same arguments, and with the text of the configuration that was checked. Returns only if that
/// fails.
fn execute_again(text: &str) -> io::Result<()> {
    let mut arguments = env::args_os();
    let mut command = Command::new("/proc/self/exe");
    command.args(arguments.by_ref().skip(1)).stdin(checked::file(text)?);
    if let Some(name) = env::args_os().next() {
        command.arg0(name);
    }
    messages::flush();
    Err(command.exec())
}

/// Reads the configuration, or takes the one that was checked before this program was executed anew if there is a mistake in the
/// file.
fn parse_config(path: &str) -> Result<Arc<Config>, String> {
    let config = Config::read(path).or_else(|mistake| {
        let text = checked::text().ok_or_else(|| mistake.clone())?;
        complain(&format!(
            "the configuration is loaded as it was before this mistake: {mistake}"
        ));
        Config::of(path, text)
    })?;
    Ok(Arc::new(config))
}
