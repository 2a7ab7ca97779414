//! Which BPF programs a hook needs, by its role.

use symbolizer::{Hook, Role, Tier};

use super::{Needs, placement::PlannedSite};

/// The BPF programs.
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

    /// Which programs a role needs. The return probe comes first: an entry without its return would fill the table of
    /// calls, a return without its entry finds nothing there.
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

/// Bystanders meet the probes for everyone too, so those sit where a hit costs one trap.
pub(super) fn is_cheap(hook: &Hook) -> bool {
    hook.site.tier == Tier::Emulated
}

/// Which hooks a process needs probes at. Where the library's structures are known, they tell the descriptor, and
/// nobody needs to note it. Every probe less is less to pay for, and a tenth of a second less to wait at the end: the
/// kernel takes them away one after the other.
pub(super) fn is_needed(site: &PlannedSite, needs: Needs, handshakes: bool) -> bool {
    match site.hook.role {
        Role::Descriptor | Role::Bio => !site.knows_descriptor(),
        // The first call of a handshake shows that a connection is seen from its first byte on; that is worth a cheap probe.
        Role::Handshake => needs.ciphertext || handshakes || is_cheap(&site.hook),
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
