//! The sites of one file, and the links of the probes that are attached to them.

use std::{
    collections::BTreeSet,
    fs::File,
    io,
    num::NonZeroU32,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    path::PathBuf,
};

use aya::{
    Ebpf,
    programs::{
        ProgramError,
        uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeLinkId, UProbeScope},
    },
    sys::SyscallError,
};
use aya_obj::VerifierLog;
use symbolizer::{Hook, HookKind};
use tracer_ebpf::{Cookie, Direction, Operand, Role, SiteConfig, SiteCounters, SiteOperands, TargetFlags};

use super::{
    Calls, Error, Placement,
    load::load_single,
    multi::{self, MultiPrograms},
    operands::{operands_of, role_of},
    placement::PlannedSite,
    program::{Point, Program},
    reached::{Links, Reached, detach, detach_singly},
};

/// A file whose sites are registered.
#[derive(Debug)]
pub(super) struct Probed {
    pub(super) path: PathBuf,
    /// Held open, so that its inode number is not reused while the file is registered.
    pub(super) file: File,
    pub(super) placement: Placement,
    /// Index of the first site; the others follow in the order of the placement.
    pub(super) first: u32,
    /// Indexes of the taps and lifts that were found to be wrong.
    pub(super) given_up: BTreeSet<u32>,
    /// The probes that stay attached while the file is used.
    pub(super) usual: Reached,
    /// The probes at calls beside taps and lifts, which are detached once those are checked.
    pub(super) fallback: Fallback,
}

/// The probes at calls beside the taps and lifts of each direction.
#[derive(Debug, Default)]
pub(super) struct Fallback {
    read: Reached,
    written: Reached,
}

impl Fallback {
    /// Returns those of a direction.
    pub(super) fn of(&self, direction: Direction) -> &Reached {
        if direction == Direction::READ {
            &self.read
        } else {
            &self.written
        }
    }

    /// Returns those of a direction.
    pub(super) fn of_mut(&mut self, direction: Direction) -> &mut Reached {
        if direction == Direction::READ {
            &mut self.read
        } else {
            &mut self.written
        }
    }

    /// Returns the directions that have any.
    pub(super) fn directions(&self) -> impl Iterator<Item = Direction> {
        let directions = Calls::DIRECTIONS.into_iter();
        directions.filter(|direction| self.of(*direction).is_any())
    }
}

/// The programs of probes, and how they are attached.
pub(super) struct Attacher<'a> {
    pub(super) ebpf: &'a mut Ebpf,
    /// Absent where the kernel has no links of many uprobes.
    pub(super) multi: Option<&'a MultiPrograms>,
}

/// The sites that are to have probes for one process, or for all if `pid` is absent.
pub(super) struct Part<'a> {
    pub(super) pid: Option<NonZeroU32>,
    pub(super) wanted: &'a dyn Fn(&PlannedSite) -> bool,
}

/// A hook that is to be probed.
struct Wanted<'a> {
    index: u32,
    role: Role,
    hook: &'a Hook,
}

impl<'a> Wanted<'a> {
    fn points(&self) -> Vec<(Point, &'a Hook)> {
        let points = Program::points(self.hook, Cookie::new(self.index, self.role)).into_iter();
        points.map(|point| (point, self.hook)).collect()
    }
}

impl Probed {
    /// Creates a file without probes, whose first site has the index `first`.
    pub(super) fn new(path: PathBuf, file: File, placement: Placement, first: u32) -> Self {
        Self {
            path,
            file,
            placement,
            first,
            given_up: BTreeSet::new(),
            usual: Reached::default(),
            fallback: Fallback::default(),
        }
    }

