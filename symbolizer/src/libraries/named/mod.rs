//! Libraries that are found by the names of their interface alone: Mbed TLS, wolfSSL and s2n-tls.
//!
//! Their functions are exported by the shared libraries, or named in the symbol table of a program that one is linked into. A
//! program without these names is refused, with the library's name ([`nameless`]). Where a connection keeps its descriptor differs by version and by configuration,
//! and programs bring functions of their own to send and receive, so the socket is learned from what the thread sends within
//! a call.

pub(crate) mod mbedtls;
mod nameless;
pub(crate) mod s2n;
pub(crate) mod wolfssl;

use crate::code::exits::Ways;
use crate::elf::identity::BuildId;
use crate::elf::image::Image;
use crate::elf::survey::Survey;
use crate::hook::Hook;
use crate::libraries::coverage::incomplete;
use crate::libraries::exit::{Asked, Bodies, exits_of};
use crate::libraries::family::Family;
use crate::libraries::found::Found;
use crate::libraries::function::Function;
use crate::libraries::hooks::hooks_of;
use crate::libraries::layout::{Facts, LayoutUnknown, Sending};
use crate::libraries::library::{Evidence, Library};
use crate::plan::ProbePlan;
use crate::reason::Reason;

use nameless::Texts;

/// The functions of each library.
pub(crate) const LIBRARIES: [(Family, &[Function]); 3] = [
    (Family::MbedTls, &mbedtls::FUNCTIONS),
    (Family::WolfSsl, &wolfssl::FUNCTIONS),
    (Family::S2n, &s2n::FUNCTIONS),
];

/// Looks for each library in an image.
pub(crate) fn find<'a>(image: &'a Image<'_>, survey: &'a Survey) -> impl Iterator<Item = Found> + use<'a> {
    LIBRARIES
        .into_iter()
        .map(|(family, functions)| find_one(image, survey, family, functions))
}

fn find_one(image: &Image<'_>, survey: &Survey, family: Family, functions: &[Function]) -> Found {
    let hooks: Vec<Hook> = functions
        .iter()
        .flat_map(|function| hooks_of(image, survey, function))
        .collect();
    match incomplete(survey, functions, hooks.iter().map(|hook| hook.role)) {
        Some(Found::Nothing) => return without_names(image, family),
        Some(found) => return found,
        None => {}
    }
    let names = functions.iter().map(|function| function.name);
    let absent = names
        .filter(|name| hooks.iter().all(|hook| hook.name != *name))
        .collect();
    Found::Plan(Box::new(plan_of(image, family, hooks, absent)))
}

/// Looks for a library that has no names.
fn without_names(image: &Image<'_>, family: Family) -> Found {
    let texts = &Texts { image };
    let found = match family {
        Family::MbedTls => mbedtls::nameless(texts),
        Family::WolfSsl => wolfssl::nameless(texts),
        Family::S2n => s2n::nameless(texts),
        Family::OpenSsl
        | Family::LibreSsl
        | Family::BoringSsl
        | Family::AwsLc
        | Family::GnuTls
        | Family::Nss
        | Family::Go
        | Family::Rustls => None,
    };
    found.map_or(Found::Nothing, |nameless| {
        Found::Refused(Reason::Nameless {
            family,
            version: nameless.version,
        })
    })
}

/// What of an image matters to that, for whoever reads no more of a file than it has to.
pub(crate) const MARKS: [&[u8]; 7] = [
    mbedtls::SUITE_MARKS[0],
    mbedtls::SUITE_MARKS[1],
    mbedtls::VERSIONS[0],
    mbedtls::VERSIONS[1],
    wolfssl::ERROR_MARK,
    wolfssl::VERSIONS[0],
    s2n::REPORTED,
];

/// Makes the plan of a library with its hooks, to which those without return probes are added.
pub(crate) fn plan_of(image: &Image<'_>, family: Family, mut hooks: Vec<Hook>, absent: Vec<&'static str>) -> ProbePlan {
    // A call that is not seen to end would be taken for the one that sends what the thread sends later.
    let asked = Asked {
        ways: Ways::All,
        is_typed: false,
    };
    let (exits, refused) = exits_of(&Bodies::new(image, &|_| Vec::new()), &hooks, asked);
    hooks.extend(exits);
    ProbePlan {
        library: Library {
            family,
            evidence: Evidence::Symbols,
            version: None,
            at_least: None,
        },
        build_id: BuildId::of(image),
        machine: image.machine(),
        hooks,
        refused,
        absent,
        layout: Err(LayoutUnknown::NoBios),
        socket_name: None,
        net_conn: None,
        sending: Sending {
            within_calls: true,
            ..Sending::default()
        },
        facts: Facts::default(),
    }
}
