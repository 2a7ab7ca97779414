//! The version that a TLS or crypto library states of itself.
//!
//! The text is the library's `OPENSSL_VERSION_TEXT`: "OpenSSL 3.0.19 27 Jan 2026", "LibreSSL 3.8.2", "AWS-LC 1.69.0".
//! OpenSSL keeps it in libcrypto. "OpenSSL 1.1.1 (compatible; BoringSSL)" is no version: that library states none.
//! Programs repeat the text of the headers they were built with, so a text that stands alone is preferred to one at the
//! end of a longer one, and two that differ are both returned.

use memchr::memmem;

use crate::libraries::family::Family;
use crate::limits;

/// The version a library states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibraryVersion {
    /// The library that states it.
    pub family: Family,
    /// The whole text as it stands in the image.
    pub text: String,
    /// The first number.
    pub major: u16,
    /// The second number.
    pub minor: u16,
    /// The third number.
    pub patch: u16,
    /// The letter after the third number, as in OpenSSL 1.1.1w.
    pub letter: Option<char>,
    /// Whether it is a release.
    pub stage: Stage,
}

/// Whether a version is a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is a release.
    Release,
    /// It is an alpha, a beta or a development version.
    PreRelease,
}

impl LibraryVersion {
    /// Parses a version text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (family, rest) = FAMILIES
            .iter()
            .find_map(|(prefix, family)| Some((*family, text.strip_prefix(prefix)?)))?;
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        let ([major, minor, patch], suffix) = numbers(word)?;
        let stage = stage(suffix);
        let (letter, complete) = match family {
            Family::OpenSsl => (
                letter(suffix),
                is_suffix(suffix) && (stage == Stage::PreRelease || ends_with_date(after)),
            ),
            Family::LibreSsl
            | Family::BoringSsl
            | Family::AwsLc
            | Family::GnuTls
            | Family::MbedTls
            | Family::WolfSsl
            | Family::S2n
            | Family::Nss
            | Family::Go
            | Family::Rustls => (None, suffix.is_empty() && after.is_empty()),
        };
        complete.then(|| Self {
            family,
            text: text.trim_end().to_owned(),
            major,
            minor,
            patch,
            letter,
            stage,
        })
    }

    /// Returns the three numbers, for comparison.
    #[must_use]
    pub const fn number(&self) -> (u16, u16, u16) {
        (self.major, self.minor, self.patch)
    }
}

/// Finds the versions an image states; more than one if it holds several libraries or contradicts itself.
pub(crate) fn find(image: &[u8]) -> Vec<LibraryVersion> {
    FAMILIES
        .iter()
        .flat_map(|(prefix, _)| find_prefixed(image, prefix))
        .collect()
}

fn find_prefixed(image: &[u8], prefix: &str) -> Vec<LibraryVersion> {
    let (mut alone, mut trailing) = (Vec::new(), Vec::new());
    for at in memmem::find_iter(image, prefix) {
        let Some(version) = version_at(image, at) else { continue };
        let list = if stands_alone(image, at) {
            &mut alone
        } else {
            &mut trailing
        };
        // INVARIANT: two that differ decide as much as more would, so the list stays bounded.
        if list.len() < 2 && !list.contains(&version) {
            list.push(version);
        }
    }
    if alone.is_empty() { trailing } else { alone }
}

/// Returns whether no text leads up to this one; what does may be any data, such as a jump table.
fn stands_alone(image: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| image.get(before));
    before.is_none_or(|byte| !byte.is_ascii_graphic() && *byte != b' ')
}

/// What each of these texts begins with, for whoever reads no more of a file than it has to.
pub(crate) const MARKS: [&[u8]; 3] = [b"OpenSSL ", b"LibreSSL ", b"AWS-LC "];

/// The longest prefix comes first where one begins another.
const FAMILIES: [(&str, Family); 4] = [
    ("OpenSSL ", Family::OpenSsl),
    ("LibreSSL ", Family::LibreSsl),
    ("AWS-LC FIPS ", Family::AwsLc),
    ("AWS-LC ", Family::AwsLc),
];

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

fn version_at(image: &[u8], at: usize) -> Option<LibraryVersion> {
    let tail = image.get(at..)?;
    let window = tail.get(..limits::VERSION_TEXT).unwrap_or(tail);
    let text = window.get(..memchr::memchr(0, window)?)?;
    LibraryVersion::parse(std::str::from_utf8(text).ok()?)
}

fn numbers(word: &str) -> Option<([u16; 3], &str)> {
    let (major, rest) = number(word)?;
    let (minor, rest) = number(rest.strip_prefix('.')?)?;
    let (patch, rest) = number(rest.strip_prefix('.')?)?;
    Some(([major, minor, patch], rest))
}

