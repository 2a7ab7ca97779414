//! Tracing a running system until it is enough.
//!
//! In: what is to be traced, and a consumer. Out: records, drained into it. Refuses what cannot be traced, with the reason,
//! before anything is printed.

mod queue;
mod work;
mod session;
mod ending;

use std::time::Duration;

use anyhow::{Result, anyhow};
use rustix::thread::disable_transparent_huge_pages;
use tracer_capture::{
    attach::{self, Kernel, Options},
    message::Messages,
    session::Attached,
    target::Selection,
};
use tracer_observe::batch::Header;

use self::{
    ending::end,
    session::{Session, Signals},
    work::Work,
};
use crate::{
    consumer::Consumer,
    messages::{self, say},
    outcome::Outcome,
    writer::Queue,
};

/// What is to be traced, and how.
pub(crate) struct Request {
    /// Which processes.
    pub(crate) selection: Selection,
    /// How much is captured, and how much room it has.
    pub(crate) options: Options,
    /// For how long; until a signal if there is no time.
    pub(crate) duration: Option<Duration>,
}

/// Checks that this kernel, and these privileges, allow tracing at all; nothing has been opened or attached then.
pub(crate) fn check() -> Result<Kernel> {
    // Else each text that is read of an image may take two megabytes.
    let _unsupported = disable_transparent_huge_pages(true).is_err();
    let kernel = attach::check().map_err(|reason| anyhow!("{reason}"))?;
    if let Some(undescribed) = kernel.undescribed {
        say(&undescribed.to_string());
    }
    Ok(kernel)
}

/// Attaches, then drains into the consumer that `consumer` makes of the header, until it is enough. `lines`
/// is where the consumer's lines wait, if it does not write them itself.
pub(crate) fn run(
    kernel: &Kernel,
    request: Request,
    lines: Option<Queue>,
    consumer: impl FnOnce(&Header) -> Result<Box<dyn Consumer>>,
) -> Result<Outcome> {
    let Request {
        selection,
        options,
        duration,
    } = request;
    messages::begin()?;
    let attached = Attached::attach(kernel, options, selection, Messages::to(say))?;
    let work = Work::start(consumer(&attached.header())?, lines)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(drain(Session::start(attached, duration, work)?))
}

/// Drains until it is enough, detaches, and says the totals. A signal while it ends is the end.
async fn drain(mut session: Session) -> Result<Outcome> {
    let mut signals = Signals::new()?;
    let stop = session.drain_until_stopped(&mut signals).await?;
    tokio::select! {
        outcome = end(session, stop) => outcome,
        () = signals.any() => Ok(Outcome::Done),
    }
}
