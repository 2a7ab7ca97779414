//! Secrets in HTTP/2: in indexed and never-indexed fields, in split cookies, and in trailers.

use anyhow::Result;
use support::{
    Nginx, Trace, Tracer, curl, nghttp,
    nginx::Setup,
    secrets::{LOCATIONS, QUERY, REQUEST_FIELDS, find_secret},
};

/// Cookies as a browser sends them over HTTP/2, each in its own field.
const CRUMBS: [&str; 3] = [
    "cookie: session=pLanted61",
    "cookie: theme=pLanted62",
    "cookie: pLanted63",
];

/// Sends requests with secrets to nginx while one `tlscope trace` runs for each of `args`.
fn trace_secrets<const N: usize>(args: [&[&str]; N]) -> Result<Vec<Trace>> {
    let nginx = Nginx::start_with(Setup {
        locations: LOCATIONS,
        workers: Some(1),
        ..Setup::default()
    })?;
    let worker = nginx.workers()?;
    let tracers = args.map(|args| Tracer::of(&worker, &[args, &["-n", "6", "--no-plaintext"]].concat()));
    let fields: Vec<_> = REQUEST_FIELDS.iter().flat_map(|field| ["--header", field]).collect();
    let url = |path: &str| nginx.url(&format!("{path}?{QUERY}"));
    // All on one connection, so that later requests refer to fields that the first one indexed.
    let urls = ["/small/x", "/login", "/denied"].map(url);
    let urls = urls.iter().map(String::as_str);
    curl::request(&[&["--http2"], &fields[..], &urls.collect::<Vec<_>>()].concat())?;
    curl::request(&["--http2", "--data", "in=pLantedBody", &url("/post/x")])?;
    let crumbs: Vec<_> = CRUMBS.iter().flat_map(|crumb| ["--header", crumb]).collect();
    nghttp::request(&[&crumbs[..], &["--multiply=2", &url("/small/crumbs")]].concat())?;
    let ended = tracers.map(|tracer| {
        let trace = tracer?.finish()?;
        assert_eq!((trace.code, trace.totals()?.exchanges), (Some(0), 6));
        Ok(trace)
    });
    ended.into_iter().collect()
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn no_output_format_shows_a_secret_over_http_2() -> Result<()> {
    for trace in trace_secrets([&["-o", "json"], &["-o", "text"], &["-o", "har"]])? {
        let everything = trace.everything();
        assert!(
            everything.contains("[redacted]") && everything.contains("page=2"),
            "{everything}"
        );
        assert_eq!(find_secret(&everything), None);
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn show_secrets_prints_secrets_over_http_2_but_no_body() -> Result<()> {
    for trace in trace_secrets([&["--show-secrets"]])? {
        let everything = trace.everything();
        // Verifies the test above: the secrets that it searches for are in the traffic.
        for number in (1..=9).chain(10..=17).chain(21..=28).chain(31..=39).chain(61..=63) {
            assert!(
                everything.contains(&format!("pLanted{number:02}")),
                "pLanted{number:02} is not shown"
            );
        }
        assert!(!everything.contains("pLantedBody") && !everything.contains("pLanted40"));
    }
    Ok(())
}
