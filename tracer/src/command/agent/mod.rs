//! `tlscope agent`: traces as a service, by a configuration file.

mod config;

use std::sync::Arc;

use anyhow::Result;
use clap::Args;

use self::config::Config;
use super::trace;
use crate::outcome::Outcome;

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
    trace::run(&arguments.config.trace)
}

fn parse_config(path: &str) -> Result<Arc<Config>, String> {
    Config::read(path).map(Arc::new)
}
