//! Copies of files that are executed afterwards.
//!
//! Another process copies. If this one did, a thread that forks meanwhile would hand its child the descriptor that the
//! copy is written through, and until that child has run its own program the copy could not be executed (`ETXTBSY`).

use std::{path::Path, process::Command};

use anyhow::Result;

use crate::run;

/// Copies a file, and its mode.
pub fn file(from: &Path, to: &Path) -> Result<()> {
    let mut copy = Command::new("cp");
    copy.arg("--").arg(from).arg(to);
    run::succeed(&mut copy).map(drop)
}
