//! Where the OpenSSL family keeps the BIOs and descriptors of a connection.
//!
//! The structures are private and move between versions. The library's code is believed where it answers in full; else
//! a table of versions, each row with the source it came from. A row that the library's code contradicts counts as
//! unknown: a wrong offset would attribute a request to the wrong peer.

use super::derived::Derived;
use crate::libraries::family::Family;
use crate::libraries::layout::{BioLayout, Layout, LayoutUnknown, Origin};
use crate::libraries::library::Library;
use crate::libraries::version::{LibraryVersion, Stage};

/// The four offsets of a [`Layout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Offsets {
    rbio: u16,
    wbio: u16,
    bio: BioLayout,
}

/// Finds the layout of a library.
pub(crate) fn layout(library: &Library, derived: Derived) -> Result<Layout, LayoutUnknown> {
    if let Some(version) = &library.version
        && is_older_than_its_symbols(version, library.at_least)
    {
        return Err(LayoutUnknown::VersionContradicted);
    }
    let (offsets, origin) = match (by_version(library, derived), derived.complete()) {
        (Ok(row), Some(code)) if row == code => (row, Origin::Both),
        (Ok(row), None) if !contradicts(derived, row) => (row, Origin::Table),
        (Ok(_), _) => return Err(LayoutUnknown::AccessorsDisagree),
        (Err(_), Some(code)) => (code, Origin::Accessors),
        (Err(unknown), None) => return Err(unknown),
    };
    Ok(offsets.layout(origin))
}

/// Finds the layout by the library's code alone.
pub(crate) fn layout_by_code(derived: Derived) -> Option<Layout> {
    derived.complete().map(|offsets| offsets.layout(Origin::Accessors))
}

impl Offsets {
    const fn layout(self, origin: Origin) -> Layout {
        Layout {
            rbio: self.rbio,
            wbio: self.wbio,
            bio_method: self.bio.method,
            bio_num: self.bio.num,
            origin,
        }
    }
}

impl Derived {
    fn complete(self) -> Option<Offsets> {
        let Self { rbio, wbio, bio } = self;
        Some(Offsets {
            rbio: rbio?,
            wbio: wbio?,
            bio: bio?,
        })
    }
}

fn by_version(library: &Library, derived: Derived) -> Result<Offsets, LayoutUnknown> {
    if library.family == Family::BoringSsl {
        return Err(LayoutUnknown::VersionNeverStated);
    }
    let version = library.version.as_ref().ok_or(LayoutUnknown::VersionUnknown)?;
    match library.family {
        Family::OpenSsl => openssl(version),
        Family::LibreSsl if derived.rbio.is_some() && derived.wbio.is_some() => Ok(LIBRESSL),
        Family::LibreSsl => Err(LayoutUnknown::AccessorsUnreadable),
        Family::BoringSsl
        | Family::AwsLc
        | Family::GnuTls
        | Family::MbedTls
        | Family::WolfSsl
        | Family::S2n
        | Family::Nss
        | Family::Go
        | Family::Rustls => Err(LayoutUnknown::VersionNotInTable),
    }
}

fn contradicts(derived: Derived, row: Offsets) -> bool {
    let differs = |said: Option<u16>, field| said.is_some_and(|said| said != field);
    differs(derived.rbio, row.rbio) || differs(derived.wbio, row.wbio) || derived.bio.is_some_and(|bio| bio != row.bio)
}

/// LibreSSL 3.6 to 4.3: a method for QUIC stands before the BIOs (`ssl_local.h`, `bio_local.h`, openbsd 1cf0a14).
/// Which release added it was not established, so the accessors must say the same.
const LIBRESSL: Offsets = Offsets {
    rbio: 0x18,
    wbio: 0x20,
    bio: BIO_1_1_1,
};

fn openssl(version: &LibraryVersion) -> Result<Offsets, LayoutUnknown> {
    if version.stage == Stage::PreRelease {
        return Err(LayoutUnknown::VersionNotInTable);
    }
    let (ssl, bio) = match version.number() {
        // struct ssl_st: version, method, rbio; struct bio_st without callback_ex (1.0.2u, 1.1.0l).
        (1, 0, 2) | (1, 1, 0) => (SSL_PLAIN, BIO_1_0),
        // struct bio_st gained callback_ex (1.1.1w, include/internal/bio.h).
        (1, 1, 1) => (SSL_PLAIN, BIO_1_1_1),
        // struct bio_st gained libctx (3.0.8, crypto/bio/bio_local.h).
        (3, 0 | 1, _) => (SSL_PLAIN, BIO_3),
        // struct ssl_connection_st behind a 0x40-byte ssl_st (3.2.1, 3.3.2, ssl/ssl_local.h).
        (3, 2, 0..=3) | (3, 3, 0..=2) | (3, 4, 0) => ((0x48, 0x50), BIO_3),
        // struct ssl_connection_st gained user_ssl (3.4.1, 3.5.5, 4.0.3, ssl/ssl_local.h).
        (3, 2..=6, _) | (4, 0, _) => ((0x50, 0x58), BIO_3),
        _ => return Err(LayoutUnknown::VersionNotInTable),
    };
    Ok(Offsets {
        rbio: ssl.0,
        wbio: ssl.1,
        bio,
    })
}

