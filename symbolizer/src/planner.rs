//! Plans an image: asks every library's finder, and explains what has no plan.

use crate::absence;
use crate::elf::image::{Image, Table};
use crate::elf::survey::{Names, Survey};
use crate::error::Error;
use crate::libraries::coverage::is_complete;
use crate::libraries::found::Found;
use crate::libraries::openssl::crypto::Crypto;
use crate::libraries::rooms;
use crate::plan::Plans;
use crate::reason::Reason;

/// Plans the hooks of every TLS library in an image.
pub(crate) fn plan_image(image: &Image<'_>, crypto: Option<&Crypto>) -> Result<Plans, Error> {
    let survey = survey(image)?;
    let mut plans = Plans::default();
    for found in rooms::find(image, &survey, crypto)? {
        match found {
            Found::Plan(plan) => plans.plans.push(*plan),
            Found::Refused(reason) => plans.reasons.push(reason),
            Found::Nothing => {}
        }
    }
    if !plans.plans.is_empty() {
        plans.reasons.extend(absence::others(&survey));
    } else if plans.reasons.is_empty() {
        plans.reasons.push(absence::explain(image, &survey));
    } else if plans
        .reasons
        .iter()
        .all(|reason| matches!(reason, Reason::Rustls { .. } | Reason::Nameless { .. }))
    {
        // Of these, one library says nothing of the others.
        let others = [absence::explain(image, &survey)].into_iter();
        plans
            .reasons
            .extend(others.filter(|reason| !matches!(reason, Reason::NoTls | Reason::ImportsTls)));
    }
    Ok(plans)
}

/// Returns whether a full symbol table that lies elsewhere may show a TLS library in the image: it has none, and neither a
/// complete library nor a call of one in another image among its dynamic symbols.
pub(crate) fn lacks_symbols(image: &Image<'_>) -> Result<bool, Error> {
    if image.has_symtab() {
        return Ok(false);
    }
    let survey = Survey::of(image, &[Table::Dynsym], &Names::new(names()))?;
    Ok(!has_library(&survey) && !absence::imports_tls(&survey))
}

fn has_library(survey: &Survey) -> bool {
    rooms::TABLES.iter().any(|functions| is_complete(survey, functions))
}

/// Looks for all names. The compressed table is opened only while no library is complete and nothing says that one
/// lives elsewhere.
fn survey(image: &Image<'_>) -> Result<Survey, Error> {
    let names = Names::new(names());
    let mut survey = Survey::of(image, &[Table::Dynsym, Table::Symtab], &names)?;
    if !has_library(&survey) && !absence::imports_tls(&survey) {
        survey.add_debugdata(image, &names)?;
    }
    Ok(survey)
}

fn names() -> impl Iterator<Item = &'static str> {
    rooms::names().chain(absence::names())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    #[test]
    fn every_name_is_short_enough_to_be_found() {
        assert!(names().all(|name| name.len() <= limits::WANTED_NAME));
    }
}
