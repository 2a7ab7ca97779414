//! Other programs that trace: those that hold links of BPF programs, or perf events.

use std::{collections::BTreeMap, fs, path::Path};

use super::{Finding, Roots, Subject};

/// Maximum programs that are named.
const NAMED: usize = 8;

pub(super) fn examine(roots: &Roots) -> Finding {
    let subject = Subject::Tracers;
    let Ok(entries) = fs::read_dir(&roots.proc) else {
        return Finding::unknown(subject, "unknown", "/proc cannot be listed");
    };
    let own = std::process::id();
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let others = pids.filter(|pid: &u32| *pid != own);
    let held = others.filter_map(|pid| {
        let held = held_by(&roots.proc.join(pid.to_string()));
        (!held.is_empty()).then_some((pid, held))
    });
    let holders: Vec<_> = held.map(|(pid, held)| described(&roots.proc, pid, &held)).collect();
    if holders.is_empty() {
        return Finding::fine(
            subject,
            "none",
            "no other process that can be examined holds links of BPF programs, or perf events",
        );
    }
    let more = holders.len().saturating_sub(NAMED);
    let more = (more > 0).then(|| format!("and {more} more"));
    let value = holders
        .into_iter()
        .take(NAMED)
        .chain(more)
        .collect::<Vec<_>>()
        .join("; ");
    Finding::fine(
        subject,
        value,
        "they work beside tlscope; if they probe the same functions, each hit costs the process once for each. With -p, \
         doctor looks at the functions of a process",
    )
}

fn described(proc: &Path, pid: u32, held: &BTreeMap<String, usize>) -> String {
    let name = fs::read(proc.join(pid.to_string()).join("comm")).unwrap_or_default();
    let name = String::from_utf8_lossy(&name);
    let kinds: Vec<_> = held.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    format!("{} ({pid}): {}", name.trim(), kinds.join(", "))
}

/// Counts the links and perf events that a process holds, by kind.
fn held_by(process: &Path) -> BTreeMap<String, usize> {
    let mut held = BTreeMap::new();
    for entry in fs::read_dir(process.join("fd")).into_iter().flatten().flatten() {
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        let kind = match target.to_str() {
            // `bpf-link` before Linux 6.11.
            Some("anon_inode:bpf_link" | "anon_inode:bpf-link") => {
                link_kind(process, &entry.file_name().to_string_lossy())
            }
            Some("anon_inode:[perf_event]") => "perf events".to_owned(),
            Some(_) | None => continue,
        };
        *held.entry(kind).or_insert(0) += 1;
    }
    held
}

fn link_kind(process: &Path, descriptor: &str) -> String {
    let text = fs::read_to_string(process.join("fdinfo").join(descriptor)).unwrap_or_default();
    let kind = text.lines().find_map(|line| line.strip_prefix("link_type:"));
    format!("links of {}", kind.map_or("BPF programs", str::trim))
}

#[cfg(test)]
mod tests {
    use std::{fs::create_dir_all, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn holders_of_links_and_perf_events_are_named_with_their_kinds() {
        let root = tempfile::tempdir().unwrap();
        let process = root.path().join("4194000");
        for folder in ["fd", "fdinfo"] {
            create_dir_all(process.join(folder)).unwrap();
        }
        fs::write(process.join("comm"), "bpftrace\n").unwrap();
        for (descriptor, target) in [
            ("3", "anon_inode:bpf_link"),
            ("4", "anon_inode:bpf-link"),
            ("5", "anon_inode:[perf_event]"),
            ("6", "anon_inode:[eventfd]"),
        ] {
            symlink(target, process.join("fd").join(descriptor)).unwrap();
        }
        fs::write(
            process.join("fdinfo/3"),
            "pos:\t0\nlink_type:\tuprobe_multi\nlink_id:\t7\n",
        )
        .unwrap();
        let roots = Roots {
            proc: root.path().to_path_buf(),
            ..Roots::default()
        };
        let finding = examine(&roots);
        assert_eq!(
            finding.value,
            "bpftrace (4194000): 1 links of BPF programs, 1 links of uprobe_multi, 1 perf events"
        );
        fs::remove_dir_all(process.join("fd")).unwrap();
        assert_eq!(examine(&roots).value, "none");
    }
}
