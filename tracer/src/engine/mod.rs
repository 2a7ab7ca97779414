//! Traces running processes: attaches, drains the rings into a consumer until the trace ends, and detaches.

mod batch_queue;
mod consumer_thread;
mod session;
mod ending;
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
use tracer_observe::{
    batch::Header,
    redact::{Line, Redacted},
};

use self::{
    consumer_thread::ConsumerThread,
    ending::Known,
    session::{Session, Stop},
    shutdown::{Deadline, shut_down},
    signals::{Hangup, Signals},
};
use crate::{
    audit::Auditor,
    consumer::Consumer,
    line_queue::LineQueue,
    messages::{self, Progress, say},
    outcome::Outcome,
};

/// What to trace.
pub(crate) struct Request<'a> {
    /// The processes.
    pub(crate) selection: Selection,
    /// Limits and sizes of the capture.
    pub(crate) options: Options,
    /// How long; `None` until a signal.
    pub(crate) duration: Option<Duration>,
    /// What a hangup asks first.
    pub(crate) reload: Option<Reload>,
    /// Says who traces what.
    pub(crate) audit: &'a Auditor,
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
    request: Request<'_>,
    lines: Option<LineQueue>,
    consumer: impl FnOnce(&Header) -> Result<Box<dyn Consumer>>,
) -> Result<Outcome> {
    let Request {
        selection,
        options,
        duration,
        reload,
        audit,
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
    let header = attached.header();
    let mut consumer = consumer(&header)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let hangup = Hangup {
        reload,
        reopened: lines.clone(),
    };
    // From here on a signal ends the trace: whoever reads the line of the start may send one at once, and is to find that of the end.
    let mut signals = {
        let _runtime = runtime.enter();
        Signals::new(hangup)?
    };
    // Nothing is captured before the audit has this line.
    let trail = audit.start(header.processes)?;
    let known = Known::begin();
    let start = trail.for_output();
    let traced = || {
        if let Some(line) = &start {
            consumer.audit(line)?;
        }
        let consumer = ConsumerThread::start(consumer, lines, skips)?;
        let session = Session::start(attached, duration, consumer)?;
        runtime.block_on(trace(session, &mut signals, &known, start))
    };
    let outcome = traced();
    if outcome.is_err() {
        known.failed();
    }
    trail.end(&known.ending(), outcome)
}

/// Drains and shuts down. A signal sets a time limit to a shutdown that has none, and ends one that has. `start` is the audit line
/// of the start, if the output is to have that of the end.
async fn trace(
    mut session: Session,
    signals: &mut Signals,
    known: &Known,
    start: Option<Redacted<Line<'static>>>,
) -> Result<Outcome> {
    let stop = session.drain_until_stopped(signals).await?;
    known.stopped(stop, session.consumer.summary().as_ref());
    let deadline = Deadline::default();
    let shutdown = shut_down(session, stop, &deadline, known, start);
    tokio::pin!(shutdown);
    if let Stop::Requested(_) = stop {
        deadline.begin();
    } else {
        tokio::select! {
            outcome = &mut shutdown => return outcome,
            _ended = signals.any() => deadline.begin(),
        }
    }
    tokio::select! {
        outcome = shutdown => outcome,
        _ended = signals.any() => Ok(Outcome::Done),
    }
}
