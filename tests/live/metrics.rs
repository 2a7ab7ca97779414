//! Metrics of a running trace, which Prometheus scrapes.

use anyhow::Result;
use support::{
    Metrics, Nginx, Prometheus, Tracer, curl,
    nginx::Setup,
    secrets::{LOCATIONS, QUERY, REQUEST_FIELDS, find_secret},
    wrk::{Load, Wrk},
};

/// Requests to as many paths.
const REQUESTS: u32 = 20_000;

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn prometheus_counts_what_a_gateway_logs_and_has_few_series() -> Result<()> {
    let nginx = Nginx::start()?;
    let tracer = Tracer::of(&[nginx.master()], &["-o", "none", "--metrics", "127.0.0.1:0"])?;
    let metrics = Metrics::of(&tracer)?;
    let prometheus = Prometheus::scraping(metrics.address())?;
    let wrk = Wrk::start(&nginx, Load::of(usize::try_from(REQUESTS)?, "/small/NUMBER"))?;
    nginx.wait_until_logged(usize::try_from(REQUESTS)?)?;
    wrk.stop()?;
    let requests = "sum(tlscope_requests_total{side=\"server\",process=\"nginx\",status=\"2xx\"})";
    prometheus.wait_for_value(&requests.replace('"', "%22"), REQUESTS)?;
    prometheus.wait_for_value("sum(tlscope_request_duration_seconds_count)", REQUESTS)?;
    let scrape = metrics.scrape()?;
    assert_eq!(scrape.count("tlscope_lost_bytes_total", &[])?, 0, "{}", scrape.0);
    assert!(scrape.count_series("tlscope_requests_total") < 5, "{}", scrape.0);
    assert!(scrape.sum("tlscope_ring_capacity_bytes", &[])? > 0.0 && scrape.count_series("tlscope_table_entries") > 3);
    assert_eq!(metrics.health()?, "ok\n");
    drop(prometheus);
    let trace = tracer.stop()?;
    assert_eq!(
        (trace.code, trace.totals()?.exchanges, trace.stdout.len()),
        (Some(0), u64::from(REQUESTS), 0)
    );
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn no_label_shows_a_secret() -> Result<()> {
    let nginx = Nginx::start_with(Setup {
        locations: LOCATIONS,
        ..Setup::default()
    })?;
    let tracer = Tracer::of(&[nginx.master()], &["-o", "none", "--metrics", "127.0.0.1:0"])?;
    let metrics = Metrics::of(&tracer)?;
    let fields: Vec<_> = REQUEST_FIELDS.iter().flat_map(|field| ["--header", *field]).collect();
    for path in ["/login", "/denied", "/small/x"] {
        let url = nginx.url(&format!("{path}?{QUERY}"));
        curl::request(&[&fields[..], &[&url]].concat())?;
    }
    nginx.wait_until_logged(3)?;
    support::wait::until_true("all requests are counted", || {
        Ok(metrics.scrape()?.count("tlscope_requests_total", &[])? == 3)
    })?;
    assert_eq!(find_secret(&metrics.scrape()?.0), None);
    assert_eq!(tracer.stop()?.code, Some(0));
    Ok(())
}
