//! `tlscope completions`: prints the script that completes command lines in a shell.

use anyhow::Result;
use clap::{Args, Command};
use clap_complete::{Shell, generate};

use super::plain_output;
use crate::outcome::Outcome;

#[derive(Args, Debug)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints the script for a command line.
pub(super) fn run(arguments: &CompletionsArgs, mut command: Command) -> Result<Outcome> {
    // It would panic if it could not write.
    let mut script = Vec::new();
    generate(arguments.shell, &mut command, "tlscope", &mut script);
    plain_output::print(&script)
}
