//! The options of how much is said on stderr.

use clap::Args;

use crate::messages;

/// How much is said on stderr.
#[derive(Args, Debug)]
pub(super) struct MessageArgs {
    /// Print decoding statistics to stderr at the end
    #[arg(short = 'v', long, conflicts_with = "quiet")]
    pub(super) verbose: bool,
    #[command(flatten)]
    pub(super) quiet: QuietArgs,
}

/// Whether only errors are said.
#[derive(Args, Debug)]
pub(super) struct QuietArgs {
    /// Print only errors to stderr
    #[arg(short = 'q', long)]
    quiet: bool,
}

impl QuietArgs {
    /// Prints no more than errors from now on, if that is wanted.
    pub(super) fn apply(&self) {
        if self.quiet {
            messages::be_quiet();
        }
    }
}
