//! Stands in for the commands that need the kernel, in a build without the feature `live`.

use std::ffi::OsString;

use anyhow::{Result, bail};
use clap::Args;

use crate::outcome::Outcome;

/// Any arguments.
#[derive(Args, Debug)]
pub(super) struct Unavailable {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Fails with the reason.
pub(super) fn run(_arguments: &Unavailable) -> Result<Outcome> {
    bail!("this build cannot trace: built without the feature `live`")
}
