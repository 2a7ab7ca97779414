//! What is to be probed in one file, as the programs want it.
//!
//! In: a plan, or the one hook of a crypto library. Out: the hooks, and the configuration of their sites; what
//! the plan does not know is marked as unknown. Refuses nothing.

use symbolizer::{Family, Hook, ProbePlan, Role};
use tracer_ebpf::SiteConfig;

/// The hooks of a file, and what their sites are told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Placement {
    /// The hooks; a site each.
    pub(super) hooks: Vec<Hook>,
    /// The TLS library.
    pub(super) library: Family,
    /// What every site is told.
    pub(super) config: SiteConfig,
}

impl Placement {
    /// The hooks of a plan that the programs can carry out.
    pub fn of_plan(plan: &ProbePlan) -> Self {
        Self {
            hooks: hooks_of(plan).cloned().collect(),
            library: plan.library.family,
            config: site_config(plan),
        }
    }

    /// `BIO_write` of a crypto library, which knows nothing of connections.
    pub fn of_bio_write(hook: &Hook) -> Self {
        Self {
            hooks: vec![hook.clone()],
            library: Family::OpenSsl,
            config: SiteConfig::NONE,
        }
    }

    /// Where in the file the probes go.
    pub fn offsets(&self) -> impl Iterator<Item = u64> {
        self.hooks.iter().map(|hook| hook.site.offset.0)
    }

    /// Whether the way from a connection to its descriptor is known.
    pub(super) const fn knows_descriptor(&self) -> bool {
        self.config.knows_descriptor() || self.config.transport != SiteConfig::UNKNOWN
    }
}

/// Iterates over the hooks of a plan that the programs can carry out.
pub fn hooks_of(plan: &ProbePlan) -> impl Iterator<Item = &Hook> {
    plan.hooks.iter().filter(|hook| !hook.kind.is_alternative())
}

/// Returns where the objects of a library without BIOs keep what they read from.
fn transport(plan: &ProbePlan) -> Option<u16> {
    let mut reads = plan.hooks.iter().filter(|hook| hook.role == Role::Read);
    let [read, _] = reads.next()?.operands.transports;
    let [offset, _] = read?.loads;
    offset
}

/// Gives the configuration that all sites of a plan share.
fn site_config(plan: &ProbePlan) -> SiteConfig {
    let known = |offset: Option<u16>| offset.unwrap_or(SiteConfig::UNKNOWN);
    let layout = plan.layout.as_ref().ok();
    let facts = &plan.facts;
    SiteConfig {
        socket_name: plan.socket_name.unwrap_or(0),
        rbio: known(layout.map(|layout| layout.rbio)),
        wbio: known(layout.map(|layout| layout.wbio)),
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
    }
}
