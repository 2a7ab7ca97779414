//! Plants secrets in every part of a head, and searches all output of tlscope for them.

use std::collections::BTreeSet;

use anyhow::Result;
use support::{
    Nginx, Trace, Tracer, curl,
    nginx::Setup,
    secrets::{LOCATIONS, QUERY, REQUEST_FIELDS, find_secret},
};

/// Sends four requests with secrets to nginx while `tlscope trace` runs with `args`.
fn trace_secrets(args: &[&str]) -> Result<Trace> {
    let nginx = Nginx::start_with(Setup {
        locations: LOCATIONS,
        ..Setup::default()
    })?;
    let tracer = Tracer::of(&[nginx.master()], &[args, &["-n", "4"]].concat())?;
    let fields: Vec<_> = REQUEST_FIELDS.iter().flat_map(|field| ["--header", field]).collect();
    for path in ["/small/x", "/login", "/denied"] {
        curl::request(
            &[
                &fields[..],
                &["--data", "in=pLantedBody", &nginx.url(&format!("{path}?{QUERY}"))],
            ]
            .concat(),
        )?;
    }
    let absolute = format!("https://user:pLanted51@localhost/small/x?{QUERY}");
    curl::request(&["--request-target", &absolute, &nginx.url("/")])?;
    let trace = tracer.finish()?;
    assert_eq!((trace.code, trace.totals()?.exchanges), (Some(0), 4));
    Ok(trace)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn no_output_format_shows_a_secret() -> Result<()> {
    for form in ["json", "text", "combined", "har"] {
        let trace = trace_secrets(&["-o", form])?;
        let everything = trace.everything();
        assert!(
            everything.contains("[redacted]") && everything.contains("page=2"),
            "{form}: {everything}"
        );
        assert_eq!(find_secret(&everything), None, "{form}");
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn fingerprints_reveal_only_which_credentials_are_equal() -> Result<()> {
    let trace = trace_secrets(&["--fingerprint"])?;
    assert_eq!(find_secret(&trace.everything()), None);
    let exchanges = trace.exchanges()?;
    let keys: BTreeSet<_> = exchanges
        .iter()
        .filter_map(|exchange| exchange.request_header("x-api-key"))
        .collect();
    let others: BTreeSet<_> = exchanges
        .iter()
        .filter_map(|exchange| exchange.request_header("api-key"))
        .collect();
    assert_eq!((keys.len(), others.len()), (1, 1));
    assert!(
        keys.is_disjoint(&others) && keys.iter().all(|key| key.starts_with("[redacted:")),
        "{keys:?}"
    );
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn names_and_patterns_are_masked_in_addition() -> Result<()> {
    let trace = trace_secrets(&["--redact", "User-Agent", "--redact-pattern", "page=[0-9]"])?;
    let everything = trace.everything();
    assert!(
        !everything.contains("curl/") && !everything.contains("page=2"),
        "{everything}"
    );
    assert_eq!(find_secret(&everything), None);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn show_secrets_prints_secrets_but_no_body() -> Result<()> {
    let trace = trace_secrets(&["--show-secrets"])?;
    let everything = trace.everything();
    for number in (1..=9).chain(10..=17).chain(21..=28).chain(31..=39) {
        assert!(
            everything.contains(&format!("pLanted{number:02}")),
            "pLanted{number:02} is not shown"
        );
    }
    assert!(!everything.contains("pLantedBody") && !everything.contains("pLanted40"));
    assert!(
        trace.stderr.iter().any(|line| line.contains("--show-secrets")),
        "stderr has a warning"
    );
    Ok(())
}
