//! The kernel's own account of executable mappings, and if asked for of forks, as `perf record` uses it.
//!
//! In: nothing but the privilege to watch all processes. Out: which process mapped a file as executable, or forked
//! another. Costs a process nothing but when it does so. What the kernel found no room for is counted, and then everybody
//! may have mapped anything.

use std::io;

use perf_event::{Builder, Sampler, data::Record, events::Software};

use crate::{limits::MAPPINGS_BYTES, target::ProcessEvent};

/// What all CPUs tell of mappings.
#[derive(Debug)]
pub struct Mappings {
    watched: Vec<Watched>,
    /// Whether forks are told; the kernel's account has them in any case.
    forks: bool,
}

/// What one CPU tells of mappings.
pub struct Watched(Sampler);

impl Watched {
    /// Begins to watch a CPU.
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
    /// Begins to watch; `forks` too, where nothing else tells of them.
    pub(super) fn watch(forks: bool) -> io::Result<Self> {
        let cpus = aya::util::online_cpus().map_err(|(_, error)| error)?;
        let watched: io::Result<Vec<_>> = cpus.into_iter().map(Watched::begin).collect();
        Ok(Self {
            watched: watched?,
            forks,
        })
    }

    /// Adds a CPU that came online. What was mapped there before is not told.
    pub fn add(&mut self, watched: Watched) {
        self.watched.push(watched);
    }

    /// Takes what was told since the last time.
    pub fn take(&mut self, mut tell: impl FnMut(ProcessEvent)) {
        for Watched(sampler) in &mut self.watched {
            while let Some(record) = sampler.next_record() {
                match record.parse_record() {
                    Ok(Record::Mmap2(mapped)) => tell(ProcessEvent::Mmap { pid: mapped.pid }),
                    Ok(Record::Mmap(mapped)) => tell(ProcessEvent::Mmap { pid: mapped.pid }),
                    // Else it is a thread.
                    Ok(Record::Fork(forked)) if self.forks && forked.pid != forked.ppid => tell(ProcessEvent::Fork {
                        pid: forked.pid,
                        parent: forked.ppid,
                    }),
                    Ok(Record::Lost(_)) | Err(_) => tell(ProcessEvent::Lost),
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
    fn an_executable_mapping_is_told_and_another_is_not() {
        let mut mappings = Mappings::watch(false).unwrap();
        let own = ProcessEvent::Mmap {
            pid: std::process::id(),
        };
        let mut told = |access| {
            mappings.take(drop);
            map(access);
            let mut found = false;
            mappings.take(|life| found |= life == own);
            found
        };
        assert!(told(ProtFlags::READ | ProtFlags::EXEC));
        assert!(!told(ProtFlags::READ));
    }

    #[test]
    #[ignore = "needs the privilege to watch all processes: scripts/test runs it"]
    fn a_process_that_is_forked_is_told_with_its_parent_where_that_is_asked_for() {
        for asked in [true, false] {
            let mut mappings = Mappings::watch(asked).unwrap();
            let mut child = Command::new("true").spawn().unwrap();
            child.wait().unwrap();
            let forked = ProcessEvent::Fork {
                pid: child.id(),
                parent: std::process::id(),
            };
            let mut told = false;
            mappings.take(|life| told |= life == forked);
            assert_eq!(told, asked);
        }
    }

    fn map(access: ProtFlags) {
        const BYTES: usize = 4096;
        let file = File::open("/proc/self/exe").unwrap();
        // SAFETY: a new mapping, to which nothing refers.
        let address = unsafe { mmap(ptr::null_mut(), BYTES, access, MapFlags::PRIVATE, &file, 0).unwrap() };
        // SAFETY: the mapping just made.
        unsafe { munmap(address, BYTES).unwrap() };
    }
}
