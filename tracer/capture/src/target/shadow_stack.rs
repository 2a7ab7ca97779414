//! Shadow stacks of processes on x86-64: copies of their return addresses, against which the processor checks each return.
//!
//! A kernel that emulates a call under a probe, or replaces a return address, and does not do the same on the shadow stack,
//! ends the process.

use std::{fs, path::Path};

/// The line of `/proc/PID/status` that names what is enabled (`arch/x86/kernel/cpu/proc.c`).
const FEATURES: &str = "x86_Thread_features:";

/// Returns whether a process runs with a shadow stack.
pub fn has_shadow_stack(pid: u32) -> bool {
    is_enabled_in(Path::new(&format!("/proc/{pid}/status")))
}

/// Returns whether any process of this machine runs with a shadow stack.
pub fn any_has_shadow_stack() -> bool {
    // Without the line, this kernel gives no process one.
    let is_possible = fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains(FEATURES));
    is_possible && any_in(Path::new("/proc"))
}

fn any_in(proc: &Path) -> bool {
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    let is_process = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    let mut processes = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_process));
    processes.any(|process| is_enabled_in(&process.path().join("status")))
}

fn is_enabled_in(status: &Path) -> bool {
    // The name of a process is in the file, and may be any bytes.
    fs::read(status).is_ok_and(|status| {
        let mut lines = status.split(|byte| *byte == b'\n');
        let features = lines.find_map(|line| line.strip_prefix(FEATURES.as_bytes()));
        features.is_some_and(|features| features.split(u8::is_ascii_whitespace).any(|word| word == b"shstk"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shadow_stack_is_found_by_its_word_in_the_status_of_any_process() {
        let proc = tempfile::tempdir().unwrap();
        let write = |name: &str, status: &[u8]| {
            fs::create_dir(proc.path().join(name)).unwrap();
            fs::write(proc.path().join(name).join("status"), status).unwrap();
        };
        let is_enabled = |name: &str| is_enabled_in(&proc.path().join(name).join("status"));
        write(
            "1",
            b"Name:\tinit\nx86_Thread_features:\t\nx86_Thread_features_locked:\tshstk wrss \n",
        );
        write("2", b"Name:\t\xff\nSeccomp:\t0\n");
        write("net", b"x86_Thread_features:\tshstk\n");
        assert!(!is_enabled("1") && !is_enabled("2") && !any_in(proc.path()));
        write(
            "3",
            b"Name:\t\xff\nx86_Thread_features:\tshstk wrss \nx86_Thread_features_locked:\t\n",
        );
        assert!(is_enabled("3") && any_in(proc.path()));
        assert!(!is_enabled("4"));
    }
}
