//! Memory, file descriptors and BPF objects of tlscope after many processes and connections, which must not grow.

use anyhow::Result;
use support::{
    Nginx, Tracer,
    kernel::BpfObjects,
    nginx::Setup,
    program::Program,
    wrk::{Load, Wrk},
};

use crate::claims::{assert_nothing_lost, assert_same_requests};

/// The allowed growth in KiB: far less than 1 KiB per process or connection.
const GROWTH_KIB: u64 = 8 * 1024;

/// The resources of a tracer at one time.
#[derive(Debug)]
struct Usage {
    kib: u64,
    descriptors: usize,
    kernel: BpfObjects,
}

impl Usage {
    fn by(tracer: &Tracer) -> Result<Self> {
        Ok(Self {
            kib: tracer.resident_kib()?,
            descriptors: tracer.descriptors()?,
            kernel: tracer.bpf_objects()?,
        })
    }

    /// Asserts that the resources did not grow, and prints them.
    fn assert_flat(&self, later: &Self, what: &str) {
        eprintln!(
            "{what}: {} KiB and {} descriptors early, {} KiB and {} descriptors late",
            self.kib, self.descriptors, later.kib, later.descriptors
        );
        assert!(later.kib < self.kib + GROWTH_KIB, "{what}: {self:?}, {later:?}");
        // There may be fewer: probes at calls are detached once these have confirmed the taps and lifts.
        assert!(later.descriptors <= self.descriptors, "{what}: {self:?}, {later:?}");
        let (early, late) = (&self.kernel, &later.kernel);
        assert!(late.links.is_subset(&early.links), "{what}: {early:?}, {late:?}");
        assert_eq!((&early.programs, &early.maps), (&late.programs, &late.maps), "{what}");
        assert_eq!(early.bytes, late.bytes, "{what}");
    }
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn ten_thousand_children_leave_no_memory_in_use() -> Result<()> {
    const EARLY: usize = 1_000;
    const CHILDREN: usize = 10_000;
    const ASKING: usize = 10;
    let nginx = Nginx::start()?;
    let mut program = Program::c("forks.c", &[&nginx.port().to_string()])?;
    let tracer = Tracer::of(&[program.pid()], &[])?;
    let mut early = None;
    for thousand in 1..=CHILDREN / EARLY {
        program.send_line(&format!("fork {EARLY} {ASKING} 1"))?;
        program.wait_for_count("did", thousand)?;
        tracer.wait_for_lines(thousand * EARLY / ASKING)?;
        early = early.or(Some(Usage::by(&tracer)?));
    }
    let late = Usage::by(&tracer)?;
    let log = nginx.wait_for_log(CHILDREN / ASKING)?;
    let trace = tracer.stop()?;
    program.finish()?;
    assert_same_requests(&trace, &log)?;
    if let Some(early) = early {
        early.assert_flat(&late, "10,000 children");
    }
    late.kernel.wait_until_gone()
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_hundred_thousand_connections_leave_no_memory_in_use() -> Result<()> {
    const STEP: usize = 10_000;
    const CONNECTIONS: usize = 100_000;
    // Each response closes its connection.
    let nginx = Nginx::start_with(Setup {
        locations: "location /closing/ { keepalive_timeout 0; return 200 'small\\n'; }",
        ..Setup::default()
    })?;
    let tracer = Tracer::of(&[nginx.master()], &[])?;
    let wrk = Wrk::start(&nginx, Load::of(CONNECTIONS, "/closing/NUMBER"))?;
    let mut early = None;
    for done in (STEP..=CONNECTIONS).step_by(STEP) {
        nginx.wait_until_logged(done)?;
        tracer.wait_for_lines(done)?;
        early = early.or(Some(Usage::by(&tracer)?));
    }
    let late = Usage::by(&tracer)?;
    wrk.stop()?;
    let log = nginx.log()?;
    let connections: std::collections::BTreeSet<_> = log.iter().map(|access| access.connection.as_str()).collect();
    assert_eq!(connections.len(), CONNECTIONS, "each request has its own connection");
    let trace = tracer.stop()?;
    assert_nothing_lost(&trace, CONNECTIONS)?;
    assert_same_requests(&trace, &log)?;
    if let Some(early) = early {
        early.assert_flat(&late, "100,000 connections");
    }
    late.kernel.wait_until_gone()
}
