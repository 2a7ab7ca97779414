//! CPUs that are possible but absent, and CPUs that come online.

use std::{
    collections::BTreeMap,
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::Result;
use support::{
    Access, Nginx, Trace, Tracer, curl, kernel,
    nginx::Setup,
    wait,
    wrk::{Load, Wrk},
};

const BODY: usize = 3 * 1024 * 1024;
const REQUESTS: usize = 400;

/// How long a worker stays on a CPU; less than the duration of a response.
const STAY: Duration = Duration::from_millis(6);

/// Starts nginx with one worker, and uploads a file of [`BODY`] bytes to it.
fn start_nginx() -> Result<Nginx> {
    let nginx = Nginx::start_with(Setup {
        workers: Some(1),
        ..Setup::default()
    })?;
    let folder = tempfile::tempdir()?;
    let body = folder.path().join("body");
    fs::write(&body, vec![b'b'; BODY])?;
    let body = body.to_string_lossy();
    curl::request(&["--fail", "--upload-file", &body, &nginx.url("/upload/body")])?;
    Ok(nginx)
}

/// Requests large bodies as fast as possible while the worker moves from one CPU to the other.
fn load(nginx: &Nginx) -> Result<()> {
    let over = AtomicBool::new(false);
    let workers = nginx.workers()?;
    thread::scope(|scope| {
        let mover = scope.spawn(|| -> Result<()> {
            for cpu in [0, 1].into_iter().cycle() {
                for worker in &workers {
                    kernel::move_to_cpu(*worker, cpu)?;
                }
                if over.load(Ordering::Relaxed) {
                    return Ok(());
                }
                thread::sleep(STAY);
            }
            Ok(())
        });
        let before = nginx.log()?.len();
        let wrk = Wrk::start(nginx, Load::of(REQUESTS, "/upload/body?NUMBER"));
        let loaded = wrk.and_then(|wrk| {
            nginx.wait_until_logged(before + REQUESTS)?;
            wrk.stop()
        });
        over.store(true, Ordering::Relaxed);
        mover.join().expect("the mover does not panic")?;
        loaded
    })
}

/// Stops the tracer once it has printed all logged requests.
fn stop(tracer: Tracer, nginx: &Nginx) -> Result<(Trace, Vec<Access>)> {
    let log: Vec<_> = nginx
        .log()?
        .into_iter()
        .filter(|access| access.method == "GET")
        .collect();
    wait::until_true("every request", || {
        Ok(tracer.count_lines(r#""type":"exchange""#) >= log.len())
    })?;
    Ok((tracer.stop()?, log))
}

/// Asserts that each request was printed once, with its response, and each byte that the kernel lost was reported once.
fn assert_each_request_and_each_loss_once(trace: &Trace, log: &[Access]) -> Result<()> {
    let totals = trace.totals()?;
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let exchanges = trace.exchanges()?;
    for exchange in &exchanges {
        *seen.entry(exchange.request_id().unwrap_or("none")).or_default() += 1;
    }
    let once: BTreeMap<&str, usize> = log.iter().map(|access| (access.id.as_str(), 1)).collect();
    assert!(seen == once, "{} of {}: {totals:?}", seen.len(), once.len());
    let losses = trace.lines_of("loss")?;
    let reported: u64 = losses.iter().filter_map(|loss| loss["bytes"].as_u64()).sum();
    assert_eq!((totals.half, reported), (0, totals.lost_bytes));
    assert!(trace.stderr.iter().all(|line| !line.contains("too late")));
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn possible_but_absent_cpus_cost_neither_requests_nor_memory() -> Result<()> {
    const PEAK_KIB: u64 = 150 * 1000;
    let nginx = start_nginx()?;
    let folder = tempfile::tempdir()?;
    let possible = folder.path().join("possible");
    fs::write(&possible, "0-255\n")?;
    let tracer = Tracer::with_cpus("possible", &possible, &[nginx.master()])?;
    load(&nginx)?;
    let peak = tracer.peak_kib()?;
    let (trace, log) = stop(tracer, &nginx)?;
    assert_each_request_and_each_loss_once(&trace, &log)?;
    assert!(peak < PEAK_KIB, "{peak} KiB");
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_cpu_that_comes_online_loses_nothing_and_gets_a_ring() -> Result<()> {
    let nginx = start_nginx()?;
    let folder = tempfile::tempdir()?;
    let online = folder.path().join("online");
    fs::write(&online, "1\n")?;
    let tracer = Tracer::with_cpus("online", &online, &[nginx.master()])?;
    let before = tracer.bpf_objects()?.maps.len();
    curl::request(&["--fail", &nginx.url("/small/before")])?;
    fs::write(&online, "0-1\n")?;
    wait::until_true("a ring of the other CPU", || {
        Ok(tracer.bpf_objects()?.maps.len() == before + 1)
    })?;
    load(&nginx)?;
    let (trace, log) = stop(tracer, &nginx)?;
    assert_each_request_and_each_loss_once(&trace, &log)
}
