//! Traces running processes: attaches, drains the rings into a consumer until the trace ends, and detaches.

mod batch_queue;
mod consumer_thread;
mod session;
mod signals;
mod shutdown;

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
    consumer_thread::ConsumerThread,
    session::{Session, Stop},
    shutdown::{Deadline, shut_down},
    signals::{Hangup, Signals},
};
use crate::{
    consumer::Consumer,
    line_queue::LineQueue,
    messages::{self, Progress, say},
    outcome::Outcome,
};

/// What to trace.
pub(crate) struct Request {
    /// The processes.
    pub(crate) selection: Selection,
    /// Limits and sizes of the capture.
    pub(crate) options: Options,
    /// How long; `None` until a signal.
    pub(crate) duration: Option<Duration>,
    /// What a hangup asks first.
    pub(crate) reload: Option<Reload>,
}

/// Returns whether the trace is to end because another one takes its place.
pub(crate) type Reload = Box<dyn FnMut() -> bool>;

/// Checks that this kernel and the privileges of this process allow tracing. Opens and attaches nothing.
pub(crate) fn check() -> Result<Kernel> {
    // Reading an image touches single pages of large zeroed buffers; with huge pages each would take two megabytes.
    let _unsupported = disable_transparent_huge_pages(true).is_err();
    let kernel = attach::check().map_err(|reason| anyhow!("{reason}"))?;
    if let Some(undescribed) = kernel.undescribed {
        say(&undescribed.to_string());
    }
    Ok(kernel)
}

/// Attaches and traces until the end of the trace. `consumer` creates the consumer from the header; `lines` is the queue
/// of its output, if it has one. Fails before anything is printed if nothing can be traced.
pub(crate) fn run(
    kernel: &Kernel,
    request: Request,
    lines: Option<LineQueue>,
    consumer: impl FnOnce(&Header) -> Result<Box<dyn Consumer>>,
) -> Result<Outcome> {
    let Request {
        selection,
        options,
        duration,
        reload,
    } = request;
    messages::start_thread()?;
    let progress = Progress::start(|elapsed| {
        format!(
            "analysing programs and libraries, and attaching probes: {} s",
            elapsed.as_secs()
        )
    });
    let mut attached = Attached::attach(kernel, options, selection, Messages::to(say))?;
    drop(progress);
    let skips = attached.skips()?;
    let reopened = lines.clone();
    let consumer = ConsumerThread::start(consumer(&attached.header())?, lines, skips)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let session = Session::start(attached, duration, consumer)?;
    let hangup = Hangup { reload, reopened };
    runtime.block_on(trace(session, hangup))
}

/// Drains and shuts down. A signal sets a time limit to a shutdown that has none, and ends one that has.
async fn trace(mut session: Session, hangup: Hangup) -> Result<Outcome> {
    let mut signals = Signals::new(hangup)?;
    let stop = session.drain_until_stopped(&mut signals).await?;
    let deadline = Deadline::default();
    let shutdown = shut_down(session, stop, &deadline);
    tokio::pin!(shutdown);
    if stop == Stop::Requested {
        deadline.begin();
    } else {
        tokio::select! {
            outcome = &mut shutdown => return outcome,
            () = signals.any() => deadline.begin(),
        }
    }
    tokio::select! {
        outcome = shutdown => outcome,
        () = signals.any() => Ok(Outcome::Done),
    }
}
