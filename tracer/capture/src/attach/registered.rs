//! Files of this machine, registered and probed as a trace does.

use std::{fs::File, path::Path};

use aya::maps::Array;
use symbolizer::{Family, FileOffset, HookKind, ProbePlan, Tier};
use tracer_ebpf::{Direction, Operand, SettingFlags, SiteConfig};

use super::{
    Calls, Kernel, Kinds, Needs, Options, Placement, Probes, Reach, placement::PlannedSite, probed::Probed,
    value::MapValue,
};
use crate::target::{DebugFiles, MappedObject};

fn library(name: &str) -> MappedObject {
    let path = Path::new("/usr/lib").join(format!("{}-linux-gnu/{name}", std::env::consts::ARCH));
    let file = File::open(&path).unwrap();
    MappedObject::unmapped(path, file).unwrap()
}

/// The plan of OpenSSL's library, with all that its crypto library tells.
fn plan() -> ProbePlan {
    let crypto = symbolizer::crypto(&library("libcrypto.so.3").read().unwrap().bytes).unwrap();
    let image = library("libssl.so.3").read().unwrap().bytes;
    symbolizer::plan(&image, crypto.as_ref()).unwrap().plans.remove(0)
}

fn gnutls() -> ProbePlan {
    let image = library("libgnutls.so.30").read().unwrap().bytes;
    symbolizer::plan(&image, None).unwrap().plans.remove(0)
}

#[test]
fn a_tap_that_is_given_up_is_no_hook_of_its_plan_and_has_no_object() {
    let object = library("libssl.so.3");
    let placement = Placement::of_plans(&[gnutls(), plan()], Kinds::default());
    let sites = placement.sites.clone();
    let mut probed = Probed::new(object.path, object.file, placement, 100);
    let is_of_openssl = |site: &PlannedSite, kind| site.library == Family::OpenSsl && site.hook.kind == kind;
    let place = |kind| sites.iter().position(|site| is_of_openssl(site, kind)).unwrap();
    let index = |kind| 100 + u32::try_from(place(kind)).unwrap();
    let before = probed.configured();
    let tap = index(HookKind::Tap);
    probed.give_up(tap, Direction::READ);
    assert!(probed.has_site(100) && !probed.has_site(99));
    let after = probed.configured();
    for ((site, before), after) in sites.iter().zip(&before).zip(&after) {
        let is_given_up = site.library == Family::OpenSsl;
        assert_eq!(before.0, after.0);
        let (_, config, operands) = *after;
        let expected = SiteConfig {
            tap: if is_given_up { SiteConfig::UNKNOWN } else { before.1.tap },
            ..before.1
        };
        assert_eq!(config, expected, "{}", site.hook.name);
        let is_tap = is_given_up && site.hook.kind == HookKind::Tap;
        assert_eq!(operands.object == Operand::NONE, is_tap, "{}", site.hook.name);
    }
    assert_ne!(before[0].1.tap, after.last().unwrap().1.lift);
    let lift = index(HookKind::Lift);
    assert!(after.iter().any(|(_, config, _)| u32::from(config.lift) == lift));
    probed.give_up(lift, Direction::WRITE);
    assert!(
        probed
            .configured()
            .iter()
            .all(|(_, config, _)| u32::from(config.lift) != lift)
    );
}

fn load() -> Probes {
    let options = Options {
        call_bytes: 4096,
        ring_bytes: 65536,
        calls: None,
        connections: 1024,
        flags: SettingFlags::default(),
        kinds: Kinds::default(),
        debug_files: DebugFiles::default(),
    };
    let kernel = Kernel::describe(Path::new("/sys/kernel/btf/vmlinux"));
    let (probes, ..) = Probes::load(&kernel, options).unwrap();
    probes
}

