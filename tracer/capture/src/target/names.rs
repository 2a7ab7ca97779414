//! The names that processes go by.
//!
//! In: a name that was given, and processes. Out: which of them it means. Refuses a process that only shares the beginning
//! of a long name: the kernel keeps no more of a name than fifteen bytes.

use std::{collections::BTreeSet, os::unix::ffi::OsStrExt as _};

use procfs::process::Process;

/// Returns whether a process goes by a name: its short name, which it may change, or its program's. The kernel cuts short
/// names, so a longer name is compared with that of the program's file as well: it is the file that was executed, or,
/// where that is a script, one of the first words after the interpreter.
pub(super) fn is_named(process: &Process, name: &str) -> bool {
    let is_program = process
        .exe()
        .is_ok_and(|program| file_name(program.as_os_str().as_bytes()) == name.as_bytes());
    if is_program {
        return true;
    }
    let by_comm = process.stat().is_ok_and(|stat| stat.comm.as_bytes() == short(name));
    by_comm && (!is_long(name) || is_called(&process.cmdline().unwrap_or_default(), name))
}

/// Returns whether a command line runs a program of this name, by itself or by an interpreter with options.
fn is_called(words: &[String], name: &str) -> bool {
    let is_name = |word: &String| file_name(word.as_bytes()) == name.as_bytes();
    let begins_alike = |word: &String| file_name(word.as_bytes()).starts_with(short(name));
    let mut rest = words.iter().skip(1).skip_while(|word| word.starts_with('-'));
    match words.first() {
        Some(program) if begins_alike(program) => is_name(program),
        Some(_interpreter) => rest.next().is_some_and(is_name),
        None => false,
    }
}

/// Names of processes that are like a name, but for case or for what stands before or behind it; empty if there are none.
pub(super) fn near_names(processes: &[Process], name: &str) -> String {
    let own = std::process::id();
    let others = processes.iter().filter(|process| process.pid.unsigned_abs() != own);
    let names = others.filter_map(|process| Some(process.stat().ok()?.comm));
    let near: BTreeSet<_> = names.filter(|other| is_near(other, name)).collect();
    let near: Vec<_> = near.into_iter().take(NEAR_NAMES).collect();
    if near.is_empty() {
        String::new()
    } else {
        format!(" (there is {})", near.join(", "))
    }
}

fn is_near(one: &str, other: &str) -> bool {
    let [one, other] = [one, other].map(str::to_lowercase);
    let shorter = one.len().min(other.len());
    one == other || (shorter >= SHORTEST_NEAR && (one.contains(&other) || other.contains(&one)))
}

/// The last component of a path; the kernel marks one that was removed.
fn file_name(path: &[u8]) -> &[u8] {
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

pub(super) const fn is_long(name: &str) -> bool {
    name.len() > COMM_BYTES
}

/// Cuts a name as the kernel does.
pub(super) fn short(name: &str) -> &[u8] {
    name.as_bytes().get(..COMM_BYTES).unwrap_or(name.as_bytes())
}

pub(super) fn padded<const N: usize>(name: &[u8]) -> [u8; N] {
    let mut padded = [0; N];
    for (to, from) in padded.iter_mut().zip(name) {
        *to = *from;
    }
    padded
}

/// Longest short name of a process, without its zero (`TASK_COMM_LEN`).
pub(super) const COMM_BYTES: usize = 15;

/// Names that a hint names at the most.
const NEAR_NAMES: usize = 3;

/// Bytes that two names which are near have in common at the least.
const SHORTEST_NEAR: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_near_but_for_case_and_for_what_stands_around_them() {
        for (one, other) in [("Nginx", "nginx"), ("nginx: worker", "nginx"), ("apache", "apache2")] {
            assert!(is_near(one, other) && is_near(other, one), "{one} and {other}");
        }
        assert!(!is_near("sh", "bash") && !is_near("nginx", "node") && !is_near("", "nginx"));
    }

    #[test]
    fn a_long_name_is_that_of_a_program_or_of_a_script() {
        let of = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            is_called(&words, "gateway-server-one")
        };
        assert!(of(&["/opt/gateway-server-one", "--port", "1"]));
        assert!(of(&["python3", "-u", "/opt/gateway-server-one"]));
        assert!(!of(&["/opt/gateway-server-two", "--peer", "gateway-server-one"]));
        assert!(!of(&["/opt/gateway-server-two"]) && !of(&[]));
        assert_eq!(file_name(b"/opt/gateway-server-one (deleted)"), b"gateway-server-one");
    }
}
