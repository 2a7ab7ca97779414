//! Resident memory of this process that only its start needs.

use procfs::process::{MMPermissions, MMapPath, MemoryMap, Process};
use rustix::mm::{Advice, madvise};

/// Returns memory to the kernel once everything is planned and loaded: what was freed, and code.
pub fn trim() {
    trim_heap();
    trim_code();
}

/// Returns freed memory to the kernel. BTF and images take tens of megabytes for a moment; glibc would keep them.
pub(super) fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `malloc_trim` is thread-safe, takes no pointer, and releases only memory that no allocation uses.
    unsafe {
        libc::malloc_trim(0)
    };
}

/// Unmaps the pages of code. Those that run again are mapped again from the file, in groups of sixteen; most only planned and
/// loaded.
fn trim_code() {
    let maps = Process::myself().and_then(|own| own.smaps());
    for map in maps.into_iter().flatten().filter(is_clean_code) {
        let (begin, end) = map.address;
        let (Ok(begin), Ok(length)) = (usize::try_from(begin), usize::try_from(end - begin)) else {
            continue;
        };
        let begin = std::ptr::with_exposed_provenance_mut(begin);
        // SAFETY: this is a private mapping of a file that cannot be written to and of which no page was copied, so the kernel maps
        // the same bytes again at the next access. An error leaves the pages as they are.
        let _unmapped: rustix::io::Result<()> = unsafe { madvise(begin, length, Advice::LinuxDontNeed) };
    }
}

/// Returns whether a mapping is code of a file, none of whose pages was copied, as for a breakpoint.
fn is_clean_code(map: &MemoryMap) -> bool {
    let expected = MMPermissions::READ | MMPermissions::EXECUTE | MMPermissions::PRIVATE;
    map.perms == expected && matches!(map.pathname, MMapPath::Path(_)) && map.extension.map.get("Anonymous") == Some(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resident_code() -> u64 {
        let maps = Process::myself().unwrap().smaps().unwrap();
        let code = maps.into_iter().filter(is_clean_code);
        code.map(|map| map.extension.map.get("Rss").copied().unwrap()).sum()
    }

    #[test]
    fn code_is_unmapped_and_runs_again() {
        let before = resident_code();
        trim();
        let after = resident_code();
        assert!(after < before, "{after} of {before} bytes");
    }
}
