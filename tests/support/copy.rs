//! Copies files that are executed afterwards.
//!
//! Another process makes the copy. If this one did, a child forked by another thread would inherit the file descriptor
//! that is open for writing, and until its `exec` the copy could not be executed (`ETXTBSY`).

use std::{path::Path, process::Command};

use anyhow::Result;

use crate::run;

/// Copies a file and its mode.
pub fn file(from: &Path, to: &Path) -> Result<()> {
    let mut copy = Command::new("cp");
    copy.arg("--").arg(from).arg(to);
    run::succeed(&mut copy).map(drop)
}
