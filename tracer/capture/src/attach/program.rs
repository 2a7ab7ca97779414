//! Which BPF programs a hook needs, by its kind and its role, and where they go.

use symbolizer::{Hook, HookKind, Role, Tier};
use tracer_ebpf::Cookie;

use super::{Needs, Placement};

/// The BPF programs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Program {
    CallEntry,
    CallReturn,
    CallExit,
    Tap,
    BioReplaced,
    ConnectionEnd,
    BioWrite,
}

/// A probe to place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) program: Program,
    /// Where in the file.
    pub(super) offset: u64,
    pub(super) cookie: Cookie,
}

impl Program {
    pub(super) const ALL: [Self; 7] = [
        Self::CallEntry,
        Self::CallReturn,
        Self::CallExit,
        Self::Tap,
        Self::BioReplaced,
        Self::ConnectionEnd,
        Self::BioWrite,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::CallEntry => "call_entry",
            Self::CallReturn => "call_return",
            Self::CallExit => "call_exit",
            Self::Tap => "tap",
            Self::BioReplaced => "bio_replaced",
            Self::ConnectionEnd => "connection_end",
            Self::BioWrite => "bio_write",
        }
    }

    /// Which probes a hook needs. Those at the end of calls come first: an entry without its return would fill the table of
    /// calls, a return without its entry finds nothing there.
    pub(super) fn points(hook: &Hook, cookie: Cookie) -> Vec<Point> {
        let at = |program, offset, depth| Point {
            program,
            offset,
            cookie: cookie.with_depth(depth),
        };
        let site = hook.site.offset.0;
        match hook.kind {
            HookKind::Lift => Vec::new(),
            HookKind::Tap => vec![at(Self::Tap, site, 0)],
            HookKind::Entry | HookKind::Return => {
                let programs = Self::of_role(hook.role).iter();
                programs.map(|program| at(*program, site, 0)).collect()
            }
            HookKind::Exit => {
                let Some(exits) = &hook.exits else {
                    return Vec::new();
                };
                let exit = |exit: &symbolizer::ExitSite| at(Self::CallExit, exit.site.offset.0, exit.depth);
                let entry = at(Self::CallEntry, site, exits.entry_depth);
                exits.sites.iter().map(exit).chain([entry]).collect()
            }
        }
    }

    const fn of_role(role: Role) -> &'static [Self] {
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
    let is_emulated = |site: symbolizer::Site| site.tier == Tier::Emulated;
    let mut exits = hook.exits.iter().flat_map(|exits| &exits.sites);
    hook.kind == HookKind::Lift || is_emulated(hook.site) && exits.all(|exit| is_emulated(exit.site))
}

/// Which hooks a process needs probes at. Where the library's structures are known, they tell the descriptor, and
/// nobody needs to note it. Every probe less is less to pay for, and a tenth of a second less to wait at the end: the
/// kernel takes them away one after the other.
pub(super) fn is_needed(placement: &Placement, hook: &Hook, needs: Needs, handshakes: bool) -> bool {
    match hook.role {
        Role::Descriptor => !placement.knows_descriptor(),
        // The sends of a connection that writes to another BIO now lead nowhere.
        Role::Bio => !placement.knows_descriptor() || placement.has_lift(),
        // The first call of a handshake shows that a connection is seen from its first byte on; that is worth a cheap probe.
        Role::Handshake => needs.ciphertext || handshakes || is_cheap(hook),
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
