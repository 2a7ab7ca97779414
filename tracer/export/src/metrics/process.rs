//! What tlscope itself uses, by the names that Prometheus' client libraries have for it.

use procfs::{process::Process, ticks_per_second};

/// The figures of this process.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnFigures {
    /// Since its start.
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: u64,
    pub(super) virtual_bytes: u64,
    pub(super) threads: i64,
    /// `None` if they cannot be counted.
    pub(super) open_fds: Option<u64>,
    /// Since 1970.
    pub(super) start_seconds: Option<f64>,
}

impl OwnFigures {
    /// Reads them. Returns `None` without `/proc`.
    pub(super) fn read() -> Option<Self> {
        let process = Process::myself().ok()?;
        let stat = process.stat().ok()?;
        let ticks = seconds(ticks_per_second());
        let boot = procfs::boot_time_secs().ok();
        Some(Self {
            cpu_seconds: seconds(stat.utime.saturating_add(stat.stime)) / ticks,
            resident_bytes: stat.rss.saturating_mul(procfs::page_size()),
            virtual_bytes: stat.vsize,
            threads: stat.num_threads,
            open_fds: process.fd_count().ok().and_then(|count| count.try_into().ok()),
            start_seconds: boot.map(|boot| seconds(boot) + seconds(stat.starttime) / ticks),
        })
    }
}

/// Returns a number of seconds, or of parts of them, as a floating-point number.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
const fn seconds(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_figures() {
        let figures = OwnFigures::read().unwrap();
        assert!(figures.resident_bytes > 100_000 && figures.virtual_bytes >= figures.resident_bytes);
        assert!(figures.threads >= 1 && figures.open_fds.is_some_and(|count| count >= 3));
        assert!(figures.start_seconds.is_some_and(|start| start > 1e9) && figures.cpu_seconds >= 0.0);
    }
}
