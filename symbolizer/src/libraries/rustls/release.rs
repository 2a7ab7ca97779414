//! The releases of rustls whose files an image names: a panic says where it was, and strip leaves those texts.

use std::collections::BTreeSet;

use memchr::memmem;

use crate::libraries::family::Family;
use crate::libraries::traces::RUSTLS;
use crate::libraries::version::{LibraryVersion, Stage};
use crate::limits;

/// Finds the versions, in their order; none if the files were renamed, as a build with `--remap-path-prefix` may do.
pub(super) fn find(image: &[u8]) -> Vec<String> {
    let mut found = BTreeSet::new();
    for at in memmem::find_iter(image, RUSTLS) {
        let rest = at.checked_add(RUSTLS.len()).and_then(|from| image.get(from..));
        found.extend(rest.and_then(version));
        if found.len() == limits::RUSTLS_VERSIONS {
            break;
        }
    }
    found.into_iter().collect()
}

/// Reads `VERSION/src/`.
fn version(text: &[u8]) -> Option<String> {
    let window = text.get(..limits::FILE_NAME).unwrap_or(text);
    window.first().filter(|byte| byte.is_ascii_digit())?;
    let version = window.get(..memmem::find(window, b"/src/")?)?;
    let is_version = |byte: &u8| byte.is_ascii_alphanumeric() || b".-+".contains(byte);
    let version = version.iter().all(is_version).then_some(version)?;
    String::from_utf8(version.to_vec()).ok()
}

/// Parses a version such as `0.23.46` or `0.24.0-dev.2`.
pub(super) fn parse(version: &str) -> Option<LibraryVersion> {
    let (numbers, stage) = match version.split_once(['-', '+']) {
        Some((numbers, _)) => (numbers, Stage::PreRelease),
        None => (version, Stage::Release),
    };
    let mut parts = numbers.split('.').map(|part| part.parse().ok());
    Some(LibraryVersion {
        family: Family::Rustls,
        text: format!("rustls {version}"),
        major: parts.next()??,
        minor: parts.next()??,
        patch: parts.next()??,
        letter: None,
        stage,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_read_from_the_paths_of_its_files() {
        let image = b"\0/i/rustls-0.23.46/src/conn.rs/i/rustls-0.23.46/src/vecbuf.rs\0/rustls-webpki-0.103.17/src/x.rs";
        assert_eq!(find(image), ["0.23.46"]);
        assert_eq!(
            find(b"/rustls-0.21.12/src/a.rs/rustls-0.23.4/src/a.rs"),
            ["0.21.12", "0.23.4"]
        );
        assert_eq!(find(b"/rustls-0.23.46/README.md /rustls-0 /src/conn.rs"), [""; 0]);
    }

    #[test]
    fn a_release_has_three_numbers() {
        let number = |text| parse(text).map(|version| (version.number(), version.stage));
        assert_eq!(number("0.23.46"), Some(((0, 23, 46), Stage::Release)));
        assert_eq!(number("0.24.0-dev.2"), Some(((0, 24, 0), Stage::PreRelease)));
        assert_eq!(number("0.23"), None);
    }
}
