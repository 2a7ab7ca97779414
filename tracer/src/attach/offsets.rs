//! Structure offsets, as the programs want them.
//!
//! In: a plan. Out: the configuration of its sites; what the plan does not know is marked as unknown. Refuses nothing.

use symbolizer::ProbePlan;
use tracer_ebpf::SiteConfig;

/// Gives the configuration that all sites of a plan share.
pub(super) fn site_config(plan: &ProbePlan) -> SiteConfig {
    let known = |offset: Option<u16>| offset.unwrap_or(SiteConfig::UNKNOWN);
    let layout = plan.layout.as_ref().ok();
    let facts = &plan.facts;
    SiteConfig {
        rbio: known(layout.map(|layout| layout.rbio)),
        wbio: known(layout.map(|layout| layout.wbio)),
        bio_method: known(layout.map(|layout| layout.bio_method)),
        bio_num: known(layout.map(|layout| layout.bio_num)),
        version: known(facts.version),
        session: known(facts.session),
        session_cipher: known(facts.session_cipher),
        cipher_name: known(facts.cipher_name),
        alpn: known(facts.alpn),
        alpn_length: known(facts.alpn_length),
        server_name: known(facts.server_name),
        session_server_name: known(facts.session_server_name),
    }
}
