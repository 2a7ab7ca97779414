//! `tlscope trace`: attaches to processes and prints their exchanges.

use std::io::stdout;

use anyhow::Result;
use tracer_capture::attach::Kernel;
use tracer_ebpf::SettingFlags;
use tracer_observe::{
    batch::Source,
    pipeline::{Options, Pipeline},
};

use super::{live_arguments::TraceArgs, output_arguments::pipeline_options};
use crate::{
    audit::Auditor,
    engine::{self, Reload, Request},
    limits::MAX_OUTPUT_BYTES,
    line_queue::{LineQueue, WhenFull},
    log_file::{LogFile, Lost},
    outcome::Outcome,
    pipeline_consumer::PipelineConsumer,
};

pub(super) fn run(arguments: &TraceArgs) -> Result<Outcome> {
    run_until_reload(arguments, None)
}

/// Traces until the end, or until a hangup for which `reload` returns true.
pub(super) fn run_until_reload(arguments: &TraceArgs, reload: Option<Reload>) -> Result<Outcome> {
    arguments.output.messages.quiet.apply();
    let command = if reload.is_some() { "agent" } else { "trace" };
    let audit = arguments.live.audit.open(command, Some(&arguments.output.redact))?;
    audit.attempt(|audit| trace(arguments, reload, audit))
}

fn trace(arguments: &TraceArgs, reload: Option<Reload>, audit: &Auditor) -> Result<Outcome> {
    let kernel = engine::check()?;
    let (lines, lost) = open_output(arguments.output.create_file()?)?;
    let options = pipeline_options(&arguments.output, lines.clone(), lost, Source::Live)?;
    let flags = if arguments.output.connections || arguments.output.policy.needs_handshakes() {
        SettingFlags::CONNECTIONS
    } else {
        SettingFlags::default()
    };
    let request = Request {
        reload,
        ..arguments.live.request(flags, audit)
    };
    run_pipeline(&kernel, request, lines, options)
}

/// Traces with a pipeline that writes to `lines`.
pub(super) fn run_pipeline(
    kernel: &Kernel,
    request: Request<'_>,
    lines: LineQueue,
    options: Options,
) -> Result<Outcome> {
    engine::run(kernel, request, Some(lines), |header| {
        Ok(Box::new(PipelineConsumer(Pipeline::new(header, options))))
    })
}

/// Opens a file, or stdout, behind a queue that blocks for a file only; also returns the count of lines for which the file has no
/// room.
pub(super) fn open_output(log: Option<LogFile>) -> Result<(LineQueue, Option<Lost>)> {
    let Some(log) = log else {
        let queue = LineQueue::start("write", stdout(), MAX_OUTPUT_BYTES, WhenFull::Drop)?;
        return Ok((queue, None));
    };
    let lost = log.lost();
    Ok((LineQueue::start_log("write", log, MAX_OUTPUT_BYTES)?, Some(lost)))
}