const SSL_PLAIN: (u16, u16) = (0x10, 0x18);
const BIO_1_0: BioLayout = BioLayout { method: 0, num: 0x28 };
const BIO_1_1_1: BioLayout = BioLayout { method: 0, num: 0x30 };
const BIO_3: BioLayout = BioLayout { method: 8, num: 0x38 };

/// Returns the layout of BIOs that have their number at an offset, of those of OpenSSL 1.1.1 to 4.0.
pub(crate) fn bio_by_number(number: u16) -> Option<BioLayout> {
    [BIO_1_1_1, BIO_3].into_iter().find(|bio| bio.num == number)
}

fn is_older_than_its_symbols(version: &LibraryVersion, at_least: Option<(u16, u16, u16)>) -> bool {
    // Patch releases do not count: distributions bring single symbols of later ones back.
    at_least.is_some_and(|(major, minor, _)| (version.major, version.minor) < (major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libraries::library::Evidence;

    fn library(text: &str) -> Library {
        let version = LibraryVersion::parse(text).unwrap();
        Library {
            family: version.family,
            evidence: Evidence::VersionText,
            version: Some(version),
            at_least: None,
        }
    }

    type Row = (u16, u16, u16, u16);

    fn row(layout: Layout) -> Row {
        (layout.rbio, layout.wbio, layout.bio_method, layout.bio_num)
    }

    fn layout_of(number: &str) -> Result<Row, LayoutUnknown> {
        let library = library(&format!("OpenSSL {number} 1 Jan 2026"));
        layout(&library, Derived::default()).map(row)
    }

    fn derived((rbio, wbio, method, num): Row) -> Derived {
        Derived {
            rbio: Some(rbio),
            wbio: Some(wbio),
            bio: Some(BioLayout { method, num }),
        }
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
    fn accessors_that_answer_in_full_need_no_table() {
        let said = (0x60, 0x68, 8, 0x38);
        for text in [
            "OpenSSL 3.7.0 1 Apr 2027",
            "OpenSSL 4.1.0-beta1 1 Apr 2027",
            "AWS-LC 1.69.0",
        ] {
            let layout = layout(&library(text), derived(said)).unwrap();
            assert_eq!((row(layout), layout.origin), (said, Origin::Accessors), "{text}");
        }
    }

    #[test]
    fn accessors_and_table_are_believed_together_if_they_agree() {
        let library = library("OpenSSL 3.0.2 15 Mar 2022");
        let agreeing = layout(&library, derived((0x10, 0x18, 8, 0x38))).unwrap();
        assert_eq!(agreeing.origin, Origin::Both);
        for other in [
            (0x18, 0x18, 8, 0x38),
            (0x10, 0x20, 8, 0x38),
            (0x10, 0x18, 0, 0x38),
            (0x10, 0x18, 8, 0x30),
        ] {
            assert_eq!(layout(&library, derived(other)), Err(LayoutUnknown::AccessorsDisagree));
        }
    }

    #[test]
    fn a_single_accessor_may_contradict_the_table_but_not_replace_it() {
        let known = library("OpenSSL 3.0.2 15 Mar 2022");
        let rbio = |field| Derived {
            rbio: Some(field),
            ..Derived::default()
        };
        assert_eq!(
            layout(&known, rbio(0x10)).map(|layout| layout.origin),
            Ok(Origin::Table)
        );
        assert_eq!(layout(&known, rbio(0x18)), Err(LayoutUnknown::AccessorsDisagree));
        let bio = Derived {
            bio: Some(BioLayout { method: 0, num: 0x30 }),
            ..Derived::default()
        };
        assert_eq!(layout(&known, bio), Err(LayoutUnknown::AccessorsDisagree));
        let unknown = library("OpenSSL 3.7.0 1 Apr 2027");
        assert_eq!(layout(&unknown, rbio(0x10)), Err(LayoutUnknown::VersionNotInTable));
    }

    #[test]
    fn symbols_newer_than_the_version_overrule_it() {
        let mut library = library("OpenSSL 3.0.2 15 Mar 2022");
        library.at_least = Some((3, 2, 0));
        assert_eq!(
            layout(&library, Derived::default()),
            Err(LayoutUnknown::VersionContradicted)
        );
        library.at_least = Some((3, 0, 9));
        assert!(layout(&library, Derived::default()).is_ok());
    }

    #[test]
    fn libressl_has_a_layout_only_if_its_accessors_confirm_it() {
        let library = library("LibreSSL 3.8.2");
        let confirming = Derived {
            rbio: Some(0x18),
            wbio: Some(0x20),
            bio: None,
        };
        assert!(layout(&library, confirming).is_ok());
        assert_eq!(
            layout(&library, Derived::default()),
            Err(LayoutUnknown::AccessorsUnreadable)
        );
        let older = Derived {
            rbio: Some(0x10),
            wbio: Some(0x18),
            bio: None,
        };
        assert_eq!(layout(&library, older), Err(LayoutUnknown::AccessorsDisagree));
    }

    #[test]
    fn boringssl_has_a_layout_only_if_its_accessors_say_it() {
        let library = Library {
            family: Family::BoringSsl,
            evidence: Evidence::Symbols,
            version: None,
            at_least: None,
        };
        assert_eq!(
            layout(&library, Derived::default()),
            Err(LayoutUnknown::VersionNeverStated)
        );
        let said = (0x18, 0x20, 8, 0x28);
        assert_eq!(layout(&library, derived(said)).map(row), Ok(said));
    }
}
