//! `tlscope man`: prints the manual page, or writes those of all commands to a folder, as packages need them.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, Command};
use clap_mangen::{Man, generate_to};

use super::plain_output;
use crate::outcome::Outcome;

#[derive(Args, Debug)]
pub(super) struct ManArgs {
    /// The folder for `tlscope.1`, `tlscope-trace.1` and the pages of all other commands; must exist
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Prints or writes the pages of a command line.
pub(super) fn run(arguments: &ManArgs, command: Command) -> Result<Outcome> {
    if let Some(folder) = &arguments.folder {
        generate_to(command, folder).with_context(|| folder.display().to_string())?;
        return Ok(Outcome::Done);
    }
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    plain_output::print(&page)
}
