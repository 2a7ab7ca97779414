//! mmap events of executable mappings, and fork events where no program reports them, from perf as `perf record` reads
//! them.
//!
//! They cost a process nothing outside of mmap and fork. If a buffer overflows, the kernel counts the lost events, and every
//! process has to be scanned again.

use std::io;

use perf_event::{Builder, Sampler, data::Record, events::Software};

use crate::{limits::MAPPINGS_BYTES, target::ProcessEvent};

/// The perf buffers of all online CPUs.
#[derive(Debug)]
pub struct Mappings {
    watched: Vec<Watched>,
    /// Whether to report fork events, which the buffers have in any case.
    forks: bool,
}

/// The perf buffer of a CPU.
pub struct Watched(Sampler);

impl Watched {
    /// Opens the buffer of a CPU.
    pub(super) fn begin(cpu: u32) -> io::Result<Self> {
        watch_cpu(cpu).map(Self)
    }
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Watched").finish_non_exhaustive()
    }
}

impl Mappings {
    /// Opens the buffers of all online CPUs. `forks` asks for fork events too.
    pub(super) fn watch(forks: bool) -> io::Result<Self> {
        let cpus = aya::util::online_cpus().map_err(|(_, error)| error)?;
        let watched: io::Result<Vec<_>> = cpus.into_iter().map(Watched::begin).collect();
        Ok(Self {
            watched: watched?,
            forks,
        })
    }

    /// Adds the buffer of a CPU that came online, which has no earlier events.
    pub fn add(&mut self, watched: Watched) {
        self.watched.push(watched);
    }

    /// Reads the events since the last call.
    pub fn take(&mut self, mut emit: impl FnMut(ProcessEvent)) {
        for Watched(sampler) in &mut self.watched {
            while let Some(record) = sampler.next_record() {
                match record.parse_record() {
                    Ok(Record::Mmap2(mapped)) => emit(ProcessEvent::Mmap { pid: mapped.pid }),
                    Ok(Record::Mmap(mapped)) => emit(ProcessEvent::Mmap { pid: mapped.pid }),
                    // The parent's pid is that of the child for a thread.
                    Ok(Record::Fork(forked)) if self.forks && forked.pid != forked.ppid => emit(ProcessEvent::Fork {
                        pid: forked.pid,
                        parent: forked.ppid,
                    }),
                    Ok(Record::Lost(_)) | Err(_) => emit(ProcessEvent::Lost),
                    Ok(_) => {}
                }
            }
        }
    }
}

fn watch_cpu(cpu: u32) -> io::Result<Sampler> {
    let cpu = usize::try_from(cpu).unwrap_or(usize::MAX);
    let mut builder = Builder::new(Software::DUMMY);
    builder
        .any_pid()
        .one_cpu(cpu)
        .include_kernel()
        .mmap(true)
        .mmap2(true)
        .task(true)
        .enabled(true);
    builder.build()?.sampled(MAPPINGS_BYTES)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, process::Command, ptr};

    use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

    use super::*;

    #[test]
    #[ignore = "needs the privilege to watch all processes: scripts/test runs it"]
    fn only_an_executable_mapping_is_reported() {
        let mut mappings = Mappings::watch(false).unwrap();
        let own = ProcessEvent::Mmap {
            pid: std::process::id(),
        };
        let mut is_reported = |access| {
            mappings.take(drop);
            map(access);
            let mut found = false;
            mappings.take(|life| found |= life == own);
            found
        };
        assert!(is_reported(ProtFlags::READ | ProtFlags::EXEC));
        assert!(!is_reported(ProtFlags::READ));
    }

    #[test]
    #[ignore = "needs the privilege to watch all processes: scripts/test runs it"]
    fn a_fork_is_reported_with_its_parent_only_on_request() {
        for asked in [true, false] {
            let mut mappings = Mappings::watch(asked).unwrap();
            let mut child = Command::new("true").spawn().unwrap();
            child.wait().unwrap();
            let forked = ProcessEvent::Fork {
                pid: child.id(),
                parent: std::process::id(),
            };
            let mut reported = false;
            mappings.take(|event| reported |= event == forked);
            assert_eq!(reported, asked);
        }
    }

    fn map(access: ProtFlags) {
        const BYTES: usize = 4096;
        let file = File::open("/proc/self/exe").unwrap();
        // SAFETY: the kernel chooses the address, so no existing mapping is replaced.
        let address = unsafe { mmap(ptr::null_mut(), BYTES, access, MapFlags::PRIVATE, &file, 0).unwrap() };
        // SAFETY: the mapping was created above, and no reference into it exists.
        unsafe { munmap(address, BYTES).unwrap() };
    }
}
