//! Libraries without names: what proves that an image holds one although no symbol names its functions.
//!
//! One string is no proof: a tracer, a scanner or a list of error messages holds any single one of them, and so does
//! this program. So each library needs several independent marks of two kinds, and the constants here are cut so that
//! this program's own image has none of them whole.

use std::collections::BTreeSet;

use memchr::memmem;

use crate::limits;

/// Returns whether an image holds code of OpenSSL's libssl, or of one of its relatives: several of its source files are
/// named as its error messages name them, and so is a label of TLS's key derivation.
pub(crate) fn holds_openssl_code(image: &[u8]) -> bool {
    source_files(image).len() >= FEWEST_FILES && derives_keys(image)
}

/// Returns whether an image holds code of rustls: several of its source files are named, as panics name them, and so is a
/// label of TLS's key derivation. Strip leaves these texts.
pub(crate) fn holds_rustls(image: &[u8]) -> bool {
    rustls_files(image).len() >= FEWEST_FILES && derives_keys(image)
}

/// Finds which of libssl's source files the image names, each as a text of its own that ends in `ssl/NAME.c` or `.cc`.
fn source_files(image: &[u8]) -> BTreeSet<&'static [u8]> {
    let mut found = BTreeSet::new();
    for at in memmem::find_iter(image, LIBSSL_FOLDER) {
        let rest = at.checked_add(LIBSSL_FOLDER.len()).and_then(|from| image.get(from..));
        let known = |name: &&[u8]| rest.is_some_and(|rest| is_source_file(rest, name));
        found.extend(LIBSSL_FILES.into_iter().find(known));
        if found.len() == LIBSSL_FILES.len() {
            break;
        }
    }
    found
}

fn is_source_file(text: &[u8], name: &[u8]) -> bool {
    let ending = text.strip_prefix(name);
    ending.is_some_and(|ending| ending.starts_with(b".c\0") || ending.starts_with(b".cc\0"))
}

/// Finds the distinct paths below `/rustls-VERSION/src/`, as many as are proof.
fn rustls_files(image: &[u8]) -> BTreeSet<&[u8]> {
    let finder = memmem::Finder::new(RUSTLS);
    let mut found = BTreeSet::new();
    for at in finder.find_iter(image) {
        found.extend(
            at.checked_add(RUSTLS.len())
                .and_then(|from| rust_file(image.get(from..)?)),
        );
        if found.len() == FEWEST_FILES {
            break;
        }
    }
    found
}

/// Reads `VERSION/src/NAME.rs`.
fn rust_file(text: &[u8]) -> Option<&[u8]> {
    let window = text.get(..limits::FILE_NAME).unwrap_or(text);
    window.first().filter(|byte| byte.is_ascii_digit())?;
    let path = window.get(..memmem::find(window, b".rs")?)?;
    let is_path = |byte: &u8| byte.is_ascii_alphanumeric() || b"/_-+.".contains(byte);
    (path.iter().all(is_path) && memmem::find(path, b"/src/").is_some()).then_some(path)
}

/// Returns whether an image holds a label that TLS derives keys with (RFC 5246 section 6.3, RFC 8446 section 7.1).
fn derives_keys(image: &[u8]) -> bool {
    LABELS.into_iter().any(|label| memmem::find(image, label).is_some())
}

/// How many source files of a library are proof of it.
const FEWEST_FILES: usize = 3;

/// Where OpenSSL and its relatives keep libssl, in the names that `__FILE__` gives.
const LIBSSL_FOLDER: &[u8] = b"ssl/";

/// Source files of libssl, some in every version of OpenSSL since 1.0.2, in LibreSSL, in BoringSSL and in AWS-LC.
const LIBSSL_FILES: [&[u8]; 12] = [
    b"bio_ssl",
    b"d1_lib",
    b"d1_srtp",
    b"s3_lib",
    b"s3_both",
    b"ssl_asn1",
    b"ssl_cert",
    b"ssl_lib",
    b"ssl_rsa",
    b"t1_enc",
    b"t1_lib",
    b"tls13_enc",
];

/// Where Cargo keeps the sources of a release of rustls.
pub(crate) const RUSTLS: &[u8] = b"/rustls-";

/// Labels that TLS derives keys with.
pub(super) const LABELS: [&[u8]; 3] = [b"key expansion", b"master secret", b"c hs traffic"];

/// All that is searched for here, for whoever reads no more of a file than it has to.
pub(crate) const MARKS: [&[u8]; 5] = [LIBSSL_FOLDER, RUSTLS, LABELS[0], LABELS[1], LABELS[2]];

#[cfg(test)]
mod tests {
    use super::*;

    fn image(texts: &[&str]) -> Vec<u8> {
        texts
            .iter()
            .flat_map(|text| [text.as_bytes(), b"\0"].concat())
            .collect()
    }

    #[test]
    fn three_source_files_and_a_label_are_proof_of_openssl() {
        let files = ["../ssl/ssl_lib.c", "../ssl/t1_lib.c", "src/ssl/ssl_cert.cc"];
        let with_label = [&files[..], &["key expansion"]].concat();
        assert!(holds_openssl_code(&image(&with_label)));
        assert!(!holds_openssl_code(&image(&files)), "nothing derives keys");
        assert!(!holds_openssl_code(&image(&with_label[1..])), "two files");
        let again = ["ssl/ssl_lib.c", "../ssl/ssl_lib.c", "ssl/ssl_lib.cc", "key expansion"];
        assert!(!holds_openssl_code(&image(&again)), "one file");
    }

    #[test]
    fn a_text_that_mentions_source_files_is_no_source_file() {
        let mentioned = [
            "error at ssl/ssl_lib.c:1234",
            "ssl/t1_lib.c, line 3",
            "see ssl/s3_lib.c and ssl/t1_enc.cpp",
            "key expansion",
        ];
        assert!(source_files(&image(&mentioned)).is_empty());
    }

    #[test]
    fn rustls_is_known_by_the_distinct_paths_of_its_own_files() {
        let paths = |image: &[u8]| rustls_files(image).len();
        let three = image(&[
            "/index/rustls-0.23.46/src/conn.rs",
            "/index/rustls-0.23.46/src/conn.rs",
            "/index/rustls-0.23.46/src/client/hs.rs",
            "/index/rustls-0.23.46/src/tls13/mod.rs",
        ]);
        assert_eq!(paths(&three), 3);
        assert_eq!(paths(&image(&["/index/rustls-pki-types-1.2.0/src/lib.rs"])), 0);
        assert_eq!(
            paths(&image(&["/rustls-0.23.46/README.md", "/rustls-0 /src/conn.rs"])),
            0
        );
    }
}