    /// Attaches the probes of wanted hooks that are not attached: all of them, or none if one fails.
    pub(super) fn attach(&mut self, attacher: &mut Attacher<'_>, wanted: &[Part<'_>]) -> Result<(), Error> {
        let mut new = Vec::new();
        for part in wanted {
            for beside in [None, Some(Direction::READ), Some(Direction::WRITE)] {
                match self.attach_hooks(attacher, &self.missing(beside, part), part.pid) {
                    Ok(links) => new.push((beside, part.pid, links)),
                    Err(error) => {
                        for (_, _, links) in new {
                            detach(attacher.ebpf, links);
                        }
                        return Err(error);
                    }
                }
            }
        }
        for (beside, pid, links) in new {
            let reached = match beside {
                None => &mut self.usual,
                Some(direction) => self.fallback.of_mut(direction),
            };
            reached.add(links, pid);
        }
        Ok(())
    }

    /// Returns all probes.
    pub(super) fn all(&mut self) -> [&mut Reached; 3] {
        let Fallback { read, written } = &mut self.fallback;
        [&mut self.usual, read, written]
    }

    /// Returns whether any probe is attached.
    #[cfg(test)]
    pub(super) fn is_any(&mut self) -> bool {
        self.all().iter().any(|reached| reached.is_any())
    }

    /// Returns the configuration and the operands of each site, by its index.
    pub(super) fn configured(&self) -> Vec<(u32, SiteConfig, SiteOperands)> {
        let placement = &self.placement;
        let unless_given_up = |site: u16| {
            if self.given_up.contains(&site.into()) {
                SiteConfig::UNKNOWN
            } else {
                site
            }
        };
        let sites = (self.first..).zip(&placement.sites).map(|(index, site)| {
            let config = placement.config_from(self.first, site);
            let operands = SiteOperands {
                code_distance: placement.code_distance(site),
                ..operands_of(&site.hook)
            };
            let object = if self.given_up.contains(&index) && site.hook.kind == HookKind::Tap {
                // A hit without an object is none.
                Operand::NONE
            } else {
                operands.object
            };
            let config = SiteConfig {
                lift: unless_given_up(config.lift),
                tap: unless_given_up(config.tap),
                write_tap: unless_given_up(config.write_tap),
                calls: self.shared_calls(),
                ..config
            };
            (index, config, SiteOperands { object, ..operands })
        });
        sites.collect()
    }

    /// Returns whether a site is of this file.
    pub(super) fn has_site(&self, site: u32) -> bool {
        let of = site.checked_sub(self.first).and_then(|of| usize::try_from(of).ok());
        of.is_some_and(|of| of < self.placement.sites.len())
    }

    /// Notes that the taps or the lift of a direction are wrong, of the plan that a site is of.
    pub(super) fn give_up(&mut self, site: u32, direction: Direction) {
        let Some(of) = site.checked_sub(self.first).and_then(|of| usize::try_from(of).ok()) else {
            return;
        };
        let wrong = self.placement.cheap_sites(of, direction).into_iter();
        let wrong = wrong.filter_map(|index| self.first.checked_add(u32::try_from(index).ok()?));
        self.given_up.extend(wrong);
    }

    /// Returns the wanted hooks that have no probes, with the indexes of their sites: those at calls beside the tap or the
    /// lift of a direction, or all others.
    fn missing(&self, beside: Option<Direction>, part: &Part<'_>) -> Vec<(u32, Hook)> {
        let reached = beside.map_or(&self.usual, |direction| self.fallback.of(direction));
        let numbered = (self.first..).zip(&self.placement.sites);
        let missing = numbered.filter(|(index, site)| {
            site.beside() == beside && !reached.has_site(*index, part.pid) && (part.wanted)(site)
        });
        missing.map(|(index, site)| (index, site.hook.clone())).collect()
    }

    /// Attaches the probes of hooks. If one fails, all of them are detached.
    fn attach_hooks(
        &self,
        attacher: &mut Attacher<'_>,
        hooks: &[(u32, Hook)],
        pid: Option<NonZeroU32>,
    ) -> Result<Links, Error> {
        let wanted = hooks.iter().filter_map(|(index, hook)| {
            let role = role_of(hook)?;
            Some(Wanted {
                index: *index,
                role,
                hook,
            })
        });
        let wanted: Vec<_> = wanted.collect();
        let mut links = Links::default();
        if let Some(multi) = attacher.multi {
            links.multi.extend(self.attach_many(multi, &wanted, pid)?);
            links.sites.extend(wanted.iter().map(|wanted| wanted.index));
            return Ok(links);
        }
        // Clears come last: a tap takes a connection that was seen to be cleared as captured from its first byte on.
        let (clear, others): (Vec<_>, Vec<_>) = wanted.iter().partition(|wanted| wanted.role == Role::Clear);
        for wanted in others.into_iter().chain(clear) {
            match self.attach_singly(attacher.ebpf, wanted, pid) {
                Ok(single) => links.single.extend(single),
                Err(error) => {
                    detach(attacher.ebpf, links);
                    return Err(error);
                }
            }
            links.sites.insert(wanted.index);
        }
        Ok(links)
    }

    /// Returns how many calls have confirmed the taps and lifts of a direction. None if a call has contradicted one, which then
    /// stays wrong for every process.
    pub(super) fn confirmed(&self, counters: &[SiteCounters], direction: Direction) -> Option<u64> {
        let first = usize::try_from(self.first).unwrap_or(usize::MAX);
        let own = || counters.iter().skip(first).zip(&self.placement.sites);
        if own().any(|(site, planned)| planned.is_cheap_of(direction) && site.mismatches > 0) {
            return None;
        }
        let calls = own().filter(|(_, planned)| planned.beside() == Some(direction));
        Some(calls.fold(0, |sum, (site, _)| sum.saturating_add(site.confirmed)))
    }

    /// Returns whether calls can be probed wherever the tap or the lift of a direction may not serve a connection.
    pub(super) fn has_calls(&self, direction: Direction) -> bool {
        let sites = &self.placement.sites;
        let mut cheap = sites.iter().filter(|site| site.is_cheap_of(direction));
        cheap.all(|cheap| {
            let stands_in = |site: &&PlannedSite| site.beside() == Some(direction) && site.is_of_plan(cheap);
            sites.iter().filter(stands_in).any(|site| role_of(&site.hook).is_some())
        })
    }

    /// Returns of which directions the calls are probed in every process wherever the tap or the lift may not serve a connection,
    /// as [`SiteConfig::calls`] has it.
    pub(super) fn shared_calls(&self) -> u8 {
        let is_shared = |direction: &Direction| {
            let sites = (self.first..).zip(&self.placement.sites);
            let mut calls =
                sites.filter(|(_, site)| site.beside() == Some(*direction) && role_of(&site.hook).is_some());
            let reached = self.fallback.of(*direction);
            reached.is_any() && self.has_calls(*direction) && calls.all(|(index, _)| reached.has_site(index, None))
        };
        let shared = Calls::DIRECTIONS.into_iter().filter(is_shared);
        let flags = shared.fold(TargetFlags::default(), |flags, direction| {
            flags.with(TargetFlags::calls(direction))
        });
        u8::try_from(flags.0).unwrap_or_default()
    }

    /// Attaches one link for each program, in the order of [`Program::ALL`].
    fn attach_many(
        &self,
        multi: &MultiPrograms,
        wanted: &[Wanted<'_>],
        pid: Option<NonZeroU32>,
    ) -> Result<Vec<OwnedFd>, Error> {
        let points: Vec<_> = wanted.iter().flat_map(Wanted::points).collect();
        let mut links = Vec::new();
        for program in Program::ALL {
            let mut points = points.clone();
            points.retain(|(point, _)| point.program == program);
            if !points.is_empty() {
                links.push(self.attach_link(multi, program, &points, pid)?);
            }
        }
        Ok(links)
    }

    fn attach_link(
        &self,
        multi: &MultiPrograms,
        program: Program,
        points: &[(Point, &Hook)],
        pid: Option<NonZeroU32>,
    ) -> Result<OwnedFd, Error> {
        let pid = pid.map_or(0, NonZeroU32::get);
        let loaded = multi
            .load(program)
            .map_err(|error| Error::program(program.name())(load_error(error)))?;
        let attach = |points: &[(Point, &Hook)]| {
            let points: Vec<_> = points.iter().map(|(point, _)| (point.offset, point.cookie.0)).collect();
            multi::attach(loaded.as_fd(), program.is_return(), self.file.as_fd(), &points, pid)
        };
        attach(points).map_err(|source| {
            // The kernel does not say which of the probes it refuses.
            let alone = points.iter().find_map(|one| Some((one, attach(&[*one]).err()?)));
            match (alone, points.first()) {
                (Some(((_, hook), refused)), _) => self.error(link_error(refused), hook),
                (None, Some((_, hook))) => self.error(link_error(source), hook),
                (None, None) => Error::Missing(program.name()),
            }
        })
    }

    /// Attaches each probe of a hook by a link of its own.
    fn attach_singly(
        &self,
        ebpf: &mut Ebpf,
        wanted: &Wanted<'_>,
        pid: Option<NonZeroU32>,
    ) -> Result<Vec<(Program, UProbeLinkId)>, Error> {
        let scope = pid.map_or(UProbeScope::AllProcesses, UProbeScope::OneProcess);
        let mut attached = Vec::new();
        for (point, hook) in wanted.points() {
            match self.attach_point(ebpf, point, scope) {
                Ok(link) => attached.push((point.program, link)),
                Err(source) => {
                    detach_singly(ebpf, attached);
                    return Err(self.error(source, hook));
                }
            }
        }
        Ok(attached)
    }

    /// Names the file by its open descriptor: its path may lead to another file by now.
    fn attach_point(&self, ebpf: &mut Ebpf, point: Point, scope: UProbeScope) -> Result<UProbeLinkId, ProgramError> {
        let path = PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        let Point {
            program,
            offset,
            cookie,
        } = point;
        let point = UProbeAttachPoint {
            location: UProbeAttachLocation::AbsoluteOffset(offset),
            cookie: Some(cookie.0),
        };
        load_single(ebpf, program)?.attach(point, path, scope)
    }

    fn error(&self, source: ProgramError, hook: &Hook) -> Error {
        Error::Probe {
            function: hook.name.clone(),
            path: self.path.clone(),
            offset: hook.site.offset.0,
            source: Box::new(source),
        }
    }
}

fn load_error(io_error: io::Error) -> ProgramError {
    ProgramError::LoadError {
        io_error,
        verifier_log: VerifierLog::new(String::new()),
    }
}

fn link_error(io_error: io::Error) -> ProgramError {
    ProgramError::SyscallError(SyscallError {
        call: "bpf_link_create",
        io_error,
    })
}
