//! GnuTLS, by the names of its interface.
//!
//! Its sessions have no BIOs: a session reads and writes a descriptor, or whatever functions that the application
//! brings make of a pointer. Both are kept in the same two fields, which the library's own accessor names;
//! `gnutls_transport_set_int2` says that they are descriptors. Where they are not, the socket has to be found by the
//! ciphertext. What `gnutls_record_recv_packet` hands out is not seen: it copies nothing to a buffer of the caller's.

pub(crate) mod functions;
mod receiving;

use crate::code::accessor;
use crate::code::calls::calls_of;
use crate::code::exits::Ways;
use crate::code::{Destination, Field};
use crate::elf::identity::BuildId;
use crate::elf::image::Image;
use crate::elf::machine::Machine;
use crate::elf::survey::{Finding, Survey};
use crate::error::Error;
use crate::hook::{Hook, HookKind, Role};
use crate::libraries::coverage::incomplete;
use crate::libraries::exit::{Asked, Bodies, exits_of};
use crate::libraries::family::Family;
use crate::libraries::found::Found;
use crate::libraries::function::WORD;
use crate::libraries::hooks::{code_of, hooks_of};
use crate::libraries::layout::{Facts, LayoutUnknown, Sending};
use crate::libraries::library::{Evidence, Library};
use crate::libraries::linkage::leads_to_symbol;
use crate::libraries::openssl::tap;
use crate::operand::Operand;
use crate::plan::ProbePlan;

use functions::{FUNCTIONS, GET_TRANSPORTS, RECEIVE, RECEIVE_SEQ, SEND, SEND2};

/// Looks for GnuTLS.
pub(crate) fn find(image: &Image<'_>, survey: &Survey) -> Result<Found, Error> {
    let mut hooks: Vec<Hook> = FUNCTIONS
        .iter()
        .flat_map(|function| hooks_of(image, survey, function))
        .collect();
    if let Some(found) = incomplete(survey, &FUNCTIONS, hooks.iter().map(|hook| hook.role)) {
        return Ok(found);
    }
    let names = FUNCTIONS.iter().map(|function| function.name);
    let absent = names
        .filter(|name| hooks.iter().all(|hook| hook.name != *name))
        .collect();
    let has_send2 = hooks.iter().any(|hook| hook.name == SEND2);
    if has_send2 && send_leads_to_send2(image, survey) {
        hooks.retain(|hook| hook.name != SEND);
    }
    receiving::share(image, survey, &mut hooks);
    let transports = transports(image, survey);
    for hook in hooks.iter_mut().filter(|hook| hook.role.carries_plaintext()) {
        let Operand { place, .. } = hook.operands.object;
        hook.operands.transports = transports.map(|offset| Some(Operand::loaded(place, offset?, WORD)));
    }
    // A write that fails for now is one that the library will end.
    let asked = Asked {
        ways: Ways::All,
        is_typed: false,
    };
    let (exits, mut refused) = exits_of(&Bodies::new(image, &|_| Vec::new()), &hooks, asked);
    match tap::reading_by(image, survey, [(RECEIVE, 3), (RECEIVE_SEQ, 4)]) {
        Ok(taps) => hooks.extend(taps),
        Err(cause) => refused.push((HookKind::Tap, Role::Read, cause)),
    }
    hooks.extend(exits);
    let versions = image.defined_versions()?;
    Ok(Found::Plan(Box::new(ProbePlan {
        library: Library {
            family: Family::GnuTls,
            evidence: Evidence::Symbols,
            version: None,
            at_least: versions.iter().filter_map(|name| parse_symbol_version(name)).max(),
        },
        build_id: BuildId::of(image),
        machine: image.machine(),
        hooks,
        refused,
        absent,
        layout: Err(LayoutUnknown::NoBios),
        socket_name: None,
        net_conn: None,
        sending: Sending::default(),
        facts: Facts::default(),
    })))
}

/// Returns where a session keeps what it reads from, and what it writes to, if the library's accessor says it.
fn transports(image: &Image<'_>, survey: &Survey) -> [Option<u16>; 2] {
    let offsets = || {
        let function = survey.function(GET_TRANSPORTS).filter(|function| function.size != 0)?;
        accessor::two_pointers(image.machine(), code_of(image, &function)?.bytes)
    };
    offsets().map_or([None; 2], |(read, written)| [Some(read), Some(written)])
}

/// Returns whether `gnutls_record_send` does nothing but hand its arguments to `gnutls_record_send2`: then a probe in
/// the inner function serves both. Where that is not proved both are probed, and the outer call of a nested pair counts
/// for nothing.
fn send_leads_to_send2(image: &Image<'_>, survey: &Survey) -> bool {
    let (Some(send), Some(send2)) = (survey.function(SEND), survey.function(SEND2)) else {
        return false;
    };
    let leads = |to| to == Destination::Code(send2.address) || leads_to_symbol(image, to, SEND2);
    only_call(image, &send).is_some_and(leads)
}

/// Returns where a function leads whose only call passes on its own first three arguments.
fn only_call(image: &Image<'_>, function: &Finding) -> Option<Destination> {
    let code = code_of(image, function).filter(|code| function.size != 0 && code.machine == Machine::X86_64)?;
    let calls = calls_of(code).filter(|calls| !calls.has_indirect)?;
    let [call] = calls.direct.as_slice() else {
        return None;
    };
    let [session, data, size, ..] = call.arguments;
    let own = [session, data, size].map(|value| value.field().and_then(Field::as_argument));
    (own == [Some(0), Some(1), Some(2)]).then_some(call.target)
}

/// Reads a symbol version such as `GNUTLS_3_7_3` or `GNUTLS_3_4`.
fn parse_symbol_version(name: &[u8]) -> Option<(u16, u16, u16)> {
    let numbers = std::str::from_utf8(name).ok()?.strip_prefix("GNUTLS_")?;
    let mut parts = numbers.split('_').map(|part| part.parse().ok());
    let (major, minor) = (parts.next()??, parts.next()??);
    let patch = parts.next().unwrap_or(Some(0))?;
    parts.next().is_none().then_some((major, minor, patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_version_is_a_lower_bound() {
        assert_eq!(parse_symbol_version(b"GNUTLS_3_7_3"), Some((3, 7, 3)));
        assert_eq!(parse_symbol_version(b"GNUTLS_3_4"), Some((3, 4, 0)));
        for other in [
            &b"GNUTLS_PRIVATE_3_4"[..],
            b"GNUTLS_FIPS140_3_4",
            b"GNUTLS_3",
            b"LIBTASN1_0_3",
        ] {
            assert_eq!(parse_symbol_version(other), None);
        }
    }
}