const CALLS: Needs = Needs {
    ciphertext: false,
    calls: Calls::BOTH,
};

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn no_probe_for_all_processes_stays_if_one_for_a_single_process_is_refused() {
    let mut probes = load();
    let object = library("libssl.so.3");
    let mut placement = Placement::of_plans(&[plan()], Kinds::default());
    let last = placement.sites.iter_mut().rfind(|site| site.is_fallback).unwrap();
    last.hook.site.offset = FileOffset(1 << 40);
    last.hook.site.tier = Tier::Stepped;
    probes.register(&object, placement).unwrap();
    let attached = probes.attach(object.identity, std::process::id(), Reach::AllProcesses, CALLS);
    attached.unwrap_err();
    assert!(!probes.is_probed(object.identity));
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_file_gets_all_probes_that_a_process_needs_or_none() {
    let mut probes = load();
    let object = library("libssl.so.3");
    let mut placement = Placement::of_plans(&[plan()], Kinds::default());
    let last = placement.sites.iter_mut().rfind(|site| site.is_fallback).unwrap();
    let right = last.hook.site.offset;
    last.hook.site.offset = FileOffset(1 << 40);
    probes.register(&object, placement.clone()).unwrap();
    let own = std::process::id();
    let attach = |probes: &mut Probes| probes.attach(object.identity, own, Reach::OneProcess, CALLS);
    let refused = attach(&mut probes).unwrap_err().to_string();
    assert!(refused.contains("libssl.so.3"), "{refused}");
    assert!(!probes.is_probed(object.identity) && !probes.has_fallback());
    let last = placement.sites.iter_mut().rfind(|site| site.is_fallback).unwrap();
    last.hook.site.offset = right;
    probes.detach_file(object.identity);
    probes.register(&object, placement).unwrap();
    attach(&mut probes).unwrap();
    assert!(probes.is_probed(object.identity) && probes.has_fallback());
    probes.detach_fallback(object.identity, Direction::READ).unwrap();
    let left: Vec<_> = probes.with_fallback().collect();
    assert_eq!(left, [(object.identity, Direction::WRITE)]);
    probes.detach_fallback(object.identity, Direction::WRITE).unwrap();
    assert!(probes.is_probed(object.identity) && !probes.has_fallback());
}

/// Returns of which directions the programs rely on the calls of every process.
fn shared_calls(probes: &Probes) -> Vec<Direction> {
    let map = probes.ebpf.map("SITES").unwrap();
    let sites: Array<_, MapValue<SiteConfig>> = map.try_into().unwrap();
    let MapValue(config) = sites.get(&0, 0).unwrap();
    let mut directions = Calls::DIRECTIONS.to_vec();
    directions.retain(|direction| config.has_calls(*direction));
    directions
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn the_programs_rely_on_the_calls_of_every_process_while_these_are_probed() {
    let object = library("libssl.so.3");
    let placement = Placement::of_plans(&[plan()], Kinds::default());
    let writes = Needs {
        calls: Calls::of(Direction::WRITE),
        ..CALLS
    };
    let mut probes = load();
    probes.register(&object, placement.clone()).unwrap();
    let attach = |probes: &mut Probes, needs| probes.attach_shared(object.identity, Reach::AllProcesses, needs);
    attach(&mut probes, Needs::default()).unwrap();
    assert_eq!(shared_calls(&probes), []);
    attach(&mut probes, writes).unwrap();
    assert_eq!(shared_calls(&probes), [Direction::WRITE]);
    attach(&mut probes, CALLS).unwrap();
    assert_eq!(shared_calls(&probes), Calls::DIRECTIONS);
    probes.detach_fallback(object.identity, Direction::WRITE).unwrap();
    assert_eq!(shared_calls(&probes), [Direction::READ]);
    // Probes of a single process say nothing of others.
    let mut probes = load();
    probes.register(&object, placement).unwrap();
    let own = std::process::id();
    probes.attach(object.identity, own, Reach::OneProcess, CALLS).unwrap();
    assert_eq!(shared_calls(&probes), []);
}
