//! Why an image without the functions of a plan has none.
//!
//! In: an image that was read, and the names found in it. Out: the one [`Reason`] that tells the user most. The
//! order matters: what the image holds itself explains it before what it calls, since that is another image's to explain.
//! Refused: nothing; the last resort is that there is no TLS library.

use crate::elf::image::Image;
use crate::elf::survey::{Marker, Survey, Wanted};
use crate::error::Error;
use crate::libraries::traces;
use crate::reason::{OtherLibrary, Reason};

/// Explains why there is no plan.
pub(crate) fn explain(image: &Image<'_>, survey: &Survey) -> Result<Reason, Error> {
    if let Some(library) = by_symbols(survey).next() {
        return Ok(Reason::LibraryUnsupported(library));
    }
    if traces::holds_openssl_code(image.data()) {
        return Ok(Reason::NoSymbols);
    }
    if let Some(library) = traces::other(image)? {
        return Ok(Reason::LibraryUnsupported(library));
    }
    Ok(if survey.imports_tls() {
        Reason::ImportsTls
    } else {
        Reason::NoTls
    })
}

/// Says whether another library merely offers OpenSSL's names: GnuTLS ships such a wrapper.
pub(crate) fn is_wrapper(image: &Image<'_>, survey: &Survey) -> bool {
    let gnutls = Wanted::Marker(Marker::GnuTls);
    (survey.imports(gnutls) || survey.defines(gnutls)) && !traces::holds_openssl_code(image.data())
}

/// Finds the libraries that an image holds beside one that is planned.
pub(crate) fn others(image: &Image<'_>, survey: &Survey) -> Result<Vec<OtherLibrary>, Error> {
    Ok(by_symbols(survey).chain(traces::other(image)?).collect())
}

/// Finds the libraries that define the name of a function which no other has.
fn by_symbols(survey: &Survey) -> impl Iterator<Item = OtherLibrary> {
    let defined = |marker| survey.defines(Wanted::Marker(marker));
    OTHERS
        .into_iter()
        .filter(move |(marker, _)| defined(*marker))
        .map(|(_, library)| library)
}

const OTHERS: [(Marker, OtherLibrary); 6] = [
    (Marker::GnuTls, OtherLibrary::GnuTls),
    (Marker::Nss, OtherLibrary::Nss),
    (Marker::MbedTls, OtherLibrary::MbedTls),
    (Marker::WolfSsl, OtherLibrary::WolfSsl),
    (Marker::S2n, OtherLibrary::S2n),
    (Marker::Java, OtherLibrary::Java),
];
