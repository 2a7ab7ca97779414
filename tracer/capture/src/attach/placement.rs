//! Turns the plans of one file into sites for the BPF programs.
//!
//! Each site carries the library and the configuration of its own plan. A file may hold several libraries, and what one
//! of them stores at an offset means nothing in an object of another.

use symbolizer::{Family, Hook, HookKind, ProbePlan, Role, Vaddr};
use tracer_ebpf::{Direction, SiteConfig};

use super::kinds::{Chosen, Kinds, goroutine_below, is_of_goroutines, is_on_call};

/// The sites of one file: one for each hook of each of its plans.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Placement {
    pub(super) sites: Vec<PlannedSite>,
}

/// A hook, with the library and the configuration of its plan.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct PlannedSite {
    pub(super) hook: Hook,
    pub(super) library: Family,
    pub(super) config: SiteConfig,
    /// The code of the method that reads from a TCP socket, in Go.
    net_read: Option<Vaddr>,
    /// Index of its plan among those of the file.
    plan: usize,
    /// Whether a lift of the same plan captures writes.
    pub(super) has_lift: bool,
    /// Whether it is at calls beside a tap or a lift: to check it, and for connections that refuse it.
    pub(super) is_fallback: bool,
}

impl Placement {
    /// Returns the sites of all plans of a file, in the order of the plans.
    pub fn of_plans(plans: &[ProbePlan], kinds: Kinds) -> Self {
        let sites = (0..).zip(plans).flat_map(|(number, plan)| {
            let plan = kinds.usable(plan);
            let config = site_config(&plan);
            let chosen = kinds.choose(&plan);
            let has_lift = chosen.iter().any(|chosen| chosen.hook.kind == HookKind::Lift);
            let site = |chosen: &Chosen<'_>| PlannedSite {
                hook: chosen.hook.clone(),
                library: plan.library.family,
                config: SiteConfig {
                    goroutine_below: goroutine_below(chosen.hook),
                    ..config
                },
                net_read: plan.net_conn.map(|below| below.read),
                plan: number,
                has_lift,
                is_fallback: chosen.is_fallback,
            };
            chosen.iter().map(site).collect::<Vec<_>>()
        });
        Self { sites: sites.collect() }
    }

    /// Returns the site of a crypto library's `BIO_write`. Its object is a BIO, so the layout of connections does not
    /// matter.
    pub fn of_bio_write(hook: &Hook) -> Self {
        let site = PlannedSite {
            hook: hook.clone(),
            library: Family::OpenSsl,
            config: SiteConfig::NONE,
            net_read: None,
            plan: 0,
            has_lift: false,
            is_fallback: false,
        };
        Self { sites: vec![site] }
    }

    /// Returns the file offsets of the instructions that the hooks were proven by, probed or not.
    pub fn offsets(&self) -> impl Iterator<Item = u64> {
        self.sites.iter().flat_map(|site| {
            let exits = site.hook.exits.iter().flat_map(|exits| &exits.sites);
            exits.map(|exit| exit.site.offset.0).chain([site.hook.site.offset.0])
        })
    }

    /// Returns whether a hook is a return probe.
    pub(super) fn has_returns(&self) -> bool {
        self.sites.iter().any(|site| site.hook.kind == HookKind::Return)
    }

    /// Returns whether a probe is on a call.
    pub(super) fn is_on_calls(&self) -> bool {
        self.sites.iter().any(|site| is_on_call(&site.hook))
    }

    /// Returns whether another placement of the same file has the same hooks.
    pub(super) fn has_hooks_of(&self, other: &Self) -> bool {
        let (own, others) = (self.sites.iter(), other.sites.iter());
        own.map(|site| &site.hook).eq(others.map(|site| &site.hook))
    }

    /// Returns the configuration of a site; the first site of the file has the index given.
    pub(super) fn config_from(&self, first: u32, site: &PlannedSite) -> SiteConfig {
        let index_of = |kind, role| {
            let is_hook = |hook: &Hook| hook.kind == kind && hook.role == role;
            let is_it = |other: &PlannedSite| other.plan == site.plan && is_hook(&other.hook);
            let index = u32::try_from(self.sites.iter().position(is_it)?).ok()?;
            u16::try_from(first.checked_add(index)?).ok()
        };
        SiteConfig {
            lift: index_of(HookKind::Lift, Role::Write).unwrap_or(SiteConfig::UNKNOWN),
            tap: index_of(HookKind::Tap, Role::Read).unwrap_or(SiteConfig::UNKNOWN),
            write_tap: index_of(HookKind::Tap, Role::Write).unwrap_or(SiteConfig::UNKNOWN),
            ..site.config
        }
    }

    /// Returns which sites are the taps, or the lift, of a direction of the plan that a site is of.
    pub(super) fn cheap_sites(&self, of: usize, direction: Direction) -> Vec<usize> {
        let Some(plan) = self.sites.get(of).map(|site| site.plan) else {
            return Vec::new();
        };
        let sites = self.sites.iter().enumerate();
        let cheap = sites.filter(|(_, site)| site.plan == plan && site.is_cheap_of(direction));
        cheap.map(|(index, _)| index).collect()
    }

    /// Returns the distance in bytes from a tap, or the entry of a goroutine's call, to the return address of the call at the
    /// site of its library's lift, or to the method of Go that reads from a TCP socket; 0 if the site is neither, or the
    /// library has none of them. The programs add it to the address of a hit.
    pub(super) fn code_distance(&self, of: &PlannedSite) -> i32 {
        let mut sites = self.sites.iter().filter(|site| site.plan == of.plan);
        let lift = sites.find(|site| site.hook.kind == HookKind::Lift);
        let back = lift.and_then(|lift| lift.hook.returns_to).or(of.net_read);
        let distance = back.and_then(|back| back.0.checked_signed_diff(of.hook.site.address.0));
        if of.hook.kind == HookKind::Tap || is_of_goroutines(&of.hook) {
            distance.and_then(|distance| i32::try_from(distance).ok()).unwrap_or(0)
        } else {
            0
        }
    }
}

