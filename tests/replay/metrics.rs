//! Metrics of a tape that is still being written, scraped by the test and by Prometheus.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result, ensure};
use support::{Metrics, Prometheus, secrets::find_secret, wait};
use tracer_ebpf::{Kind, RecordHeader};
use tracer_observe::tape::Reader;
use zerocopy::FromBytes as _;

use crate::{
    tapes::{all, named, nginx, replay, trace},
    unfinished::Unfinished,
};

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
    let exchanges = trace(&nginx()?, &[])?.exchanges()?;
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

/// Returns how many records of data each function has on a tape, which is read without the pipeline.
fn records_by_function(tape: &Path) -> Result<BTreeMap<String, u64>> {
    let mut reader = Reader::open(tape)?;
    let mut functions: Vec<_> = reader.header().sites.iter().map(|site| site.function.clone()).collect();
    let mut counts = BTreeMap::new();
    while let Some(batch) = reader.next_batch()? {
        functions.extend(batch.sites.iter().map(|site| site.function.clone()));
        for record in batch.records() {
            let (header, _) = RecordHeader::read_from_prefix(record)
                .ok()
                .context("a record is cut short")?;
            if header.kind == Kind::DATA || header.kind == Kind::PASSED {
                let site = usize::try_from(header.cookie.site())?;
                let function = functions.get(site).context("there is no such site")?;
                *counts.entry(function.clone()).or_default() += 1;
            }
        }
    }
    Ok(counts)
}

#[test]
fn the_records_of_each_function_are_those_on_the_tape() -> Result<()> {
    for name in ["nginx", "gateway"] {
        let tape = named(name)?;
        let expected = records_by_function(&tape)?;
        let unfinished = Unfinished::start(&tape, &[&["-o", "none"], &METRICS[..]].concat())?;
        let metrics = Metrics::of(&unfinished.tracer)?;
        let all = expected.values().sum::<u64>();
        let scrape = wait::until("all records are counted", || {
            let scrape = metrics.scrape()?;
            let counted = scrape.count("tlscope_records_total", &[])?;
            ensure!(counted <= all, "{counted} records of {all}");
            Ok((counted == all).then_some(scrape))
        })?;
        for (function, records) in &expected {
            let labels = format!("{{library=\"openssl\",function=\"{function}\"}}");
            assert_eq!(
                scrape.count("tlscope_records_total", &[&labels])?,
                *records,
                "{function}"
            );
        }
        assert!(expected.len() > 1 && scrape.count_series("tlscope_records_total") == expected.len());
        assert_eq!(unfinished.finish()?.code, Some(0));
    }
    Ok(())
}

#[test]
fn metrics_change_nothing_in_the_output_and_show_no_secret() -> Result<()> {
    for tape in all()? {
        let (stdout, _) = replay(&tape, &["-o", "json"])?;
        let exchanges = trace(&tape, &[])?.exchanges()?.len();
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
    let exchanges = trace(&nginx()?, &[])?.exchanges()?.len();
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
