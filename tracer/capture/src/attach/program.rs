//! Which BPF programs a hook needs, and which hooks a process needs.

use symbolizer::{Hook, Role, Tier};

use super::{Needs, placement::PlannedSite};

/// A BPF program for uprobes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Program {
    CallEntry,
    CallReturn,
    BioReplaced,
    ConnectionEnd,
    BioWrite,
}

impl Program {
    pub(super) const ALL: [Self; 5] = [
        Self::CallEntry,
        Self::CallReturn,
        Self::BioReplaced,
        Self::ConnectionEnd,
        Self::BioWrite,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::CallEntry => "call_entry",
            Self::CallReturn => "call_return",
            Self::BioReplaced => "bio_replaced",
            Self::ConnectionEnd => "connection_end",
            Self::BioWrite => "bio_write",
        }
    }

    /// Returns the programs of a role. The return probe is attached first: an entry whose return is not probed would
    /// stay in the map of calls, and a return without its entry is ignored.
    pub(super) const fn of_role(role: Role) -> &'static [Self] {
        match role {
            Role::Read
            | Role::Write
            | Role::Flush
            | Role::Sendfile
            | Role::EarlyWrite
            | Role::Handshake
            | Role::Descriptor => &[Self::CallReturn, Self::CallEntry],
            Role::EarlyRead => &[Self::CallEntry],
            Role::Bio => &[Self::BioReplaced],
            Role::End | Role::Clear => &[Self::ConnectionEnd],
            Role::Ciphertext => &[Self::BioWrite],
        }
    }
}

/// Returns whether the kernel emulates the probed instruction, so that a hit costs one trap. Only such sites are probed
/// for all processes, since processes that are not traced hit them too.
pub(super) fn is_emulated(hook: &Hook) -> bool {
    hook.site.tier == Tier::Emulated
}

/// Returns whether a process needs probes at a site. Each probe that is not needed is overhead for the process, and the
/// kernel takes some 0.1 s to remove it, one after the other.
pub(super) fn is_needed(site: &PlannedSite, needs: Needs, handshakes: bool) -> bool {
    match site.hook.role {
        // Where the descriptor can be read from the object, nothing has to note it when it is set.
        Role::Descriptor | Role::Bio => !site.knows_descriptor(),
        // The first call of a handshake shows that a connection is captured from its first byte on. That is worth a probe
        // only if it is emulated.
        Role::Handshake => needs.ciphertext || handshakes || is_emulated(&site.hook),
        Role::Ciphertext => needs.ciphertext,
        Role::Read
        | Role::Write
        | Role::Flush
        | Role::Sendfile
        | Role::EarlyWrite
        | Role::EarlyRead
        | Role::End
        | Role::Clear => true,
    }
}
