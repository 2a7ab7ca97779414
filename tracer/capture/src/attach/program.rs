//! Which BPF programs a function needs, by its role.

use symbolizer::{Function, Role, Tier};

use super::{Needs, Placement};

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
            | Role::ReadEx
            | Role::WriteEx
            | Role::WriteEx2
            | Role::Sendfile
            | Role::WriteEarly
            | Role::Handshake
            | Role::SetFd
            | Role::SetRfd
            | Role::SetWfd => &[Self::CallReturn, Self::CallEntry],
            Role::ReadEarly => &[Self::CallEntry],
            Role::SetBio | Role::SetRbio | Role::SetWbio => &[Self::BioReplaced],
            Role::Free | Role::Clear => &[Self::ConnectionEnd],
            Role::BioWrite => &[Self::BioWrite],
        }
    }
}

/// Bystanders meet the probes for everyone too, so those sit where a hit costs one trap.
pub(super) fn is_cheap(function: &Function) -> bool {
    function.site.tier == Tier::Emulated
}

/// Which functions a process needs probes at. Where the library's structures are known, they tell the descriptor, and
/// nobody needs to note it. Every probe less is less to pay for, and a tenth of a second less to wait at the end: the
/// kernel takes them away one after the other.
pub(super) fn is_needed(placement: &Placement, function: &Function, needs: Needs, handshakes: bool) -> bool {
    match function.role {
        Role::SetFd | Role::SetRfd | Role::SetWfd | Role::SetBio | Role::SetRbio | Role::SetWbio => {
            !placement.knows_descriptor()
        }
        // The first call of a handshake shows that a connection is seen from its first byte on; that is worth a cheap probe.
        Role::Handshake => needs.ciphertext || handshakes || is_cheap(function),
        Role::BioWrite => needs.ciphertext,
        Role::Read
        | Role::Write
        | Role::ReadEx
        | Role::WriteEx
        | Role::WriteEx2
        | Role::Sendfile
        | Role::WriteEarly
        | Role::ReadEarly
        | Role::Free
        | Role::Clear => true,
    }
}

pub(super) const fn abi_role(role: Role) -> tracer_ebpf::Role {
    match role {
        Role::Read | Role::ReadEx => tracer_ebpf::Role::Read,
        Role::Write | Role::WriteEx | Role::WriteEx2 => tracer_ebpf::Role::Write,
        Role::SetFd | Role::SetRfd | Role::SetWfd => tracer_ebpf::Role::Descriptor,
        Role::SetBio | Role::SetRbio | Role::SetWbio => tracer_ebpf::Role::Bio,
        Role::Free => tracer_ebpf::Role::End,
        Role::Clear => tracer_ebpf::Role::Clear,
        Role::Handshake => tracer_ebpf::Role::Handshake,
        Role::Sendfile => tracer_ebpf::Role::Sendfile,
        Role::WriteEarly => tracer_ebpf::Role::EarlyWrite,
        Role::ReadEarly => tracer_ebpf::Role::EarlyRead,
        Role::BioWrite => tracer_ebpf::Role::Ciphertext,
    }
}
