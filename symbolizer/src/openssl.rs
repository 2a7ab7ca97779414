//! Where the OpenSSL family keeps the BIOs and descriptors of a connection.
//!
//! In: the family and version of a library, and what its own accessors say. Out: a [`Layout`], or why it is not
//! known. The structures are private and move between versions, so each row cites the source it came from.
//! Refused: versions that nobody looked at, and rows that the library's own code contradicts: a wrong offset
//! would attribute a request to the wrong peer.

use std::fmt;

use crate::library::{Family, Library};
use crate::version::{LibraryVersion, Stage};

/// Gives the byte offsets that lead from an `SSL*` to a file descriptor.
///
/// They are the same on x86-64 and aarch64. A descriptor of a BIO that is no socket is meaningless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// From an `SSL` to the pointer to the BIO it reads from.
    pub rbio: u16,
    /// From an `SSL` to the pointer to the BIO it writes to.
    pub wbio: u16,
    /// From a BIO to the pointer to its method, whose first word is the type.
    pub bio_method: u16,
    /// From a BIO to its number, the descriptor of a socket BIO.
    pub bio_num: u16,
}

/// Says why the layout of a library is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayoutUnknown {
    /// Neither the image nor its crypto library states a version.
    VersionUnknown,
    /// The image states several versions.
    SeveralVersions,
    /// The image holds several copies of the library.
    SeveralCopies,
    /// The library states no version as a matter of policy.
    VersionNeverStated,
    /// The version is not among those whose source was read.
    VersionNotInTable,
    /// The library has symbols newer than the version that is stated for it.
    VersionContradicted,
    /// The library's accessors load other fields than the table says.
    AccessorsDisagree,
    /// The version alone does not decide, and the library's accessors could not be read.
    AccessorsUnreadable,
}

impl fmt::Display for LayoutUnknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::VersionUnknown => "no version of the library is stated",
            Self::SeveralVersions => "several versions of the library are stated",
            Self::SeveralCopies => "there are several copies of the library",
            Self::VersionNeverStated => "the library never states its version",
            Self::VersionNotInTable => "the structures of this version have not been examined",
            Self::VersionContradicted => "the library has symbols newer than its stated version",
            Self::AccessorsDisagree => "the library's own code contradicts the table of its versions",
            Self::AccessorsUnreadable => "the library's own code does not confirm the table of its versions",
        })
    }
}

/// Holds the fields that the library's own accessors return, where they could be read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Accessors {
    pub(crate) rbio: Option<u16>,
    pub(crate) wbio: Option<u16>,
}

/// The oldest OpenSSL whose functions are known to behave as the newer ones do.
pub(crate) const OLDEST: (u16, u16, u16) = (1, 0, 2);

/// Finds the layout of a library and checks it against the library's own code.
pub(crate) fn layout(library: &Library, accessors: Accessors) -> Result<Layout, LayoutUnknown> {
    if library.family == Family::BoringSsl {
        return Err(LayoutUnknown::VersionNeverStated);
    }
    let version = library.version.as_ref().ok_or(LayoutUnknown::VersionUnknown)?;
    if is_older_than_its_symbols(version, library.at_least) {
        return Err(LayoutUnknown::VersionContradicted);
    }
    match library.family {
        Family::OpenSsl => agree(openssl(version)?, accessors),
        Family::LibreSsl => confirm(LIBRESSL, accessors),
        Family::BoringSsl | Family::AwsLc => Err(LayoutUnknown::VersionNotInTable),
    }
}

/// LibreSSL 3.6 and later: a method for QUIC stands before the BIOs (`ssl_local.h`, `bio_local.h`, openbsd 1cf0a14).
/// Which release added it was not established, so the accessors must say the same.
const LIBRESSL: Layout = Layout {
    rbio: 0x18,
    wbio: 0x20,
    bio_method: 0,
    bio_num: 0x30,
};

fn openssl(version: &LibraryVersion) -> Result<Layout, LayoutUnknown> {
    if version.stage == Stage::PreRelease {
        return Err(LayoutUnknown::VersionNotInTable);
    }
    let (ssl, bio) = match version.number() {
        // struct ssl_st: version, method, rbio; struct bio_st without callback_ex (1.0.2u, 1.1.0l).
        (1, 0, 2) | (1, 1, 0) => (SSL_PLAIN, (0, 0x28)),
        // struct bio_st gained callback_ex (1.1.1w, include/internal/bio.h).
        (1, 1, 1) => (SSL_PLAIN, (0, 0x30)),
        // struct bio_st gained libctx (3.0.8, crypto/bio/bio_local.h).
        (3, 0 | 1, _) => (SSL_PLAIN, BIO_3),
        // struct ssl_connection_st behind a 0x40-byte ssl_st (3.2.1, 3.3.2, ssl/ssl_local.h).
        (3, 2, 0..=3) | (3, 3, 0..=2) | (3, 4, 0) => ((0x48, 0x50), BIO_3),
        // struct ssl_connection_st gained user_ssl (3.4.1, 3.5.5, 4.0.3, ssl/ssl_local.h).
        (3, 2..=6, _) | (4, 0, _) => ((0x50, 0x58), BIO_3),
        _ => return Err(LayoutUnknown::VersionNotInTable),
    };
    Ok(Layout {
        rbio: ssl.0,
        wbio: ssl.1,
        bio_method: bio.0,
        bio_num: bio.1,
    })
}

