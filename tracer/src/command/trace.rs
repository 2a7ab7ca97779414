//! `tlscope trace`: attaches to processes and prints their exchanges.

use std::io::stdout;

use anyhow::Result;
use tracer_ebpf::SettingFlags;
use tracer_observe::pipeline::Pipeline;

use super::{
    live_arguments::TraceArgs,
    output_arguments::{OutputArgs, pipeline_options},
};
use crate::{
    engine,
    limits::MAX_OUTPUT_BYTES,
    line_queue::{LineQueue, WhenFull},
    outcome::Outcome,
    pipeline_consumer::PipelineConsumer,
    private_file,
};

pub(super) fn run(arguments: &TraceArgs) -> Result<Outcome> {
    let kernel = engine::check()?;
    let lines = open_output(&arguments.output)?;
    let options = pipeline_options(&arguments.output, lines.clone())?;
    let flags = if arguments.output.connections {
        SettingFlags::CONNECTIONS
    } else {
        SettingFlags::default()
    };
    engine::run(&kernel, arguments.live.request(flags), Some(lines), |header| {
        Ok(Box::new(PipelineConsumer(Pipeline::new(header, options))))
    })
}

/// Opens the output behind a queue that blocks for a file only.
fn open_output(output: &OutputArgs) -> Result<LineQueue> {
    let queue = match &output.file {
        Some(path) => LineQueue::start("write", private_file::create(path)?, MAX_OUTPUT_BYTES, WhenFull::Wait),
        None => LineQueue::start("write", stdout(), MAX_OUTPUT_BYTES, WhenFull::Drop),
    };
    Ok(queue?)
}
