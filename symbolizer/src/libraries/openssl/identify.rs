//! Which library of OpenSSL's family an image carries.
//!
//! The family never rests on silence alone without saying so: [`Evidence::Names`] means that nothing but the common
//! names was found.

use memchr::memmem;

use super::functions::{GREASE, READ_EX, VERIFY_MEMORY};
use crate::elf::survey::Survey;
use crate::libraries::family::Family;
use crate::libraries::library::{Evidence, Library};
use crate::libraries::version::LibraryVersion;
use crate::limits;

/// Concludes the family and its version.
pub(crate) fn identify(
    survey: &Survey,
    stated: Option<&LibraryVersion>,
    symbol_versions: &[&[u8]],
    crypto: Option<&LibraryVersion>,
) -> Library {
    let at_least = symbol_versions
        .iter()
        .filter_map(|name| parse_symbol_version(name))
        .max();
    let by_symbols = |family| (family, Evidence::Symbols);
    let (family, evidence) = greased(survey)
        .map(by_symbols)
        .or_else(|| stated.map(|version| (version.family, Evidence::VersionText)))
        .or_else(|| at_least.map(|_| (Family::OpenSsl, Evidence::SymbolVersions)))
        .or_else(|| libtls(survey).map(by_symbols))
        .or_else(|| crypto.map(|version| (version.family, Evidence::CryptoLibrary)))
        .unwrap_or((Family::OpenSsl, Evidence::Names));
    // A version of another family belongs to another library of the same process.
    let version = stated.or(crypto).filter(|version| version.family == family).cloned();
    Library {
        family,
        evidence,
        version,
        at_least,
    }
}

/// Describes OpenSSL whose functions have no names.
pub(crate) fn without_names(stated: Option<&LibraryVersion>, crypto: Option<&LibraryVersion>) -> Library {
    let version = stated.or(crypto).filter(|version| version.family == Family::OpenSsl);
    Library {
        family: Family::OpenSsl,
        evidence: Evidence::Errors,
        version: version.cloned(),
        at_least: None,
    }
}

/// Recognises BoringSSL and AWS-LC by a symbol, because programs that contain them repeat version texts of OpenSSL.
fn greased(survey: &Survey) -> Option<Family> {
    // AWS-LC added the counted variants that BoringSSL never had.
    let counted = survey.defines(READ_EX);
    let family = if counted { Family::AwsLc } else { Family::BoringSsl };
    survey.defines(GREASE).then_some(family)
}

/// Recognises LibreSSL. Must be tried late, because ports of its libtls to OpenSSL define the same symbol.
fn libtls(survey: &Survey) -> Option<Family> {
    survey.defines(VERIFY_MEMORY).then_some(Family::LibreSsl)
}

/// Keeps the versions that the TLS library in the image can have stated.
///
/// One program may hold OpenSSL for TLS and AWS-LC for other cryptography. The error messages of libssl name its
/// source files, and BoringSSL and AWS-LC alone are written in C++.
pub(crate) fn believable(stated: Vec<LibraryVersion>, image: &[u8]) -> Vec<LibraryVersion> {
    let after = memmem::find(image, LIBSSL_SOURCE).and_then(|at| image.get(at.checked_add(LIBSSL_SOURCE.len())?));
    let impossible = |family| match family {
        Family::OpenSsl | Family::LibreSsl => after == Some(&b'c'),
        Family::BoringSsl | Family::AwsLc => after == Some(&0),
        Family::GnuTls
        | Family::MbedTls
        | Family::WolfSsl
        | Family::S2n
        | Family::Nss
        | Family::Go
        | Family::Rustls => false,
    };
    stated
        .into_iter()
        .filter(|version| !impossible(version.family))
        .collect()
}

/// Tells AWS-LC from BoringSSL, which have the same functions, where no version is stated: by the folder of the file that every
/// libssl names, else by what only the crypto library of one of them says. Both may be there, where Rust's cryptography lies
/// beside another's TLS.
pub(crate) fn by_texts(image: &[u8]) -> Option<Family> {
    let folder_of = |at: usize| {
        let before = image.get(at.saturating_sub(limits::SOURCE_FILE)..at)?;
        let begin = memchr::memrchr(0, before).map_or(0, |zero| zero.saturating_add(1));
        let folder = before.get(begin..)?;
        let holds = |(name, family): &(&[u8], Family)| memmem::find(folder, name).map(|_| *family);
        FOLDERS.iter().find_map(holds)
    };
    if let Some(family) = memmem::find_iter(image, LIBSSL_SOURCE).find_map(folder_of) {
        return Some(family);
    }
    let mut said = SAID.into_iter().filter(|(text, _)| memmem::find(image, text).is_some());
    let (_, family) = said.next()?;
    said.next().is_none().then_some(family)
}

/// The folders that the files of both are in, by the names of their repositories.
const FOLDERS: [(&[u8], Family); 2] = [(b"aws-lc", Family::AwsLc), (b"boringssl", Family::BoringSsl)];