fn number(text: &str) -> Option<(u16, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

fn stage(suffix: &str) -> Stage {
    let pre_release = ["-dev", "-alpha", "-beta", "-pre"]
        .iter()
        .any(|mark| suffix.contains(mark));
    if pre_release { Stage::PreRelease } else { Stage::Release }
}

/// Accepts what may follow the numbers: nothing, a letter, or a mark such as `-fips` and `+quic`.
fn is_suffix(suffix: &str) -> bool {
    suffix
        .chars()
        .next()
        .is_none_or(|first| first.is_ascii_lowercase() || matches!(first, '-' | '+'))
}

fn letter(suffix: &str) -> Option<char> {
    suffix.chars().next().filter(char::is_ascii_lowercase)
}

fn ends_with_date(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace().rev();
    let (year, month, day) = (words.next(), words.next(), words.next());
    let is_number = |word: Option<&str>| word.is_some_and(|word| word.parse::<u16>().is_ok());
    is_number(year) && is_number(day) && month.is_some_and(|month| MONTHS.contains(&month))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Family, (u16, u16, u16), Option<char>, Stage) {
        let version = LibraryVersion::parse(text).unwrap_or_else(|| panic!("{text} is a version"));
        (version.family, version.number(), version.letter, version.stage)
    }

    #[test]
    fn the_texts_of_openssl_are_read() {
        let release = |number, letter| (Family::OpenSsl, number, letter, Stage::Release);
        assert_eq!(parsed("OpenSSL 3.0.19 27 Jan 2026"), release((3, 0, 19), None));
        assert_eq!(parsed("OpenSSL 1.1.1w  11 Sep 2023"), release((1, 1, 1), Some('w')));
        assert_eq!(
            parsed("OpenSSL 1.1.1k  FIPS 25 Mar 2021"),
            release((1, 1, 1), Some('k'))
        );
        assert_eq!(
            parsed("OpenSSL 1.0.2k-fips  26 Jan 2017"),
            release((1, 0, 2), Some('k'))
        );
        assert_eq!(parsed("OpenSSL 3.0.7+quic 1 Nov 2022"), release((3, 0, 7), None));
    }

    #[test]
    fn a_version_before_its_release_says_so() {
        assert_eq!(parsed("OpenSSL 3.2.0-alpha1 7 Sep 2023").3, Stage::PreRelease);
        assert_eq!(parsed("OpenSSL 3.6.0-dev ").3, Stage::PreRelease);
    }

    #[test]
    fn the_texts_of_the_relatives_are_read() {
        assert_eq!(
            parsed("LibreSSL 3.8.2"),
            (Family::LibreSsl, (3, 8, 2), None, Stage::Release)
        );
        assert_eq!(
            parsed("AWS-LC 1.69.0"),
            (Family::AwsLc, (1, 69, 0), None, Stage::Release)
        );
        assert_eq!(parsed("AWS-LC FIPS 2.0.13").1, (2, 0, 13));
    }

    #[test]
    fn a_claim_of_compatibility_is_no_version() {
        assert_eq!(LibraryVersion::parse("OpenSSL 1.1.1 (compatible; BoringSSL)"), None);
        assert_eq!(LibraryVersion::parse("OpenSSL 1.1.1 (compatible; AWS-LC 1.69.0)"), None);
        assert_eq!(LibraryVersion::parse("OpenSSL 3.0 legacy provider"), None);
        assert_eq!(LibraryVersion::parse("OpenSSL 99999.0.0 1 Jan 2026"), None);
    }

    #[test]
    fn a_text_that_stands_alone_is_preferred() {
        let image = b"\0built with OpenSSL 3.0.1 14 Dec 2021\0OpenSSL 3.0.2 15 Mar 2022\0";
        assert_eq!(find(image).iter().map(|version| version.patch).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_text_merged_into_a_longer_one_is_found() {
        let image = b"\0built with OpenSSL 3.0.1 14 Dec 2021\0";
        assert_eq!(find(image).iter().map(|version| version.patch).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn a_text_after_other_data_stands_alone() {
        let image = b"built with OpenSSL 3.0.1 14 Dec 2021\0\xa5\xffOpenSSL 3.0.2 15 Mar 2022\0";
        assert_eq!(find(image).iter().map(|version| version.patch).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn each_family_is_judged_by_itself() {
        let image = b"with OpenSSL 3.0.1 14 Dec 2021\0AWS-LC 1.69.0\0";
        assert_eq!(
            find(image).iter().map(|version| version.family).collect::<Vec<_>>(),
            [Family::OpenSsl, Family::AwsLc]
        );
    }

    #[test]
    fn versions_that_differ_are_both_reported() {
        let image = b"\0OpenSSL 3.0.1 14 Dec 2021\0OpenSSL 3.0.2 15 Mar 2022\0OpenSSL 3.0.2 15 Mar 2022\0";
        assert_eq!(find(image).len(), 2);
    }

    #[test]
    fn a_text_that_fills_the_limit_and_does_not_end_is_not_read() {
        let mut image = b"OpenSSL 3.0.1 14 Dec".to_vec();
        image.resize(limits::VERSION_TEXT - 6, b' ');
        image.extend_from_slice(b" 2021\0");
        assert_eq!(image.len(), limits::VERSION_TEXT);
        assert_eq!(find(&image).len(), 1);
        image.insert(20, b' ');
        assert_eq!(find(&image).len(), 0);
    }
}
