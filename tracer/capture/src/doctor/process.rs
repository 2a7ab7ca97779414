//! A process: its TLS libraries, and what the kernel might do to it at a probe.

use std::{collections::BTreeSet, path::Path};

use super::{Finding, Subject, sites};
use crate::{
    attach::{
        KernelVersion, Kinds, Placement, allows_single_uprobes, check_target, own_capabilities, probed_offsets,
        try_probes,
    },
    resolve::{Resolved, Resolver, has_none, untraced},
    target::{MappedObject, Seccomp, Target, any_has_shadow_stack, breakpoints, verify},
};

pub(super) fn examine(pid: u32) -> Vec<Finding> {
    let target = match Target::discover(pid) {
        Ok(target) => target,
        Err(error) => {
            return vec![
                Finding::prevents(Subject::Process, pid.to_string(), error.to_string())
                    .with_action("give the PID of a process that runs, and run tlscope as root on the host"),
            ];
        }
    };
    let files = Resolver::default().resolve(&target);
    let mut findings = vec![process(&target, &files)];
    findings.extend(libraries(&files));
    // Where any process has a shadow stack, no probe is on a call.
    let kinds = Kinds {
        without_call_sites: any_has_shadow_stack(),
        ..Kinds::default()
    };
    let placement = |file: &Resolved| Placement::of_plans(file.resolution.plans(), kinds);
    let placements: Vec<_> = files.iter().map(placement).collect();
    findings.extend(safety(&target, &placements.iter().collect::<Vec<_>>()));
    let may_try = allows_single_uprobes(own_capabilities(Path::new("/proc")));
    for (object, placement) in target.objects.iter().zip(&placements) {
        let offsets = probed_offsets(placement);
        if !offsets.is_empty() {
            findings.extend(code(pid, object, placement));
            findings.push(try_sites(pid, object, &offsets, may_try));
        }
    }
    findings
}

fn process(target: &Target, files: &[Resolved]) -> Finding {
    let value = format!("{} ({})", target.name, target.pid);
    if has_none(files) {
        return Finding::limited(
            Subject::Process,
            value,
            "it maps no TLS library that tlscope knows: its HTTP without TLS is traced, and its TLS as soon as it loads one",
        )
        .with_action("if a gateway's workers do the TLS, give its master, or one of them; else see docs/limits.md");
    }
    Finding::fine(Subject::Process, value, "it can be examined")
}

fn libraries(files: &[Resolved]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        for plan in file.resolution.plans() {
            let version = plan
                .library
                .version
                .as_ref()
                .map(|version| format!(", {}", version.text));
            let value = format!(
                "{}: {}{}",
                file.path.display(),
                plan.library.family.name(),
                version.unwrap_or_default()
            );
            findings.push(Finding::fine(
                Subject::Library,
                value,
                format!(
                    "{} functions would be probed; tlscope inspect shows them",
                    Kinds::default().choose(plan).len()
                ),
            ));
        }
    }
    let refused = untraced(files).into_iter();
    findings.extend(refused.map(|why| {
        Finding::limited(
            Subject::Library,
            why,
            "what this library reads and writes is not traced",
        )
        .with_action("docs/compatibility.md lists what is; a library of a distribution, with its symbols, usually is")
    }));
    findings
}

/// Returns whether the probes are safe for the process.
fn safety(target: &Target, placements: &[&Placement]) -> [Finding; 2] {
    let refusal = check_target(target, placements).err().map(|reason| reason.to_string());
    let seccomp = match target.seccomp {
        Seccomp::Off => Finding::fine(Subject::Seccomp, "off", "no filter can refuse what a probe does"),
        Seccomp::On if !KernelVersion::is_deadly_at_returns() => Finding::fine(
            Subject::Seccomp,
            "on",
            "this kernel does not ask the filter at return probes (Linux 6.11 to 6.13 did, and might kill the process)",
        ),
        Seccomp::On => unsafe_or_not(Subject::Seccomp, refusal.as_deref().filter(|_| !target.shadow_stack)),
    };
    let shadow_stack = if target.shadow_stack {
        unsafe_or_not(Subject::ShadowStack, refusal.as_deref())
    } else {
        Finding::fine(Subject::ShadowStack, "off", "no probe can disagree with it")
    };
    [seccomp, shadow_stack]
}

fn unsafe_or_not(subject: Subject, refusal: Option<&str>) -> Finding {
    match refusal {
        None => Finding::fine(
            subject,
            "on",
            "no probe of this process is of a kind that it may not agree with",
        ),
        Some(reason) => Finding::prevents(subject, "on", reason).with_action(
            "use --hooks exit if `tlscope inspect` shows hooks of the kind exit; else trace another program",
        ),
    }
}

/// Returns a finding only if the process runs other code than its file has.
fn code(pid: u32, object: &MappedObject, placement: &Placement) -> Option<Finding> {
    let error = verify(pid, object, placement.offsets()).err()?;
    let path = object.path.display().to_string();
    Some(
        Finding::prevents(Subject::Code, path, error.to_string())
            .with_action("restart the process, so that it runs what its file has"),
    )
}

fn try_sites(pid: u32, object: &MappedObject, offsets: &BTreeSet<u64>, may_try: bool) -> Finding {
    let found = breakpoints(pid, object, offsets.iter().copied());
    let tried = may_try.then(|| try_probes(&object.file, offsets.iter().copied()));
    sites::finding(object, offsets.len(), found, tried.as_deref())
}

#[cfg(test)]
mod tests {
    use super::{super::State, *};

    #[test]
    fn a_process_that_does_not_exist_prevents_tracing() {
        let findings = examine(u32::MAX);
        assert_eq!(findings.len(), 1);
        assert_eq!(
            (findings[0].subject, findings[0].state),
            (Subject::Process, State::Prevents)
        );
    }

    #[test]
    fn this_process_has_no_tls_library_which_limits_tracing() {
        let findings = examine(std::process::id());
        let of = |subject| findings.iter().find(|finding| finding.subject == subject).unwrap();
        assert_eq!(of(Subject::Process).state, State::Limited);
        assert_eq!(of(Subject::ShadowStack).state, State::Fine);
        assert!(findings.iter().all(|finding| finding.subject != Subject::Sites));
    }

    #[test]
    fn a_shadow_stack_prevents_only_what_it_does_not_agree_with() {
        let reason = Some("it runs with a shadow stack");
        assert_eq!(unsafe_or_not(Subject::ShadowStack, reason).state, State::Prevents);
        assert_eq!(unsafe_or_not(Subject::ShadowStack, None).state, State::Fine);
    }
}