/// What ends a program whose test of itself fails (`AWS_LC_FIPS_failure`), and the version that the other states.
const SAID: [(&[u8], Family); 2] = [
    (b"AWS-LC FIPS failure caused by:", Family::AwsLc),
    (b"(compatible; BoringSSL)", Family::BoringSsl),
];

/// The source file that every libssl names: `ssl_lib.c`, or `ssl_lib.cc` if it is written in C++.
const LIBSSL_SOURCE: &[u8] = b"ssl/ssl_lib.c";

/// Reads a symbol version such as `OPENSSL_3.2.0` or `OPENSSL_1_1_1d`.
fn parse_symbol_version(name: &[u8]) -> Option<(u16, u16, u16)> {
    let numbers = std::str::from_utf8(name).ok()?.strip_prefix("OPENSSL_")?;
    let mut parts = numbers.split(['.', '_']);
    let mut next = || {
        let part = parts.next()?.trim_end_matches(|c: char| c.is_ascii_lowercase());
        part.parse().ok()
    };
    Some((next()?, next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> LibraryVersion {
        LibraryVersion::parse(text).unwrap()
    }

    #[test]
    fn a_symbol_version_of_openssl_is_a_lower_bound() {
        let names: [&[u8]; 4] = [b"libssl.so.3", b"OPENSSL_3.0.0", b"OPENSSL_3.2.0", b"OPENSSL_1_1_1d"];
        let library = identify(&Survey::default(), None, &names, None);
        assert_eq!(
            (library.family, library.evidence),
            (Family::OpenSsl, Evidence::SymbolVersions)
        );
        assert_eq!(library.at_least, Some((3, 2, 0)));
        assert_eq!(library.version, None);
    }

    #[test]
    fn the_old_spelling_of_a_symbol_version_is_read() {
        assert_eq!(parse_symbol_version(b"OPENSSL_1_1_1d"), Some((1, 1, 1)));
        assert_eq!(parse_symbol_version(b"OPENSSL_1.0.1_EC"), Some((1, 0, 1)));
        assert_eq!(parse_symbol_version(b"OPENSSL_FIPS"), None);
    }

    #[test]
    fn the_version_is_taken_from_the_crypto_library_when_the_image_states_none() {
        let crypto = version("LibreSSL 3.8.2");
        let library = identify(&Survey::default(), None, &[], Some(&crypto));
        assert_eq!(
            (library.family, library.evidence),
            (Family::LibreSsl, Evidence::CryptoLibrary)
        );
        assert_eq!(library.version, Some(crypto));
    }

    #[test]
    fn a_version_of_another_family_is_not_taken() {
        let stated = version("OpenSSL 3.0.2 15 Mar 2022");
        let crypto = version("LibreSSL 3.8.2");
        let library = identify(&Survey::default(), Some(&stated), &[], Some(&crypto));
        assert_eq!(library.version, Some(stated));
        let library = identify(&Survey::default(), None, &[b"OPENSSL_3.0.0"], Some(&crypto));
        assert_eq!((library.family, library.version), (Family::OpenSsl, None));
    }

    #[test]
    fn the_source_of_libssl_tells_whose_version_counts() {
        let both = || vec![version("OpenSSL 3.5.4 30 Sep 2025"), version("AWS-LC 1.69.0")];
        let families = |image| {
            believable(both(), image)
                .iter()
                .map(|version| version.family)
                .collect::<Vec<_>>()
        };
        assert_eq!(families(b"ssl/ssl_lib.c\0"), [Family::OpenSsl]);
        assert_eq!(families(b"ssl/ssl_lib.cc\0"), [Family::AwsLc]);
        assert_eq!(families(b""), [Family::OpenSsl, Family::AwsLc]);
    }

    #[test]
    fn aws_lc_and_boringssl_are_told_apart_without_a_version() {
        for (image, family) in [
            (
                &b"\0/i/aws-lc-sys-0.47.0/aws-lc/ssl/ssl_lib.cc\0"[..],
                Some(Family::AwsLc),
            ),
            (b"\0external/boringssl+/ssl/ssl_lib.cc\0", Some(Family::BoringSsl)),
            (b"\0/aws-lc/crypto/mem.c\0../ssl/ssl_lib.cc\0", None),
            (b"\0AWS-LC FIPS failure caused by:\n%s\n\0", Some(Family::AwsLc)),
            (b"\0OpenSSL 1.1.1 (compatible; BoringSSL)\0", Some(Family::BoringSsl)),
            (b"AWS-LC FIPS failure caused by:\n\0(compatible; BoringSSL)\0", None),
            (
                b"AWS-LC FIPS failure caused by:\n\0third_party/boringssl/src/ssl/ssl_lib.cc\0",
                Some(Family::BoringSsl),
            ),
        ] {
            assert_eq!(by_texts(image), family, "{}", String::from_utf8_lossy(image));
        }
    }

    #[test]
    fn silence_is_evidence_of_names_only() {
        assert_eq!(identify(&Survey::default(), None, &[], None).evidence, Evidence::Names);
    }
}
