//! Metrics of a tape that is still being written, scraped by the test and by Prometheus.

use std::{
    fs::{File, OpenOptions},
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use support::{Metrics, Prometheus, Trace, Tracer, run, secrets::find_secret, wait};
use tempfile::TempDir;
use tracer_observe::{
    batch::{Batch, Totals},
    tape::{Reader, Writer},
};

use crate::tapes::{all, nginx, replay};

/// A `tlscope replay` that has read all of a tape but its end, so that it goes on.
pub(crate) struct Unfinished {
    pub(crate) tracer: Tracer,
    tape: Writer<File>,
    totals: Totals,
    _directory: TempDir,
}

impl Unfinished {
    /// Replays a tape from a pipe. A batch without records follows the last one: once time has passed, nothing waits any more
    /// for what may still come.
    pub(crate) fn start(tape: &Path, args: &[&str]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("pipe");
        run::succeed(Command::new("mkfifo").arg(&path))?;
        let name = path.display().to_string();
        let tracer = Tracer::start(&[&["replay", &name], args].concat())?;
        let mut reader = Reader::open(tape)?;
        let pipe = OpenOptions::new().write(true).open(&path)?;
        let mut tape = Writer::new(pipe, reader.header())?;
        let mut last_ns = 0;
        while let Some(batch) = reader.next_batch()? {
            last_ns = batch.drained_ns;
            tape.batch(&batch)?;
        }
        tape.batch(&Batch::new(last_ns + LATER_NS))?;
        Ok(Self {
            tracer,
            tape,
            totals: reader.totals().unwrap_or_default(),
            _directory: directory,
        })
    }

    /// Writes the end of the tape, and waits for that of `tlscope`.
    pub(crate) fn finish(self) -> Result<Trace> {
        self.tape.finish(self.totals)?;
        self.tracer.finish()
    }
}

/// Longer than exchanges wait for the addresses of their connections, and shorter than `--hold`.
const LATER_NS: u64 = 150_000_000;

const METRICS: [&str; 2] = ["--metrics", "127.0.0.1:0"];

/// Returns the sum of the requests that are counted once all of these are.
fn wait_for_requests(metrics: &Metrics, count: u64) -> Result<support::metrics::Scrape> {
    wait::until("all requests are counted", || {
        let scrape = metrics.scrape()?;
        let counted = scrape.count("tlscope_requests_total", &[])?;
        ensure!(counted <= count, "{counted} requests of {count}");
        Ok((counted == count).then_some(scrape))
    })
}

#[test]
fn the_counts_are_those_of_the_lines() -> Result<()> {
    let exchanges = crate::tapes::trace(&nginx()?, &[])?.exchanges()?;
    let unfinished = Unfinished::start(&nginx()?, &[&["-o", "none"], &METRICS[..]].concat())?;
    let metrics = Metrics::of(&unfinished.tracer)?;
    let scrape = wait_for_requests(&metrics, u64::try_from(exchanges.len())?)?;
    for (labels, status) in [
        ("status=\"2xx\"", 200..300),
        ("status=\"3xx\"", 300..400),
        ("status=\"4xx\"", 400..500),
    ] {
        let of_class = exchanges.iter().filter(|exchange| {
            let number = exchange.number("/response/status");
            number.is_some_and(|number| status.contains(&number))
        });
        let counted = scrape.count("tlscope_requests_total", &["process=\"nginx\"", labels])?;
        assert_eq!(counted, u64::try_from(of_class.count())?, "{labels}");
    }
    let timed_us: u64 = exchanges
        .iter()
        .filter_map(|exchange| exchange.number("/duration_us"))
        .sum();
    let sum = scrape.sum("tlscope_request_duration_seconds_sum", &[])?;
    let timed = std::time::Duration::from_micros(timed_us).as_secs_f64();
    assert!((sum - timed).abs() < 1e-6, "{sum} s, not {timed} s");
    assert_eq!(metrics.health()?, "ok\n");
    let trace = unfinished.finish()?;
    assert_eq!((trace.code, trace.stdout.len()), (Some(0), 0));
    let totals = trace.totals()?;
    assert_eq!(totals.exchanges, u64::try_from(exchanges.len())?);
    Ok(())
}

#[test]
fn metrics_change_nothing_in_the_output_and_show_no_secret() -> Result<()> {
    for tape in all()? {
        let (stdout, _) = replay(&tape, &["-o", "json"])?;
        let exchanges = crate::tapes::trace(&tape, &[])?.exchanges()?.len();
        let unfinished = Unfinished::start(&tape, &[&["-o", "json"], &METRICS[..]].concat())?;
        let metrics = Metrics::of(&unfinished.tracer)?;
        let text = wait_for_requests(&metrics, u64::try_from(exchanges)?)
            .with_context(|| tape.display().to_string())?
            .0;
        assert_eq!(find_secret(&text), None, "{}", tape.display());
        let printed = unfinished.finish()?.stdout.clone();
        assert_eq!(printed, stdout.lines().collect::<Vec<_>>(), "{}", tape.display());
    }
    Ok(())
}

#[test]
fn prometheus_has_the_counts_of_a_tape() -> Result<()> {
    let exchanges = crate::tapes::trace(&nginx()?, &[])?.exchanges()?.len();
    let exchanges = u32::try_from(exchanges)?;
    let unfinished = Unfinished::start(&nginx()?, &[&["-o", "none"], &METRICS[..]].concat())?;
    let metrics = Metrics::of(&unfinished.tracer)?;
    let prometheus = Prometheus::scraping(metrics.address())?;
    prometheus.wait_for_value("sum(tlscope_requests_total)", exchanges)?;
    prometheus.wait_for_value("sum(tlscope_request_duration_seconds_count)", exchanges)?;
    prometheus.wait_for_value("up", 1)?;
    drop(prometheus);
    assert_eq!(unfinished.finish()?.code, Some(0));
    Ok(())
}
