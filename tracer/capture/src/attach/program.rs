//! Which BPF programs a hook needs and where they go, and which hooks a process needs.

use std::collections::BTreeSet;

use symbolizer::{Caller, ExitSite, Hook, HookKind, Role, Tier};
use tracer_ebpf::{CallEnd, Cookie};

use super::{Calls, Needs, Placement, Reach, ends::call_end, operands::role_of, placement::PlannedSite};

/// A BPF program for uprobes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Program {
    CallEntry,
    CallReturn,
    CallExit,
    GoroutineEntry,
    GoroutineExit,
    Tap,
    TapPieces,
    TapRecord,
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
    /// The programs in the order in which their probes are attached: ends of calls first, because a call whose end is not
    /// probed would stay in the map of calls, and an end without its entry is ignored; taps before the ends of
    /// connections, because a tap takes a connection that was cleared for one that is captured from its first byte on.
    pub(super) const ALL: [Self; 11] = [
        Self::CallReturn,
        Self::CallExit,
        Self::GoroutineExit,
        Self::CallEntry,
        Self::GoroutineEntry,
        Self::Tap,
        Self::TapPieces,
        Self::TapRecord,
        Self::BioReplaced,
        Self::ConnectionEnd,
        Self::BioWrite,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::CallEntry => "call_entry",
            Self::CallReturn => "call_return",
            Self::CallExit => "call_exit",
            Self::GoroutineEntry => "goroutine_entry",
            Self::GoroutineExit => "goroutine_exit",
            Self::Tap => "tap",
            Self::TapPieces => "tap_pieces",
            Self::TapRecord => "tap_record",
            Self::BioReplaced => "bio_replaced",
            Self::ConnectionEnd => "connection_end",
            Self::BioWrite => "bio_write",
        }
    }

    /// Returns whether the program runs as a function returns.
    pub(super) const fn is_return(self) -> bool {
        match self {
            Self::CallReturn => true,
            Self::CallEntry
            | Self::CallExit
            | Self::GoroutineEntry
            | Self::GoroutineExit
            | Self::Tap
            | Self::TapPieces
            | Self::TapRecord
            | Self::BioReplaced
            | Self::ConnectionEnd
            | Self::BioWrite => false,
        }
    }

    /// Returns the probes of a hook.
    pub(super) fn points(hook: &Hook, cookie: Cookie) -> Vec<Point> {
        let at = |program, offset, depth| Point {
            program,
            offset,
            cookie: cookie.with_depth(depth),
        };
        let site = hook.site.offset.0;
        match hook.kind {
            HookKind::Lift => Vec::new(),
            HookKind::Tap => vec![at(Self::of_tap(hook), site, 0)],
            HookKind::Entry | HookKind::Return => {
                let has_return = hook.kind == HookKind::Return;
                let programs = Self::of_role(hook.role).iter();
                let programs = programs.filter(|program| has_return || !program.is_return());
                programs.map(|program| at(*program, site, 0)).collect()
            }
            HookKind::Exit => {
                let Some(exits) = &hook.exits else {
                    return Vec::new();
                };
                let (begins, ends) = match exits.caller {
                    Caller::Thread => (Self::CallEntry, Self::CallExit),
                    Caller::Goroutine(_) => (Self::GoroutineEntry, Self::GoroutineExit),
                };
                let exit = |exit: &ExitSite| {
                    let point = at(ends, exit.site.offset.0, exit.depth);
                    Some(Point {
                        cookie: point.cookie.with_end(call_end(exit)?),
                        ..point
                    })
                };
                let mut entry = at(begins, site, exits.entry_depth);
                if let Some(condition) = exits.entry_when {
                    entry.cookie = entry.cookie.with_end(CallEnd::default().when(condition));
                }
                let exits: Option<Vec<_>> = exits.sites.iter().map(exit).collect();
                exits.into_iter().flatten().chain([entry]).collect()
            }
        }
    }

    fn of_tap(hook: &Hook) -> Self {
        if hook.role == Role::Ciphertext {
            Self::TapRecord
        } else if hook.operands.pieces.is_some() {
            Self::TapPieces
        } else {
            Self::Tap
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

/// Returns whether the kernel emulates every probed instruction of a hook that calls usually pass, so that a hit costs one
/// trap. Only such hooks are probed for all processes, since processes that are not traced hit them too.
pub(super) fn is_emulated(hook: &Hook) -> bool {
    let is_emulated = |site: symbolizer::Site| site.tier == Tier::Emulated;
    let mut exits = hook.exits.iter().flat_map(|exits| &exits.sites);
    hook.kind == HookKind::Lift || is_emulated(hook.site) && exits.all(|exit| exit.is_rare || is_emulated(exit.site))
}

/// Returns whether the probes of a hook are for all processes. Return probes never are: they may kill a process that nobody
/// has examined.
pub(super) fn is_shared(reach: Reach, hook: &Hook) -> bool {
    reach == Reach::AllProcesses && is_emulated(hook) && hook.kind != HookKind::Return
}

/// Returns the file offsets at which every process gets a probe, each once: those of calls too, until taps are confirmed.
pub(crate) fn probed_offsets(placement: &Placement) -> BTreeSet<u64> {
    let needs = Needs {
        calls: Calls::BOTH,
        ..Needs::default()
    };
    let points = |site: &PlannedSite| {
        if !is_needed(site, needs, false) {
            return None;
        }
        let role = role_of(&site.hook)?;
        Some(Program::points(&site.hook, Cookie::new(0, role)))
    };
    let points = placement.sites.iter().filter_map(points).flatten();
    points.map(|point| point.offset).collect()
}

/// Returns whether a process needs probes at a site. Each probe that is not needed is overhead for the process, and
/// kernels before Linux 6.6 take some 0.1 s to remove it, one after the other.
pub(super) fn is_needed(site: &PlannedSite, needs: Needs, handshakes: bool) -> bool {
    match site.hook.role {
        // Where the descriptor can be read from the object, nothing has to note it when it is set.
        Role::Descriptor => !site.knows_descriptor(),
        // A connection that gets another BIO sends through another socket, which does not lead to it.
        Role::Bio => !site.knows_descriptor() || site.has_lift,
        // The first call of a handshake shows that a connection is captured from its first byte on. That is worth a probe
        // only if it is emulated.
        Role::Handshake => needs.ciphertext || handshakes || is_emulated(&site.hook),
        Role::Read if site.is_fallback => needs.calls.read,
        Role::Write if site.is_fallback => needs.calls.write,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_hook_with_a_return_probe_has_one() {
        let path = format!("/usr/lib/{}-linux-gnu/libgnutls.so.30", std::env::consts::ARCH);
        let image = std::fs::read(path).unwrap();
        let plan = symbolizer::plan(&image, None).unwrap().plans.remove(0);
        // What sets a descriptor is one of the hooks that need no result.
        let is_entry = |hook: &&Hook| hook.kind == HookKind::Entry && hook.role == Role::Descriptor;
        assert!(plan.hooks.iter().any(|hook| is_entry(&hook)));
        for hook in &plan.hooks {
            let points = Program::points(hook, Cookie::new(0, hook.role));
            let has_return = points.iter().any(|point| point.program.is_return());
            assert_eq!(
                has_return,
                hook.kind == HookKind::Return && hook.role != Role::EarlyRead,
                "{hook:?}"
            );
            assert!(!points.is_empty(), "{hook:?}");
        }
    }
}
