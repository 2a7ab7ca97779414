//! The kernel's own account of executable mappings, as `perf record` uses it.
//!
//! In: nothing but the privilege to watch all processes. Out: which process mapped which file as executable. Costs a
//! process nothing but when it does so. What the kernel found no room for is counted, and then everybody may have mapped
//! anything.

use std::io;

use perf_event::{Builder, Sampler, data::Record, events::Software};

use crate::{limits::MAPPINGS_BYTES, target::Life};

/// What all CPUs tell of mappings.
pub struct Mappings {
    samplers: Vec<Sampler>,
}

impl Mappings {
    /// Begins to watch.
    pub(super) fn watch() -> io::Result<Self> {
        let cpus = aya::util::online_cpus().map_err(|(_, error)| error)?;
        let samplers: io::Result<Vec<_>> = cpus.into_iter().map(watch_cpu).collect();
        Ok(Self { samplers: samplers? })
    }

    /// Takes what was told since the last time.
    pub fn take(&mut self, mut tell: impl FnMut(Life)) {
        for sampler in &mut self.samplers {
            while let Some(record) = sampler.next_record() {
                match record.parse_record() {
                    Ok(Record::Mmap2(mapped)) => tell(Life::Mapped { pid: mapped.pid }),
                    Ok(Record::Mmap(mapped)) => tell(Life::Mapped { pid: mapped.pid }),
                    Ok(Record::Lost(_)) | Err(_) => tell(Life::Overlooked),
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
        .enabled(true);
    builder.build()?.sampled(MAPPINGS_BYTES)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, ptr};

    use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

    use super::*;

    #[test]
    #[ignore = "needs the privilege to watch all processes: scripts/test runs it"]
    fn an_executable_mapping_is_told_and_another_is_not() {
        let mut mappings = Mappings::watch().unwrap();
        let own = Life::Mapped {
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

    fn map(access: ProtFlags) {
        const BYTES: usize = 4096;
        let file = File::open("/proc/self/exe").unwrap();
        // SAFETY: a new mapping, to which nothing refers.
        let address = unsafe { mmap(ptr::null_mut(), BYTES, access, MapFlags::PRIVATE, &file, 0).unwrap() };
        // SAFETY: the mapping just made.
        unsafe { munmap(address, BYTES).unwrap() };
    }
}