impl PlannedSite {
    /// Returns which way the bytes go that the site captures; `None` if it captures none.
    const fn direction(&self) -> Option<Direction> {
        match self.hook.role {
            Role::Read => Some(Direction::READ),
            Role::Write => Some(Direction::WRITE),
            Role::Flush
            | Role::Sendfile
            | Role::EarlyWrite
            | Role::EarlyRead
            | Role::Handshake
            | Role::Descriptor
            | Role::Bio
            | Role::End
            | Role::Clear
            | Role::Ciphertext => None,
        }
    }

    /// Returns the direction whose tap or lift it is at calls beside.
    pub(super) fn beside(&self) -> Option<Direction> {
        self.direction().filter(|_| self.is_fallback)
    }

    /// Returns whether it is a tap, or the lift, of a direction.
    pub(super) fn is_cheap_of(&self, direction: Direction) -> bool {
        matches!(self.hook.kind, HookKind::Tap | HookKind::Lift) && self.direction() == Some(direction)
    }

    /// Returns whether another site is of the same plan.
    pub(super) const fn is_of_plan(&self, other: &Self) -> bool {
        self.plan == other.plan
    }

    /// Returns whether the programs can read a connection's descriptor from its object.
    pub(super) const fn knows_descriptor(&self) -> bool {
        self.config.knows_descriptor() || self.config.transport != SiteConfig::UNKNOWN
    }
}

/// Returns the offset of the transport that a connection reads from, in the objects of a library without BIOs.
fn transport(plan: &ProbePlan) -> Option<u16> {
    let mut reads = plan.hooks.iter().filter(|hook| hook.role == Role::Read);
    let [read, _] = reads.next()?.operands.transports;
    let [offset, _] = read?.loads;
    offset
}

