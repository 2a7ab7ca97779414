//! The list of rooms: what is asked of every library.

use super::coverage::{is_complete, is_imported};
use super::found::Found;
use super::function::Function;
use super::openssl::crypto::Crypto;
use super::{gnutls, go, named, nss, openssl, rustls, traces};
use crate::elf::image::Image;
use crate::elf::survey::Survey;
use crate::error::Error;

/// The functions of each library.
pub(crate) const TABLES: [&[Function]; 5] = [
    &openssl::functions::FUNCTIONS,
    GNUTLS,
    &named::mbedtls::FUNCTIONS,
    &named::wolfssl::FUNCTIONS,
    &named::s2n::FUNCTIONS,
];

const GNUTLS: &[Function] = &gnutls::functions::FUNCTIONS;

/// Lists every name to look for.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let of_tables = TABLES.into_iter().flatten().map(|function| function.name);
    openssl::names()
        .chain(gnutls::functions::names())
        .chain(of_tables)
        .chain([nss::IMPORT])
}

/// Looks for each library in an image.
pub(crate) fn find(image: &Image<'_>, survey: &Survey, crypto: Option<&Crypto>) -> Result<Vec<Found>, Error> {
    let openssl = if is_wrapper(image, survey) {
        Found::Nothing
    } else {
        openssl::find(image, survey, crypto)?
    };
    let found = [openssl, gnutls::find(image, survey)?, rustls::find(image)?];
    let found = found.into_iter().chain(named::find(image, survey));
    let found = found.chain([nss::find(image, survey)]);
    Ok(found.chain(go::find(image)).collect())
}

/// Returns whether another library merely offers OpenSSL's names: GnuTLS ships such a wrapper.
fn is_wrapper(image: &Image<'_>, survey: &Survey) -> bool {
    let has_gnutls = is_imported(survey, GNUTLS) || is_complete(survey, GNUTLS);
    has_gnutls && !traces::holds_openssl_code(image.data())
}
