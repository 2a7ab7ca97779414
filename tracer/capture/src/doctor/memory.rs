//! Limits on descriptors and memory.

use procfs::{FromRead as _, Meminfo};
use rustix::process::{Resource, getrlimit};

use super::{Finding, Roots, Subject};
use crate::sizes::default_ring_bytes;

/// Descriptors that rings and, on kernels without links of many, the probes of some libraries take.
const FEW_FILES: u64 = 1024;

/// About what tables take, and the decoder with some thousand connections.
const TABLES_BYTES: u64 = 64 * 1024 * 1024;

pub(super) fn examine(roots: &Roots) -> [Finding; 2] {
    let available = Meminfo::from_file(roots.proc.join("meminfo")).ok();
    let available = available.and_then(|memory| memory.mem_available);
    let cpus = aya::util::online_cpus().map_or(1, |cpus| cpus.len());
    [
        open_files(getrlimit(Resource::Nofile).current),
        memory(available, u64::from(default_ring_bytes()), cpus as u64),
    ]
}

fn open_files(limit: Option<u64>) -> Finding {
    let subject = Subject::OpenFiles;
    match limit {
        Some(limit) if limit < FEW_FILES => Finding::limited(
            subject,
            limit.to_string(),
            "each traced file, ring and, before Linux 6.10, each probe takes a descriptor: many processes may need more",
        )
        .with_action(format!("raise the limit, as with ulimit -n {FEW_FILES}")),
        Some(limit) => Finding::fine(subject, limit.to_string(), "enough for hundreds of traced files"),
        None => Finding::fine(subject, "unlimited", "enough for any number of traced files"),
    }
}

fn memory(available: Option<u64>, ring: u64, cpus: u64) -> Finding {
    const MIB: u64 = 1024 * 1024;
    let subject = Subject::Memory;
    let needed = ring.saturating_mul(cpus).saturating_add(TABLES_BYTES);
    let rings = format!("{cpus} rings of {} MiB, and tables", ring / MIB);
    let Some(available) = available else {
        return Finding::unknown(
            subject,
            "unknown",
            format!("tlscope takes up to {} MiB: {rings}", needed / MIB),
        );
    };
    let value = format!("{} MiB available", available / MIB);
    let meaning = format!("tlscope takes up to {} MiB: {rings}", needed / MIB);
    if available / 2 < needed {
        Finding::limited(subject, value, meaning).with_action(
            "give a smaller --ring-kib, such as 1024; a busy gateway may fill it, which is reported as lost",
        )
    } else {
        Finding::fine(subject, value, meaning)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::State, *};

    #[test]
    fn few_descriptors_are_told() {
        assert_eq!(open_files(Some(256)).state, State::Limited);
        assert_eq!(open_files(Some(FEW_FILES)).state, State::Fine);
        assert_eq!(open_files(None).state, State::Fine);
    }

    #[test]
    fn memory_that_rings_would_take_most_of_is_told() {
        const GIB: u64 = 1 << 30;
        let of = |available| memory(Some(available), 16 << 20, 4);
        assert_eq!(of(GIB).state, State::Fine);
        let small = of(GIB / 8);
        assert_eq!(small.state, State::Limited);
        assert!(small.meaning.contains("128 MiB") && small.action.unwrap().contains("--ring-kib"));
        assert_eq!(memory(None, 1, 1).state, State::Unknown);
    }
}
