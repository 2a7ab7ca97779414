//! `tlscope trace`: attach, decode, stream.

use anyhow::Result;
use tracer_ebpf::SettingFlags;

use super::{Outcome, arguments::TraceArgs, live, reader, stream::Stream};
use crate::pipeline::Pipeline;

/// Streams the exchanges of running processes.
pub(super) fn run(arguments: &TraceArgs) -> Result<Outcome> {
    let kernel = live::check()?;
    let lines = reader::queue(&arguments.show)?;
    let options = reader::options(&arguments.show, lines.clone())?;
    let told = if arguments.show.connections {
        SettingFlags::CONNECTIONS
    } else {
        SettingFlags::default()
    };
    live::run(&kernel, &arguments.live, told, |header| {
        let pipeline = Pipeline::new(header, options);
        let lines = Some(lines);
        Ok(Box::new(Stream { pipeline, lines }))
    })
}
