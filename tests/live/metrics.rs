//! Metrics of a running trace, which Prometheus scrapes.

use std::{
    env,
    io::{Read as _, Write as _},
    net::TcpListener,
    thread,
};

use anyhow::Result;
use support::{
    Metrics, Nginx, Prometheus, Tracer, curl,
    nginx::Setup,
    secrets::{LOCATIONS, QUERY, REQUEST_FIELDS, find_secret},
    wait,
    wrk::{Load, Wrk},
};

/// Returns the number of requests, to as many paths: `TLSCOPE_SCRAPED_REQUESTS`, or 20,000. Twelve millions take five minutes.
fn requests() -> Result<u32> {
    let named = env::var("TLSCOPE_SCRAPED_REQUESTS").ok();
    Ok(named.map_or(Ok(20_000), |number| number.parse())?)
}

/// Requests that are waited for at once, at most.
const ROUND: u32 = 200_000;

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn prometheus_counts_what_a_gateway_logs_and_has_few_series() -> Result<()> {
    let count = requests()?;
    let nginx = Nginx::start()?;
    let tracer = Tracer::of(&[nginx.master()], &["-o", "none", "--metrics", "127.0.0.1:0"])?;
    let metrics = Metrics::of(&tracer)?;
    let prometheus = Prometheus::scraping(metrics.address())?;
    let mut sent = 0;
    while sent < count {
        let round = ROUND.min(count - sent);
        let wrk = Wrk::start(
            &nginx,
            Load::of(usize::try_from(round)?, &format!("/small/{sent}-NUMBER")),
        )?;
        sent += round;
        nginx.wait_until_logged(usize::try_from(sent)?)?;
        wrk.stop()?;
    }
    let requests = "sum(tlscope_requests_total{side=\"server\",process=\"nginx\",status=\"2xx\"})";
    prometheus.wait_for_value(&requests.replace('"', "%22"), count)?;
    prometheus.wait_for_value("sum(tlscope_request_duration_seconds_count)", count)?;
    let scrape = metrics.scrape()?;
    assert_eq!(scrape.count("tlscope_lost_bytes_total", &[])?, 0, "{}", scrape.0);
    // Each request is read, and written, by hooks of nginx's library.
    let records = scrape.count("tlscope_records_total", &["library=\"openssl\",function=\"SSL_"])?;
    assert!(records >= 2 * u64::from(count), "{}", scrape.0);
    assert!(scrape.count_series("tlscope_requests_total") < 5, "{}", scrape.0);
    assert!(scrape.sum("tlscope_ring_capacity_bytes", &[])? > 0.0 && scrape.count_series("tlscope_table_entries") > 3);
    assert_eq!(metrics.health()?, "ok\n");
    drop(prometheus);
    let trace = tracer.stop()?;
    assert_eq!(
        (trace.code, trace.totals()?.exchanges, trace.stdout.len()),
        (Some(0), u64::from(count), 0)
    );
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_request_is_active_until_it_is_answered_on_both_sides_of_a_gateway() -> Result<()> {
    let upstream = TcpListener::bind("127.0.0.1:0")?;
    let nginx = Nginx::start_with(Setup {
        locations: &format!("location /slow {{ proxy_pass http://{}; }}", upstream.local_addr()?),
        ..Setup::default()
    })?;
    let tracer = Tracer::of(&[nginx.master()], &["-o", "none", "--metrics", "127.0.0.1:0"])?;
    let metrics = Metrics::of(&tracer)?;
    let active = |expected| {
        wait::until_true(&format!("{expected} active requests"), || {
            let scrape = metrics.scrape()?;
            let count = |side: &str| scrape.count("tlscope_active_requests", &[side, "method=\"GET\""]);
            Ok(count("side=\"server\"")? == expected && count("side=\"client\"")? == expected)
        })
    };
    thread::scope(|scope| {
        let client = scope.spawn(|| curl::request(&[&nginx.url("/slow")]));
        let (mut asked, _) = upstream.accept()?;
        active(1)?;
        assert!(asked.read(&mut [0; 4096])? > 0);
        asked.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        drop(asked);
        let answer = client.join();
        assert!(matches!(answer, Ok(Ok(_))));
        active(0)
    })?;
    assert_eq!(tracer.stop()?.code, Some(0));
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
    wait::until_true("all requests are counted", || {
        Ok(metrics.scrape()?.count("tlscope_requests_total", &[])? == 3)
    })?;
    assert_eq!(find_secret(&metrics.scrape()?.0), None);
    assert_eq!(tracer.stop()?.code, Some(0));
    Ok(())
}
