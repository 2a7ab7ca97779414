//! How much memory tlscope takes, with two CPUs: of its own, and of the kernel's.

use anyhow::Result;
use support::{Nginx, Tracer, curl};

const MIB: u64 = 1024 * 1024;

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn on_an_idle_nginx_little_memory_is_held_inside_the_kernel_and_outside() -> Result<()> {
    let nginx = Nginx::start()?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    curl::ask(&[&nginx.url("/small/1")])?;
    tracer.wait_for_lines(1)?;
    let (held, in_kernel) = (tracer.held_kib()? * 1024, tracer.holdings()?.bytes);
    assert!(held < 48 * MIB, "{held} bytes resident");
    // A ring for each CPU comes on top.
    let cpus = u64::try_from(std::thread::available_parallelism()?.get())?;
    let rings = cpus.saturating_sub(2) * 9 * MIB;
    assert!(in_kernel < 40 * MIB + rings, "{in_kernel} bytes of maps and rings");
    let trace = tracer.stop()?;
    assert_eq!(trace.exchanges()?.len(), 1);
    Ok(())
}
