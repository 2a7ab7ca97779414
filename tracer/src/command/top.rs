//! `tlscope top`: shows the exchanges of processes as a live table.

use std::{
    io::{IsTerminal as _, stdin, stdout},
    time::Duration,
};

use anyhow::{Result, ensure};
use clap::Args;
use tracer_ebpf::SettingFlags;
use tracer_observe::{
    filter::{Filter, FilterArgs},
    ids::{IdHeader, IdHeaders},
    pipeline::{Options, Pipeline},
    redact::{RedactArgs, Redactor},
};

use super::{
    live_arguments::LiveArgs, message_arguments::MessageArgs, output_arguments::warn_of_secrets,
    style_arguments::StyleArgs,
};
use crate::{
    audit::Auditor,
    engine,
    outcome::Outcome,
    pipeline_consumer::PipelineConsumer,
    top::{Terminal, TopSink, give_back},
};

#[derive(Args, Debug)]
pub(super) struct TopArgs {
    #[command(flatten)]
    pub(super) live: LiveArgs,
    /// How long the requests of a gateway wait for those to its upstreams, and streams for their end
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = humantime::parse_duration)]
    hold: Duration,
    /// Take the id of a request from this header, in place of X-Request-ID and the like; may be repeated, the first that
    /// there is counts
    #[arg(long = "id-header", value_name = "NAME")]
    id_headers: Vec<IdHeader>,
    #[command(flatten)]
    messages: MessageArgs,
    #[command(flatten)]
    style: StyleArgs,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    redact: RedactArgs,
}

pub(super) fn run(arguments: &TopArgs) -> Result<Outcome> {
    ensure!(
        stdin().is_terminal() && stdout().is_terminal(),
        "top needs a terminal; `tlscope stat` prints the same numbers anywhere"
    );
    arguments.messages.quiet.apply();
    let audit = arguments.live.audit.open("top", Some(&arguments.redact))?;
    audit.attempt(|audit| show(arguments, audit))
}

fn show(arguments: &TopArgs, audit: &Auditor) -> Result<Outcome> {
    let kernel = engine::check()?;
    let id_headers = IdHeaders::new(arguments.id_headers.clone());
    let redactor = Redactor::new(arguments.redact.rules()?).with_id_headers(id_headers);
    warn_of_secrets(&arguments.redact);
    let request = arguments.live.request(SettingFlags::default(), audit);
    let outcome = engine::run(&kernel, request, None, |header| {
        // The terminal is taken only now that the processes are known and the probes are attached.
        let sink = Terminal::new(arguments.style.style(true)).start()?;
        let options = options(arguments, redactor, Box::new(sink));
        Ok(Box::new(PipelineConsumer(Pipeline::new(header, options))))
    });
    // A shutdown that took too long has left it as it was.
    give_back();
    outcome
}

fn options(arguments: &TopArgs, redactor: Redactor, sink: Box<TopSink>) -> Options {
    Options {
        decode: http_decode::Settings {
            hold_ns: u64::try_from(arguments.hold.as_nanos()).unwrap_or(u64::MAX),
            ..http_decode::Settings::default()
        },
        redactor,
        filter: Filter::new(arguments.filter.clone()),
        policy: None,
        sink,
        limit: None,
        connections: false,
        hops: true,
        verbose: arguments.messages.verbose,
    }
}
