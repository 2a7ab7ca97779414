//! The kernel, and what it lets this process do.

use std::{fs, path::Path};

use procfs::{FromRead as _, process::Status};

use super::{Finding, Roots, Subject};
use crate::attach::{
    Kernel, KernelVersion, check_pid_namespace, check_privileges, check_release, check_uprobes, own_capabilities,
};

pub(super) fn examine(roots: &Roots) -> Vec<Finding> {
    let Roots { proc, sys } = roots;
    let mut findings = vec![
        kernel(&kernel_release(proc)),
        pid_namespace(proc),
        uprobes(sys),
        btf(sys),
        capabilities(proc),
    ];
    findings.extend(own_seccomp(proc));
    findings.extend([lockdown(sys), perf(proc)]);
    findings
}

fn kernel_release(proc: &Path) -> String {
    fs::read_to_string(proc.join("sys/kernel/osrelease"))
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn kernel(release: &str) -> Finding {
    match check_release(release) {
        Ok(()) => Finding::fine(Subject::Kernel, release, "recent enough: tracing needs 5.15"),
        Err(reason) => Finding::prevents(Subject::Kernel, release, reason.to_string())
            .with_action("boot Linux 5.15 or later; from 6.10 on, probes are attached and removed many at a time"),
    }
}

fn pid_namespace(proc: &Path) -> Finding {
    let subject = Subject::PidNamespace;
    match check_pid_namespace(proc) {
        Ok(()) => Finding::fine(subject, "the host's", "processes have the ids that the kernel reports"),
        Err(reason) => Finding::prevents(subject, "an inner one", reason.to_string())
            .with_action("run tlscope on the host, or in a container with --pid=host (hostPID: true)"),
    }
}

fn uprobes(sys: &Path) -> Finding {
    match check_uprobes(sys) {
        Ok(()) => Finding::fine(Subject::Uprobes, "available", "the kernel can probe programs"),
        Err(reason) => Finding::prevents(Subject::Uprobes, "not available", reason.to_string())
            .with_action("boot a kernel with CONFIG_UPROBE_EVENTS=y, and mount sysfs if /sys is empty"),
    }
}

fn btf(sys: &Path) -> Finding {
    match Kernel::describe(&sys.join("kernel/btf/vmlinux")).undescribed {
        None => Finding::fine(
            Subject::Btf,
            "available",
            "addresses, forks and ends of sockets come from the kernel's structures",
        ),
        Some(undescribed) => Finding::limited(Subject::Btf, "not available", undescribed.to_string())
            .with_action("boot a kernel with CONFIG_DEBUG_INFO_BTF=y, as distributions build it"),
    }
}

/// A capability (`include/uapi/linux/capability.h`), and what is missing without it.
const OPTIONAL: [(u32, &str, &str); 3] = [
    (
        2,
        "CAP_DAC_READ_SEARCH",
        "files of other users in containers may not be readable",
    ),
    (
        19,
        "CAP_SYS_PTRACE",
        "processes of other users may not be examined, nor their libraries found",
    ),
    (
        23,
        "CAP_SYS_NICE",
        "draining has no real-time priority, so that records may be lost beside a busy gateway",
    ),
];

/// `CAP_DAC_OVERRIDE`, which includes `CAP_DAC_READ_SEARCH`.
const DAC_OVERRIDE: u64 = 1 << 1;

fn capabilities(proc: &Path) -> Finding {
    let subject = Subject::Capabilities;
    let Some(set) = own_capabilities(proc) else {
        return Finding::unknown(
            subject,
            "unreadable",
            "/proc/self/status, which has the capabilities of tlscope, cannot be read",
        )
        .with_action("mount procfs at /proc");
    };
    let held = set.bits();
    let value = format!("{held:016x}");
    if let Err(reason) = check_privileges(Some(set), KernelVersion::parse(&kernel_release(proc))) {
        return Finding::prevents(subject, value, reason.to_string()).with_action(
            "run tlscope as root, as with sudo; in a container give it --cap-add SYS_ADMIN, or --privileged",
        );
    }
    let has = |(bit, ..): &&(u32, &str, &str)| held & (1 << bit) != 0 || (*bit == 2 && held & DAC_OVERRIDE != 0);
    let missing: Vec<_> = OPTIONAL.iter().filter(|each| !has(each)).collect();
    if missing.is_empty() {
        return Finding::fine(
            subject,
            value,
            "what tracing needs is there, and what else tlscope makes use of",
        );
    }
    let effects: Vec<_> = missing
        .iter()
        .map(|(_, name, effect)| format!("without {name} {effect}"))
        .collect();
    let names: Vec<_> = missing.iter().map(|(_, name, _)| *name).collect();
    Finding::limited(subject, value, effects.join("; ")).with_action(format!("give tlscope {} too", names.join(", ")))
}

/// Returns a finding only if there is a filter: a runtime's usual one allows what the capabilities do.
fn own_seccomp(proc: &Path) -> Option<Finding> {
    let status = Status::from_file(proc.join("self/status")).ok()?;
    (status.seccomp.unwrap_or(0) != 0).then(|| {
        Finding::limited(
            Subject::Seccomp,
            "tlscope runs under a filter",
            "it may refuse bpf(2) or perf_event_open(2); the filter of Docker allows them with CAP_SYS_ADMIN",
        )
        .with_action(
            "if programs or probes are refused, run tlscope without the filter (--security-opt seccomp=unconfined)",
        )
    })
}

fn lockdown(sys: &Path) -> Finding {
    let subject = Subject::Lockdown;
    let path = sys.join("kernel/security/lockdown");
    let Ok(modes) = fs::read_to_string(&path) else {
        let is_mounted = fs::read_dir(sys.join("kernel/security")).is_ok_and(|mut entries| entries.next().is_some());
        return if is_mounted {
            Finding::fine(subject, "none", "this kernel has no lockdown module")
        } else {
            Finding::unknown(
                subject,
                "unknown",
                "securityfs is not mounted, or not readable; without its module a kernel has no lockdown",
            )
        };
    };
    // `none [integrity] confidentiality`
    let mode = modes.split_whitespace().find_map(|word| word.strip_prefix('['));
    match mode.map(|word| word.trim_end_matches(']')) {
        Some(mode @ ("none" | "integrity")) => Finding::fine(
            subject,
            mode,
            "programs may read the kernel's memory, which tlscope needs",
        ),
        Some(mode) => Finding::limited(
            subject,
            mode,
            "the kernel refuses programs that read its memory, as those of tlscope do",
        )
        .with_action("boot with lockdown=integrity, or without Secure Boot if that turns it on"),
        None => Finding::unknown(subject, modes.trim(), "no mode is marked"),
    }
}

fn perf(proc: &Path) -> Finding {
    let number = |name: &str| {
        let text = fs::read_to_string(proc.join("sys/kernel").join(name)).unwrap_or_default();
        text.trim().parse::<i64>().ok()
    };
    let Some(paranoid) = number("perf_event_paranoid") else {
        return Finding::prevents(
            Subject::Perf,
            "no perf events",
            "the kernel was built without perf events, of which uprobes are a kind",
        )
        .with_action("boot a kernel with CONFIG_PERF_EVENTS=y");
    };
    Finding::fine(
        Subject::Perf,
        format!("perf_event_paranoid={paranoid}"),
        "CAP_SYS_ADMIN overrides it",
    )
}

#[cfg(test)]
mod tests {
    use std::fs::create_dir_all;

    use super::{super::State, *};

    /// A tree of files like that of procfs or sysfs.
    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    /// A status file of this process with other values.
    fn status(changed: &[(&str, &str)]) -> String {
        let own = fs::read_to_string("/proc/self/status").unwrap();
        let line = |line: &str| {
            let name = line.split(':').next().unwrap().to_owned();
            let value = changed.iter().find(|(changed, _)| *changed == name);
            value.map_or(line.to_owned(), |(_, value)| format!("{name}:\t{value}"))
        };
        own.lines().map(|each| line(each) + "\n").collect()
    }

    #[test]
    fn an_old_kernel_prevents_tracing_and_a_later_one_does_not() {
        assert_eq!(kernel("6.18.44-fc").state, State::Fine);
        assert_eq!(kernel("5.15.0-1").state, State::Fine);
        let old = kernel("5.10.0-30-amd64");
        assert_eq!(old.state, State::Prevents);
        assert!(old.meaning.contains("5.10") && old.action.is_some());
    }

    #[test]
    fn a_kernel_without_uprobes_or_btf_is_told() {
        let empty = tree(&[]);
        assert_eq!(uprobes(empty.path()).state, State::Prevents);
        let btf = btf(empty.path());
        assert_eq!(btf.state, State::Limited);
        assert!(btf.meaning.contains("CONFIG_DEBUG_INFO_BTF"));
        let with = tree(&[("bus/event_source/devices/uprobe/type", "9\n")]);
        assert_eq!(uprobes(with.path()).state, State::Fine);
    }

    #[test]
    fn each_mode_of_lockdown_is_told() {
        let of = |modes: &str| lockdown(tree(&[("kernel/security/lockdown", modes)]).path());
        assert_eq!(of("[none] integrity confidentiality\n").state, State::Fine);
        assert_eq!(of("none [integrity] confidentiality\n").value, "integrity");
        let strict = of("none integrity [confidentiality]\n");
        assert_eq!(
            (strict.state, strict.value.as_str()),
            (State::Limited, "confidentiality")
        );
        assert!(strict.action.is_some());
        assert_eq!(lockdown(tree(&[]).path()).state, State::Unknown);
        assert_eq!(
            lockdown(tree(&[("kernel/security/lsm", "landlock")]).path()).state,
            State::Fine
        );
    }

    #[test]
    fn missing_capabilities_are_named_with_what_they_are_for() {
        let of = |effective: &str| capabilities(tree(&[("self/status", &status(&[("CapEff", effective)]))]).path());
        assert_eq!(of("000001ffffffffff").state, State::Fine);
        let unprivileged = of("0000000000000000");
        assert_eq!(unprivileged.state, State::Prevents);
        assert!(unprivileged.meaning.contains("CAP_SYS_ADMIN"));
        let admin = of("0000000000200000");
        assert_eq!(admin.state, State::Limited);
        for name in ["CAP_SYS_PTRACE", "CAP_SYS_NICE", "CAP_DAC_READ_SEARCH"] {
            assert!(admin.meaning.contains(name) && admin.action.as_ref().unwrap().contains(name));
        }
        // The greater right to all files stands in for the lesser one.
        assert_eq!(of("0000000000a80002").state, State::Fine);
        assert_eq!(capabilities(tree(&[]).path()).state, State::Unknown);
    }

    #[test]
    fn a_filter_of_tlscope_itself_is_told() {
        let of = |mode: &str| own_seccomp(tree(&[("self/status", &status(&[("Seccomp", mode)]))]).path());
        assert_eq!(of("0"), None);
        assert_eq!(of("2").unwrap().state, State::Limited);
    }

    #[test]
    fn a_kernel_without_perf_events_prevents_tracing() {
        assert_eq!(perf(tree(&[]).path()).state, State::Prevents);
        let debian = perf(tree(&[("sys/kernel/perf_event_paranoid", "3\n")]).path());
        assert_eq!(
            (debian.state, debian.value.as_str()),
            (State::Fine, "perf_event_paranoid=3")
        );
    }

    #[test]
    fn an_inner_pid_namespace_prevents_tracing() {
        // The inode of the file is not that of the host's namespace.
        let inner = pid_namespace(tree(&[("self/ns/pid", "")]).path());
        assert_eq!(inner.state, State::Prevents);
        assert!(inner.action.unwrap().contains("--pid=host"));
    }
}
