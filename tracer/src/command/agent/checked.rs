//! The text of a configuration that was checked, for the program that this one executes: a file in memory, as its stdin.
//!
//! An agent reads nothing else from stdin, and a file that is not named here is none of ours.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use crate::memory_file;

const NAME: &str = "tlscope-checked-configuration";
const STDIN: &str = "/proc/self/fd/0";

pub(super) fn file(text: &str) -> io::Result<File> {
    memory_file::with(NAME, text.as_bytes())
}

/// Returns the text that the program before this one has checked, if there was one.
pub(super) fn text() -> Option<String> {
    is_ours(&fs::read_link(STDIN).ok()?).then(|| fs::read_to_string(STDIN).ok())?
}

/// Returns whether this is what the kernel calls such a file (`memfd_create(2)`).
fn is_ours(link: &Path) -> bool {
    link.to_str() == Some(&format!("/memfd:{NAME} (deleted)"))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn a_file_is_known_by_its_name_and_read_from_its_start() {
        let file = file("all = true\n").unwrap();
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        assert!(is_ours(&fs::read_link(&path).unwrap()));
        assert_eq!(fs::read_to_string(path).unwrap(), "all = true\n");
        let other = memory_file::with("alert", b"{}").unwrap();
        assert!(!is_ours(
            &fs::read_link(format!("/proc/self/fd/{}", other.as_raw_fd())).unwrap()
        ));
    }
}
