//! Attaching to what was asked for, and tracing it until it is enough.
//!
//! In: what was asked for. Out: records, drained into a consumer. Refuses what cannot be traced, with the reason, before
//! anything is printed.

use anyhow::{Result, anyhow};
use rustix::thread::disable_transparent_huge_pages;
use tracer_ebpf::SettingFlags;

use super::{Outcome, arguments::LiveArgs, follow::Follower, messages, say, session::Session, work::Consumer};
use crate::{
    attach::{self, Kernel, Probes},
    source::{Header, boot_unix_ns},
    target,
};

/// Checks that this kernel, and these privileges, allow tracing at all; nothing has been opened or attached then.
pub(super) fn check() -> Result<Kernel> {
    // Else each text that is read of an image may take two megabytes.
    let _unsupported = disable_transparent_huge_pages(true).is_err();
    let kernel = attach::check().map_err(|reason| anyhow!("{reason}"))?;
    if let Some(undescribed) = kernel.undescribed {
        say(&undescribed.to_string());
    }
    Ok(kernel)
}

/// Attaches, then drains into the consumer that `consumer` makes of the header, until it is enough. What handshakes and
/// sockets have to say is asked for only if it is wanted: `told`.
pub(super) fn run(
    kernel: &Kernel,
    live: &LiveArgs,
    told: SettingFlags,
    consumer: impl FnOnce(&Header) -> Result<Box<dyn Consumer>>,
) -> Result<Outcome> {
    messages::begin()?;
    let (probes, rings, cpus, switch) = Probes::load(kernel, live.options(told))?;
    let mut follower = Follower::new(probes, live.selection(), rings.mappings.is_some());
    follower.begin()?;
    let consumer = consumer(&header(&follower))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(Session::new(rings, cpus, switch, live)?.run(follower, consumer))
}

/// Sites come with the first batch, as those do that come later.
fn header(follower: &Follower) -> Header {
    Header {
        own_netns: target::own_netns(),
        boot_unix_ns: boot_unix_ns(),
        processes: follower.entries(),
        ..Header::default()
    }
}
