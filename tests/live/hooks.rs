//! Which kinds of probes are attached, and for how long.

use anyhow::Result;
use support::{Nginx, Tracer, curl, wait};

/// Requests on one connection each, which are more than the calls that confirm a tap or a lift.
const REQUESTS: usize = 300;

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn no_return_probe_is_attached_unless_asked_for() -> Result<()> {
    let nginx = Nginx::start()?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    let kinds = tracer.link_kinds()?;
    assert!(!kinds.is_empty());
    assert!(!kinds.iter().any(|kind| kind.contains("uretprobe")), "{kinds:?}");
    assert_eq!(tracer.stop()?.code, Some(0));
    let tracer = Tracer::of(&[nginx.master()], &["--hooks", "return"])?;
    let kinds = tracer.link_kinds()?;
    assert!(kinds.iter().any(|kind| kind.contains("uretprobe")), "{kinds:?}");
    curl::request(&[&nginx.url("/small/1")])?;
    tracer.wait_for_lines(1)?;
    assert_eq!(tracer.stop()?.code, Some(0));
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_probes_of_calls_are_detached_once_cheaper_ones_are_confirmed() -> Result<()> {
    let nginx = Nginx::start()?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    let before = tracer.bpf_objects()?.links.len();
    let urls = format!("{}[1-{REQUESTS}]", nginx.url("/small/"));
    curl::request(&["--output", "/dev/null", &urls])?;
    wait::until_true("fewer links", || Ok(tracer.bpf_objects()?.links.len() < before))?;
    // What comes later is captured all the same.
    curl::request(&["--output", "/dev/null", &urls])?;
    tracer.wait_for_lines(2 * REQUESTS)?;
    let trace = tracer.stop()?;
    let totals = trace.totals()?;
    assert_eq!(
        (totals.exchanges, totals.half, totals.lost_records),
        (2 * REQUESTS as u64, 0, 0)
    );
    Ok(())
}
