//! Loads the BPF programs, as tracing does, and drops them.

use std::error::Error as _;

use tracer_ebpf::{DEFAULT_CALL_BYTES, SettingFlags};

use super::{Finding, Roots, Subject};
use crate::{
    attach::{Error, Kernel, Kinds, Options, Probes},
    limits::{DEFAULT_CONNECTIONS, MIN_DEFAULT_RING_BYTES},
    target::DebugFiles,
};

pub(super) fn examine(roots: &Roots) -> Finding {
    let kernel = Kernel::describe(&roots.sys.join("kernel/btf/vmlinux"));
    // Probes report nothing until the switch is on, and no process is traced.
    match Probes::load(&kernel, options()) {
        Ok((mut probes, rings, _cpus, _switch)) => {
            let effects = effects(&mut probes, rings.mappings.is_some());
            drop(rings);
            drop(probes);
            loaded(&effects)
        }
        Err(error) => refused(&error),
    }
}

/// Returns the smallest sizes, and every kind of record.
fn options() -> Options {
    Options {
        call_bytes: DEFAULT_CALL_BYTES,
        ring_bytes: MIN_DEFAULT_RING_BYTES,
        calls: None,
        connections: DEFAULT_CONNECTIONS,
        flags: SettingFlags::CONNECTIONS.with(SettingFlags::PLAIN),
        kinds: Kinds::default(),
        debug_files: DebugFiles::default(),
    }
}

/// Returns what this kernel lacks, with what is missing from a trace then.
fn effects(probes: &mut Probes, watches_mappings: bool) -> Vec<String> {
    let mut effects = Vec::new();
    let mut add = |missing: Option<String>| effects.extend(missing);
    add(text(probes.attach_plain()));
    add(text(probes.attach_lift()));
    match probes.attach_ciphertext_lookup() {
        Ok(missing) => missing.iter().for_each(|missing| add(Some(missing.to_string()))),
        Err(error) => add(Some(error.to_string())),
    }
    for missing in probes.missing() {
        add(Some(missing.to_string()));
    }
    if !probes.has_links() {
        add(Some(
            "probes are removed one by one, some 0.1 s each, so that tlscope ends slowly (links of many: 6.10)"
                .to_owned(),
        ));
    }
    if !watches_mappings {
        add(Some(
            "perf events of mappings are refused, so that libraries that are loaded later are found by rescans"
                .to_owned(),
        ));
    }
    effects.sort();
    effects.dedup();
    effects
}

fn text(attached: Result<Option<impl ToString>, Error>) -> Option<String> {
    match attached {
        Ok(missing) => missing.map(|missing| missing.to_string()),
        Err(error) => Some(error.to_string()),
    }
}

fn loaded(effects: &[String]) -> Finding {
    if effects.is_empty() {
        return Finding::fine(
            Subject::Programs,
            "accepted",
            "the kernel loads every BPF program, and attaches probes many at a time",
        );
    }
    Finding::limited(Subject::Programs, "accepted in part", effects.join("; "))
        .with_action("a later kernel, or one with more options, has what is missing; what tlscope traces without it is right all the same")
}

fn refused(error: &Error) -> Finding {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    Finding::prevents(Subject::Programs, "refused", text).with_action(
        "see lockdown, capabilities and seccomp above; if they are fine, report this line with the version of the kernel",
    )
}

#[cfg(test)]
mod tests {
    use super::{super::State, *};

    #[test]
    fn what_a_kernel_lacks_is_told_and_does_not_prevent_tracing() {
        assert_eq!(loaded(&[]).state, State::Fine);
        let partly = loaded(&["HTTP without TLS is not captured".to_owned()]);
        assert!(partly.state == State::Limited && partly.meaning.contains("HTTP without TLS"));
        assert_eq!(refused(&Error::Missing("TARGETS")).state, State::Prevents);
    }

    #[test]
    #[ignore = "needs root and BPF: scripts/test runs it"]
    fn the_kernel_of_this_machine_accepts_the_programs() {
        let finding = examine(&Roots::default());
        assert!(
            matches!(finding.state, State::Fine | State::Limited),
            "{}",
            finding.meaning
        );
    }
}
