//! Why an image without the functions of a plan has none.
//!
//! In: an image that was read, and the names found in it. Out: the one [`Reason`] that tells the user most. The
//! order matters: a program that calls a library is explained by that call, whatever else its strings mention.
//! Refused: nothing; the last resort is that there is no TLS library.

use memchr::memmem;

use crate::image::Image;
use crate::library::LIBSSL_SOURCE;
use crate::reason::{OtherLibrary, Reason};
use crate::symbols::{Marker, Survey, Wanted};

/// Explains why there is no plan.
pub(crate) fn explain(image: &Image<'_>, survey: &Survey) -> Reason {
    if let Some(library) = other_by_symbols(survey) {
        return Reason::LibraryUnsupported(library);
    }
    if survey.imports_tls() {
        return Reason::ImportsTls;
    }
    if holds_openssl_code(image.data()) {
        return Reason::NoSymbols;
    }
    other_by_text(image.data()).map_or(Reason::NoTls, Reason::LibraryUnsupported)
}

/// Says whether another library merely offers OpenSSL's names: GnuTLS ships such a wrapper.
pub(crate) fn is_wrapper(image: &Image<'_>, survey: &Survey) -> bool {
    let gnutls = Wanted::Marker(Marker::GnuTls);
    (survey.imports(gnutls) || survey.defines(gnutls)) && !holds_openssl_code(image.data())
}

fn other_by_symbols(survey: &Survey) -> Option<OtherLibrary> {
    if survey.defines(Wanted::Marker(Marker::GnuTls)) {
        return Some(OtherLibrary::GnuTls);
    }
    survey
        .defines(Wanted::Marker(Marker::Nspr))
        .then_some(OtherLibrary::Nss)
}

/// Recognises code of OpenSSL's libssl, or of BoringSSL's, by the file names in its error messages.
fn holds_openssl_code(image: &[u8]) -> bool {
    memmem::find(image, LIBSSL_SOURCE).is_some()
}

fn other_by_text(image: &[u8]) -> Option<OtherLibrary> {
    // Go keeps function names for its stack traces, and cargo keeps paths for its panics; strip leaves both.
    if memmem::find(image, b"crypto/tls.(*Conn).Read").is_some() {
        return Some(OtherLibrary::GoCryptoTls);
    }
    let finder = memmem::Finder::new(b"/rustls-");
    let mut paths = finder.find_iter(image).filter_map(|at| image.get(at.checked_add(8)?));
    paths.any(u8::is_ascii_digit).then_some(OtherLibrary::Rustls)
}
