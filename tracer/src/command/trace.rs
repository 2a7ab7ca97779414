//! `tlscope trace`: attach, decode, stream.

use std::io::stdout;

use anyhow::Result;
use tracer_ebpf::SettingFlags;
use tracer_observe::pipeline::Pipeline;

use super::{
    live_arguments::TraceArgs,
    show::{self, ShowArgs},
};
use crate::{
    engine,
    limits::MAX_OUTPUT_BYTES,
    outcome::Outcome,
    private,
    stream::Stream,
    writer::{Queue, WhenFull},
};

/// Streams the exchanges of running processes.
pub(super) fn run(arguments: &TraceArgs) -> Result<Outcome> {
    let kernel = engine::check()?;
    let lines = queue(&arguments.show)?;
    let options = show::options(&arguments.show, lines.clone())?;
    let flags = if arguments.show.connections {
        SettingFlags::CONNECTIONS
    } else {
        SettingFlags::default()
    };
    engine::run(&kernel, arguments.live.request(flags), Some(lines), |header| {
        Ok(Box::new(Stream(Pipeline::new(header, options))))
    })
}

/// Opens where lines go, through a thread that nobody has to wait for but for a file's sake.
fn queue(show: &ShowArgs) -> Result<Queue> {
    let queue = match &show.file {
        Some(path) => Queue::start("write", private::create(path)?, MAX_OUTPUT_BYTES, WhenFull::Wait),
        None => Queue::start("write", stdout(), MAX_OUTPUT_BYTES, WhenFull::Drop),
    };
    Ok(queue?)
}
