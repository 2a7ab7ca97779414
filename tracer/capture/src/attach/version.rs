//! Versions of the kernel, and what depends on them.

use std::fmt;

/// The major and minor version of a kernel.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct KernelVersion {
    pub(super) major: u16,
    pub(super) minor: u16,
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl KernelVersion {
    /// First version with attach cookies and links of perf events.
    const OLDEST: Self = Self { major: 5, minor: 15 };
    /// First version in which a return probe is a system call, for which a seccomp filter may kill the process.
    const RETURN_PROBE_SYSCALL: Self = Self { major: 6, minor: 11 };
    /// First version in which seccomp filters do not apply to that system call.
    const RETURN_PROBE_PASSES: Self = Self { major: 6, minor: 14 };

    /// First version whose links of many uprobes are used.
    pub(super) const MANY_UPROBES: Self = Self { major: 6, minor: 10 };
    /// First version with a tracepoint where every socket sends.
    const ALL_SENDS: Self = Self { major: 6, minor: 3 };

    /// Returns whether the running kernel has a tracepoint where every socket sends, and not only those of TCP.
    pub(super) fn traces_all_sends() -> bool {
        Self::running().is_some_and(|version| version >= Self::ALL_SENDS)
    }

    pub(super) fn running() -> Option<Self> {
        Self::parse(rustix::system::uname().release().to_str().ok()?)
    }

    /// Returns whether it lacks what is required.
    pub(super) fn is_too_old(self) -> bool {
        self < Self::OLDEST
    }

    /// Parses a release, such as `6.1.0-42-amd64`.
    pub(crate) fn parse(release: &str) -> Option<Self> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        Some(Self {
            major: numbers.next()?.ok()?,
            minor: numbers.next()?.ok()?,
        })
    }

    /// Returns whether the running kernel may kill a process under a seccomp filter at a return probe.
    pub(crate) fn is_deadly_at_returns() -> bool {
        Self::running().is_some_and(Self::kills_at_return)
    }

    pub(super) fn kills_at_return(self) -> bool {
        (Self::RETURN_PROBE_SYSCALL..Self::RETURN_PROBE_PASSES).contains(&self) && cfg!(target_arch = "x86_64")
    }
}