const SSL_PLAIN: (u16, u16) = (0x10, 0x18);
const BIO_3: (u16, u16) = (0x8, 0x38);

fn is_older_than_its_symbols(version: &LibraryVersion, at_least: Option<(u16, u16, u16)>) -> bool {
    // Patch releases do not count: distributions bring single symbols of later ones back.
    at_least.is_some_and(|(major, minor, _)| (version.major, version.minor) < (major, minor))
}

/// Passes a layout that no accessor contradicts.
fn agree(layout: Layout, accessors: Accessors) -> Result<Layout, LayoutUnknown> {
    let differs = |said: Option<u16>, field| said.is_some_and(|said| said != field);
    if differs(accessors.rbio, layout.rbio) || differs(accessors.wbio, layout.wbio) {
        return Err(LayoutUnknown::AccessorsDisagree);
    }
    Ok(layout)
}

/// Passes a layout that both accessors confirm.
fn confirm(layout: Layout, accessors: Accessors) -> Result<Layout, LayoutUnknown> {
    let both = accessors.rbio.is_some() && accessors.wbio.is_some();
    if both {
        agree(layout, accessors)
    } else {
        Err(LayoutUnknown::AccessorsUnreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::Evidence;

    fn library(text: &str) -> Library {
        let version = LibraryVersion::parse(text).unwrap();
        Library {
            family: version.family,
            evidence: Evidence::VersionText,
            version: Some(version),
            at_least: None,
        }
    }

    fn layout_of(number: &str) -> Result<(u16, u16, u16, u16), LayoutUnknown> {
        let library = library(&format!("OpenSSL {number} 1 Jan 2026"));
        layout(&library, Accessors::default()).map(|l| (l.rbio, l.wbio, l.bio_method, l.bio_num))
    }

    #[test]
    fn every_row_of_the_table_is_reached() {
        let rows = [
            ("1.0.2u", (0x10, 0x18, 0, 0x28)),
            ("1.1.0l", (0x10, 0x18, 0, 0x28)),
            ("1.1.1w", (0x10, 0x18, 0, 0x30)),
            ("3.0.19", (0x10, 0x18, 8, 0x38)),
            ("3.1.8", (0x10, 0x18, 8, 0x38)),
            ("3.2.3", (0x48, 0x50, 8, 0x38)),
            ("3.2.4", (0x50, 0x58, 8, 0x38)),
            ("3.3.2", (0x48, 0x50, 8, 0x38)),
            ("3.3.3", (0x50, 0x58, 8, 0x38)),
            ("3.4.0", (0x48, 0x50, 8, 0x38)),
            ("3.4.1", (0x50, 0x58, 8, 0x38)),
            ("3.5.5", (0x50, 0x58, 8, 0x38)),
            ("3.6.0", (0x50, 0x58, 8, 0x38)),
            ("4.0.3", (0x50, 0x58, 8, 0x38)),
        ];
        for (number, row) in rows {
            assert_eq!(layout_of(number), Ok(row), "OpenSSL {number}");
        }
    }

    #[test]
    fn a_version_outside_the_table_has_no_layout() {
        for number in ["1.0.1f", "1.2.0", "2.0.0", "3.7.0", "4.1.0", "3.2.4-beta1"] {
            assert_eq!(
                layout_of(number),
                Err(LayoutUnknown::VersionNotInTable),
                "OpenSSL {number}"
            );
        }
    }

    #[test]
    fn an_accessor_overrules_the_table() {
        let accessors = Accessors {
            rbio: Some(0x18),
            wbio: None,
        };
        let library = library("OpenSSL 3.0.2 15 Mar 2022");
        assert_eq!(layout(&library, accessors), Err(LayoutUnknown::AccessorsDisagree));
    }

    #[test]
    fn symbols_newer_than_the_version_overrule_it() {
        let mut library = library("OpenSSL 3.0.2 15 Mar 2022");
        library.at_least = Some((3, 2, 0));
        assert_eq!(
            layout(&library, Accessors::default()),
            Err(LayoutUnknown::VersionContradicted)
        );
        library.at_least = Some((3, 0, 9));
        assert!(layout(&library, Accessors::default()).is_ok());
    }

    #[test]
    fn libressl_has_a_layout_only_if_its_accessors_confirm_it() {
        let library = library("LibreSSL 3.8.2");
        let confirming = Accessors {
            rbio: Some(0x18),
            wbio: Some(0x20),
        };
        assert!(layout(&library, confirming).is_ok());
        assert_eq!(
            layout(&library, Accessors::default()),
            Err(LayoutUnknown::AccessorsUnreadable)
        );
        let older = Accessors {
            rbio: Some(0x10),
            wbio: Some(0x18),
        };
        assert_eq!(layout(&library, older), Err(LayoutUnknown::AccessorsDisagree));
    }

    #[test]
    fn boringssl_has_no_layout() {
        let library = Library {
            family: Family::BoringSsl,
            evidence: Evidence::Symbols,
            version: None,
            at_least: None,
        };
        assert_eq!(
            layout(&library, Accessors::default()),
            Err(LayoutUnknown::VersionNeverStated)
        );
    }
}
