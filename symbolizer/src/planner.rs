//! Asks every library's finder for its plan.

use crate::absence;
use crate::elf::image::{Image, Table};
use crate::elf::survey::{Names, Survey};
use crate::error::Error;
use crate::libraries::coverage::{is_complete, is_imported};
use crate::libraries::found::Found;
use crate::libraries::function::Function;
use crate::libraries::openssl::crypto::Crypto;
use crate::libraries::{gnutls, openssl, traces};
use crate::plan::Plans;

/// Plans the hooks of every TLS library in an image.
pub(crate) fn plan_image(image: &Image<'_>, crypto: Option<&Crypto>) -> Result<Plans, Error> {
    let survey = survey(image)?;
    let mut plans = Plans::default();
    let openssl = if is_wrapper(image, &survey) {
        Found::Nothing
    } else {
        openssl::find(image, &survey, crypto)?
    };
    for found in [openssl, gnutls::find(image, &survey)?] {
        match found {
            Found::Plan(plan) => plans.plans.push(*plan),
            Found::Refused(reason) => plans.reasons.push(reason),
            Found::Nothing => {}
        }
    }
    if !plans.plans.is_empty() {
        plans.reasons.extend(absence::others(image, &survey)?);
    } else if plans.reasons.is_empty() {
        plans.reasons.push(absence::explain(image, &survey)?);
    }
    Ok(plans)
}

/// Returns whether another library merely offers OpenSSL's names: GnuTLS ships such a wrapper.
fn is_wrapper(image: &Image<'_>, survey: &Survey) -> bool {
    let has_gnutls = is_imported(survey, GNUTLS) || is_complete(survey, GNUTLS);
    has_gnutls && !traces::holds_openssl_code(image.data())
}

/// Looks for all names. The compressed table is opened only while no library is complete and nothing says that one
/// lives elsewhere.
fn survey(image: &Image<'_>) -> Result<Survey, Error> {
    let names = names();
    let mut survey = Survey::of(image, &[Table::Dynsym, Table::Symtab], &names)?;
    let tables = [OPENSSL, GNUTLS];
    if !tables.iter().any(|functions| is_complete(&survey, functions)) && !absence::imports_tls(&survey) {
        survey.add_debugdata(image, &names)?;
    }
    Ok(survey)
}

const OPENSSL: &[Function] = &openssl::functions::FUNCTIONS;
const GNUTLS: &[Function] = &gnutls::functions::FUNCTIONS;

fn names() -> Names {
    let openssl = openssl::functions::names();
    let gnutls = gnutls::functions::names();
    Names::new(openssl.chain(gnutls).chain(absence::names()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    #[test]
    fn every_name_is_short_enough_to_be_found() {
        let names = openssl::functions::names()
            .chain(gnutls::functions::names())
            .chain(absence::names());
        assert!(names.into_iter().all(|name| name.len() <= limits::WANTED_NAME));
    }
}
