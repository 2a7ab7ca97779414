//! Why the kernel does not let this process examine another.
//!
//! The kernel returns only `EACCES` (`__ptrace_may_access` in `kernel/ptrace.c`), so the reason is inferred from this
//! process's user and capabilities.

use std::fmt;

use procfs::process::Process;

/// Bit of `CAP_SYS_PTRACE` in a capability set (`include/uapi/linux/capability.h`).
const CAP_SYS_PTRACE: u32 = 19;

/// The likely reason; displayed as the end of an error message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Denial {
    /// This process is not root.
    NotRoot,
    /// It is root without `CAP_SYS_PTRACE`.
    NoCapability,
    /// It has `CAP_SYS_PTRACE`, and a user namespace or security module denies access.
    Policy,
}

impl Denial {
    /// Reads the user and capabilities of this process.
    pub(super) fn find() -> Self {
        let status = Process::myself().and_then(|own| own.status());
        status.map_or(Self::NotRoot, |status| Self::of(status.euid, status.capeff))
    }

    const fn of(euid: u32, capabilities: u64) -> Self {
        match (euid, capabilities & (1 << CAP_SYS_PTRACE)) {
            (_, 1..) => Self::Policy,
            (0, 0) => Self::NoCapability,
            (_, 0) => Self::NotRoot,
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRoot => "; tlscope needs root",
            Self::NoCapability => ": this root lacks CAP_SYS_PTRACE, as in a container",
            Self::Policy => {
                " although tlscope has CAP_SYS_PTRACE: it belongs to an outer user namespace, or a security module protects it"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_follows_from_user_and_capabilities() {
        let ptrace = 1 << CAP_SYS_PTRACE;
        assert_eq!(Denial::of(1000, 0), Denial::NotRoot);
        assert_eq!(Denial::of(0, !ptrace), Denial::NoCapability);
        assert_eq!(Denial::of(0, ptrace), Denial::Policy);
        assert!(!Denial::of(0, u64::MAX).to_string().contains("root"));
    }
}
