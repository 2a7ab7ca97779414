//! The commands of a build that cannot trace.

use std::ffi::OsString;

use anyhow::{Result, bail};
use clap::Args;

use crate::outcome::Outcome;

/// Whatever stands behind such a command.
#[derive(Args, Debug)]
pub(super) struct Unavailable {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Says why the command cannot be run.
pub(super) fn run(_arguments: &Unavailable) -> Result<Outcome> {
    bail!("this build cannot trace: built without the feature `live`")
}
