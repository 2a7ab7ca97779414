//! Matches processes by name.
//!
//! The kernel keeps fifteen bytes of a name (`comm`), so a longer name is compared with the executed file as well.

use std::{collections::BTreeSet, os::unix::ffi::OsStrExt as _};

use procfs::process::Process;

/// Returns whether `name` is the name of a process's executable, or its `comm`, which the process may change. If `name` is
/// longer than `comm`, the command line must name it too: as the program, or as the script after an interpreter.
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

/// Returns whether a command line runs a program or, after an interpreter and its options, a script of this name.
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

/// Returns a hint for an error message with names of processes that equal `name` but for case, or contain it or are
/// contained in it; empty if there are none.
pub(super) fn similar_names(processes: &[Process], name: &str) -> String {
    let own = std::process::id();
    let others = processes.iter().filter(|process| process.pid.unsigned_abs() != own);
    let names = others.filter_map(|process| Some(process.stat().ok()?.comm));
    let similar: BTreeSet<_> = names.filter(|other| is_similar(other, name)).collect();
    let similar: Vec<_> = similar.into_iter().take(MAX_SIMILAR_NAMES).collect();
    if similar.is_empty() {
        String::new()
    } else {
        format!(" (there is {})", similar.join(", "))
    }
}

fn is_similar(one: &str, other: &str) -> bool {
    let [one, other] = [one, other].map(str::to_lowercase);
    let shorter = one.len().min(other.len());
    one == other || (shorter >= MIN_SIMILAR_BYTES && (one.contains(&other) || other.contains(&one)))
}

/// Returns the last component of a path, without the mark that the kernel adds for a deleted file.
fn file_name(path: &[u8]) -> &[u8] {
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

pub(super) const fn is_long(name: &str) -> bool {
    name.len() > COMM_BYTES
}

/// Truncates a name as the kernel does.
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

/// Maximum length of `comm` without the terminating NUL (`TASK_COMM_LEN` - 1).
pub(super) const COMM_BYTES: usize = 15;

/// Maximum names in a hint.
const MAX_SIMILAR_NAMES: usize = 3;

/// Minimum length of a name that counts as similar because another one contains it.
const MIN_SIMILAR_BYTES: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_names_differ_in_case_or_contain_each_other() {
        for (one, other) in [("Nginx", "nginx"), ("nginx: worker", "nginx"), ("apache", "apache2")] {
            assert!(is_similar(one, other) && is_similar(other, one), "{one} and {other}");
        }
        assert!(!is_similar("sh", "bash") && !is_similar("nginx", "node") && !is_similar("", "nginx"));
    }

    #[test]
    fn a_long_name_matches_a_program_or_a_script() {
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
