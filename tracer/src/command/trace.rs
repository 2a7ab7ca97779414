//! `tlscope trace`: attaches to processes and prints their exchanges.

use std::{io::stdout, path::Path};

use anyhow::Result;
use tracer_capture::attach::Kernel;
use tracer_ebpf::SettingFlags;
use tracer_observe::{
    batch::Source,
    pipeline::{Options, Pipeline},
};

use super::{live_arguments::TraceArgs, output_arguments::pipeline_options};
use crate::{
    engine::{self, Request},
    limits::MAX_OUTPUT_BYTES,
    line_queue::{LineQueue, WhenFull},
    outcome::Outcome,
    pipeline_consumer::PipelineConsumer,
    private_file,
};

pub(super) fn run(arguments: &TraceArgs) -> Result<Outcome> {
    let kernel = engine::check()?;
    let lines = open_output(arguments.output.file.as_deref())?;
    let options = pipeline_options(&arguments.output, lines.clone(), Source::Live)?;
    let flags = if arguments.output.connections {
        SettingFlags::CONNECTIONS
    } else {
        SettingFlags::default()
    };
    run_pipeline(&kernel, arguments.live.request(flags), lines, options)
}

/// Traces with a pipeline that writes to `lines`.
pub(super) fn run_pipeline(kernel: &Kernel, request: Request, lines: LineQueue, options: Options) -> Result<Outcome> {
    engine::run(kernel, request, Some(lines), |header| {
        Ok(Box::new(PipelineConsumer(Pipeline::new(header, options))))
    })
}

/// Opens the output behind a queue that blocks for a file only.
pub(super) fn open_output(file: Option<&Path>) -> Result<LineQueue> {
    let queue = match file {
        Some(path) => LineQueue::start("write", private_file::create(path)?, MAX_OUTPUT_BYTES, WhenFull::Wait),
        None => LineQueue::start("write", stdout(), MAX_OUTPUT_BYTES, WhenFull::Drop),
    };
    Ok(queue?)
}