/// Returns the configuration that all sites of a plan share. Offsets that the plan lacks are
/// [`SiteConfig::UNKNOWN`].
fn site_config(plan: &ProbePlan) -> SiteConfig {
    let known = |offset: Option<u16>| offset.unwrap_or(SiteConfig::UNKNOWN);
    let layout = plan.layout.as_ref().ok();
    let facts = &plan.facts;
    SiteConfig {
        socket_name: plan.socket_name.unwrap_or(0),
        rbio: known(layout.map(|layout| layout.rbio)),
        wbio: known(layout.map(|layout| layout.wbio).or(plan.sending.wbio)),
        bio_method: known(layout.map(|layout| layout.bio_method)),
        bio_num: known(layout.map(|layout| layout.bio_num)),
        version: known(facts.version),
        early_data: known(facts.early_data),
        session: known(facts.session),
        session_cipher: known(facts.session_cipher),
        cipher_name: known(facts.cipher_name),
        alpn: known(facts.alpn),
        alpn_length: known(facts.alpn_length),
        server_name: known(facts.server_name),
        session_server_name: known(facts.session_server_name),
        transport: known(transport(plan)),
        // The sites have no numbers yet.
        lift: SiteConfig::UNKNOWN,
        tap: SiteConfig::UNKNOWN,
        write_tap: SiteConfig::UNKNOWN,
        net_method: known(plan.net_conn.map(|below| below.method)),
        net_descriptor: known(plan.net_conn.map(|below| below.descriptor)),
        net_embedded: known(plan.net_conn.and_then(|below| below.embedded)),
        net_call: known(plan.net_conn.and_then(|below| below.call)),
        frame: known(plan.sending.frame),
        shared: (plan.library.family == Family::Go).into(),
        sends_within_calls: plan.sending.within_calls.into(),
        keeps_refused: (plan.library.family == Family::GnuTls).into(),
        calls: 0,
        // This differs between hooks.
        goroutine_below: 0,
        reserved: [0; 3],
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use symbolizer::LayoutUnknown;

    use super::*;
    use crate::attach::{Needs, program::is_needed};

    /// The plan of a library of this machine.
    fn plan(library: &str) -> ProbePlan {
        let folder = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        let image = fs::read(format!("{folder}/{library}")).unwrap();
        symbolizer::plan(&image, None).unwrap().plans.remove(0)
    }

    #[test]
    fn each_site_has_the_library_and_the_configuration_of_its_own_plan() {
        let plans = [plan("libssl.so.3"), plan("libgnutls.so.30")];
        assert!(plans[0].facts.version.is_some());
        assert_eq!(plans[1].layout, Err(LayoutUnknown::NoBios));
        let placement = Placement::of_plans(&plans, Kinds::default());
        let chosen = plans.each_ref().map(|plan| Kinds::default().choose(plan));
        let (openssl, gnutls) = placement.sites.split_at(chosen[0].len());
        assert_eq!(gnutls.len(), chosen[1].len());
        for (sites, (plan, chosen)) in [openssl, gnutls].into_iter().zip(plans.iter().zip(&chosen)) {
            let config = site_config(plan);
            for (site, chosen) in sites.iter().zip(chosen) {
                let hook = chosen.hook;
                assert_eq!((&site.hook, site.is_fallback), (hook, chosen.is_fallback));
                assert_eq!(site.library, plan.library.family, "{}", hook.name);
                assert_eq!(site.config, config, "{}", hook.name);
            }
        }
        assert_ne!(openssl[0].config, gnutls[0].config);
        assert_eq!(openssl[0].config.transport, SiteConfig::UNKNOWN);
        assert_ne!(gnutls[0].config.transport, SiteConfig::UNKNOWN);
    }

    #[test]
    fn a_library_whose_layout_is_known_does_not_stand_in_for_one_beside_it() {
        let plans = [plan("libgnutls.so.30"), plan("libssl.so.3")];
        let placement = Placement::of_plans(&plans, Kinds::default());
        let is_probed = |role, library| {
            let mut sites = placement.sites.iter();
            let site = sites.find(|site| site.hook.role == role && site.library == library);
            is_needed(site.unwrap(), Needs::default(), false)
        };
        // A session holds its descriptor; where an `SSL` does is not known without its libcrypto.
        assert!(!is_probed(Role::Descriptor, Family::GnuTls));
        assert!(is_probed(Role::Descriptor, Family::OpenSsl));
    }

    #[test]
    fn a_placement_has_the_hooks_of_another_only_if_no_library_is_missing() {
        let plans = [plan("libssl.so.3"), plan("libgnutls.so.30")];
        let both = Placement::of_plans(&plans, Kinds::default());
        assert!(both.has_hooks_of(&both.clone()));
        assert!(!both.has_hooks_of(&Placement::of_plans(&plans[..1], Kinds::default())));
    }
}
