//! `tlscope completions`: prints the script that completes command lines in a shell.

use anyhow::Result;
use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};

use super::{arguments::CommandLine, plain_output};
use crate::outcome::Outcome;

#[derive(Args, Debug)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn run(arguments: &CompletionsArgs) -> Result<Outcome> {
    // It would panic if it could not write.
    let mut script = Vec::new();
    generate(arguments.shell, &mut CommandLine::command(), "tlscope", &mut script);
    plain_output::print(&script)
}
