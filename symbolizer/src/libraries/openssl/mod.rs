//! OpenSSL and the libraries that offer its interface under its names: LibreSSL, BoringSSL and AWS-LC.
//!
//! A plan needs at least one function that hands out plaintext and one that takes it; all others are optional and
//! reported as absent.

pub(crate) mod crypto;
pub(crate) mod functions;
mod derived;
mod exits;
mod identify;
mod internal;
mod lifted;
mod methods;
mod offsets;
mod socket_method;
mod stripped;
pub(crate) mod tap;

use crate::cause::Cause;
use crate::code::bytes::Code;
use crate::elf::address::Vaddr;
use crate::elf::identity::BuildId;
use crate::elf::image::{Image, Presence, SymbolKind, Table};
use crate::elf::survey::{Finding, Names, Survey, SymbolSource};
use crate::error::Error;
use crate::hook::{Hook, HookKind, Proof, Role};
use crate::libraries::coverage::incomplete;
use crate::libraries::family::Family;
use crate::libraries::found::Found;
use crate::libraries::hooks::{hook, hooks_of};
use crate::libraries::library::Library;
use crate::libraries::version::{self, LibraryVersion};
use crate::plan::ProbePlan;
use crate::reason::Reason;

use crate::libraries::layout::{Facts, Layout, LayoutUnknown, Sending};
use crypto::Crypto;
use derived::{Accessors, Derived};
use functions::{BIO_WRITE, FUNCTIONS, TAKES_CIPHERTEXT};
use internal::Internal;
use stripped::openssl::Recovered;

/// A hook, by the place of its function in the table.
type Placed = (usize, Hook);

/// Looks for a library of the family.
pub(crate) fn find(image: &Image<'_>, survey: &Survey, crypto: Option<&Crypto>) -> Result<Found, Error> {
    let hooks = placed(image, survey);
    match incomplete(survey, &FUNCTIONS, hooks.iter().map(|(_, hook)| hook.role)) {
        Some(Found::Nothing) => Ok(without_names(image, survey, crypto)),
        Some(found) => Ok(found),
        None => {
            let stated = identify::believable(version::find(image.data()), image.data());
            let crypto_version = crypto.and_then(|crypto| crypto.version.as_ref());
            let library = identify::identify(survey, stated.first(), &image.defined_versions()?, crypto_version);
            let derived = Accessors::new(image, survey).derived();
            Ok(planned((image, survey), (library, &stated), (derived, crypto), hooks))
        }
    }
}

/// Looks for a library of the family that has no names.
fn without_names(image: &Image<'_>, survey: &Survey, crypto: Option<&Crypto>) -> Found {
    match stripped::boring::find(image, survey) {
        Found::Nothing => {}
        found @ (Found::Plan(_) | Found::Refused(_)) => return found,
    }
    let Recovered { survey, derived } = match stripped::openssl::find(image, survey) {
        Ok(Some(recovered)) => recovered,
        Ok(None) => return Found::Nothing,
        Err(why) => {
            return Found::Refused(Reason::Stripped {
                family: Some(Family::OpenSsl),
                why,
            });
        }
    };
    let mut stated = version::find(image.data());
    stated.retain(|version| version.family == Family::OpenSsl);
    let crypto_version = crypto.and_then(|crypto| crypto.version.as_ref());
    let library = identify::without_names(stated.first(), crypto_version);
    let hooks = placed(image, &survey);
    planned((image, &survey), (library, &stated), (derived, crypto), hooks)
}

/// Makes the plan of a library whose functions are known.
fn planned(
    (image, survey): (&Image<'_>, &Survey),
    (library, stated): (Library, &[LibraryVersion]),
    (derived, crypto): (Derived, Option<&Crypto>),
    mut hooks: Vec<Placed>,
) -> Found {
    if let Some(version) = library.version.clone().filter(is_too_old) {
        return Found::Refused(Reason::VersionUnsupported(version));
    }
    let (layout, facts) = if has_copies(&hooks) {
        (Err(LayoutUnknown::SeveralCopies), Facts::default())
    } else {
        let facts = Accessors::new(image, survey).facts();
        (layout(derived, &library, stated, crypto), facts)
    };
    let own = socket_method::name_distance(image, survey);
    let socket_name = own.or_else(|| crypto.and_then(|crypto| crypto.socket_name));
    let absent = absent(survey, &hooks);
    let public: Vec<Hook> = hooks.iter().map(|(_, hook)| hook.clone()).collect();
    if library.family == Family::OpenSsl {
        share(image, survey, &mut hooks);
    }
    let knows_sockets = layout.is_ok() && socket_name.is_some();
    let (others, mut refused) = cheap_hooks((image, survey), &hooks, library.family, knows_sockets);
    let mut hooks: Vec<Hook> = hooks.into_iter().map(|(_, hook)| hook).collect();
    let (exits, causes) = exits::exits(image, survey, &hooks, &public);
    hooks.extend(others);
    hooks.extend(exits);
    if matches!(library.family, Family::BoringSsl | Family::AwsLc) {
        hooks.extend(hooks_of(image, survey, &TAKES_CIPHERTEXT));
    }
    refused.extend(causes);
    Found::Plan(Box::new(ProbePlan {
        library,
        build_id: BuildId::of(image),
        machine: image.machine(),
        hooks,
        refused,
        absent,
        layout,
        socket_name,
        net_conn: None,
        sending: Sending::default(),
        facts,
    }))
}

/// Finds the taps and the lift, and says which there are not.
fn cheap_hooks(
    (image, survey): (&Image<'_>, &Survey),
    hooks: &[Placed],
    family: Family,
    knows_sockets: bool,
) -> (Vec<Hook>, Vec<(HookKind, Role, Cause)>) {
    let unique = if has_copies(hooks) {
        Err(Cause::SeveralCopies)
    } else {
        Ok(())
    };
    let one = |hook: Hook| vec![hook];
    let (read, kind, written) = match family {
        Family::OpenSsl => {
            let knows_sockets = knows_sockets.then_some(()).ok_or(Cause::NoSocketBio);
            let lift = || lifted::writing(image, survey).map(one);
            let lift = unique.and(knows_sockets).and_then(|()| lift());
            (tap::reading(image, survey), HookKind::Lift, lift)
        }
        Family::BoringSsl | Family::AwsLc => {
            let read = || tap::boring_reading(image, survey);
            let write = || tap::boring_writing(image, survey).map(one);
            (
                unique.and_then(|()| read()),
                HookKind::Tap,
                unique.and_then(|()| write()),
            )
        }
        Family::LibreSsl
        | Family::GnuTls
        | Family::MbedTls
        | Family::WolfSsl
        | Family::S2n
        | Family::Nss
        | Family::Go
        | Family::Rustls => {
            let unsupported = || Err(Cause::FamilyUnsupported);
            (unsupported(), HookKind::Lift, unsupported())
        }
    };
    let (mut found, mut refused) = (Vec::new(), Vec::new());
    for (kind, role, hooks) in [(HookKind::Tap, Role::Read, read), (kind, Role::Write, written)] {
        match hooks {
            Ok(hooks) => found.extend(hooks),
            Err(cause) => refused.push((kind, role, cause)),
        }
    }
    (found, refused)
}

/// Lists every name to look for.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    functions::names().chain(tap::names())
}

/// Finds the hook of `BIO_write` alone, which a crypto library has without a TLS library.
pub(crate) fn bio_write(image: &Image<'_>) -> Result<Option<Hook>, Error> {
    let survey = Survey::of(image, &[Table::Dynsym, Table::Symtab], &Names::new([BIO_WRITE]))?;
    let function = FUNCTIONS.iter().find(|function| function.name == BIO_WRITE);
    Ok(function.and_then(|function| hooks_of(image, &survey, function).into_iter().next()))
}

/// Runs the searches for a lift on one function, and returns the number of findings. For the fuzzer.
pub(crate) fn fuzz_lift(code: Code<'_>, address: Vaddr) -> usize {
    lifted::found(code, address)
}

/// Returns whether an image may give connections BIOs of its own: it imports one of the functions that set them.
pub(crate) fn sets_bio(image: &Image<'_>) -> Result<bool, Error> {
    let setters = || FUNCTIONS.iter().filter(|function| function.role == Role::Bio);
    let names = Names::new(setters().map(|function| function.name));
    let survey = Survey::of(image, &[Table::Dynsym], &names)?;
    Ok(setters().any(|setter| survey.imports(setter.name)))
}

fn placed(image: &Image<'_>, survey: &Survey) -> Vec<Placed> {
    let of_function = |(index, function)| {
        let hooks = hooks_of(image, survey, function).into_iter();
        hooks.map(move |hook| (index, hook))
    };
    FUNCTIONS.iter().enumerate().flat_map(of_function).collect()
}

/// Lists the functions that are not there; where the image imports `BIO_write`, another image holds it.
fn absent(survey: &Survey, hooks: &[Placed]) -> Vec<&'static str> {
    let is_absent = |name: &&str| {
        let is_found = hooks.iter().any(|(_, hook)| hook.name == *name);
        !is_found && (*name != BIO_WRITE || !survey.imports(name))
    };
    FUNCTIONS
        .iter()
        .map(|function| function.name)
        .filter(is_absent)
        .collect()
}

/// Puts the functions behind the public ones in their place, where that makes a probe no more expensive.
fn share(image: &Image<'_>, survey: &Survey, hooks: &mut Vec<Placed>) {
    let found = [internal::reading(image, survey), internal::writing(image, survey)];
    for internal in found.into_iter().flatten() {
        let is_served = |hook: &Hook| internal.serves.contains(&hook.name.as_str());
        let replaced: Vec<_> = hooks.iter().filter(|(_, hook)| is_served(hook)).collect();
        let is_no_dearer = |tier| replaced.iter().all(|(_, hook)| tier <= hook.site.tier);
        let shared = shared(image, survey, &internal);
        if let Some(shared) = shared.filter(|(_, hook)| is_no_dearer(hook.site.tier)) {
            hooks.retain(|(_, hook)| !is_served(hook));
            hooks.push(shared);
        }
    }
    hooks.sort_by_key(|(index, hook)| (*index, hook.address));
}

fn shared(image: &Image<'_>, survey: &Survey, internal: &Internal) -> Option<Placed> {
    let named = survey.functions(internal.name);
    let symbol = named.iter().find(|finding| finding.address == internal.address);
    let finding = Finding {
        name: internal.name,
        source: SymbolSource::Callers,
        presence: Presence::Defined,
        kind: SymbolKind::Function,
        address: internal.address,
        size: symbol.map_or(0, |symbol| symbol.size),
    };
    let name = match symbol {
        Some(_) => internal.name.to_owned(),
        None => format!("{}'s callee", internal.caller),
    };
    let (index, function) = functions::function(internal.like)?;
    let hook = hook(image, function, &finding, Proof::Callers)?;
    Some((index, Hook { name, ..hook }))
}

/// The oldest OpenSSL whose functions are known to behave as the newer ones do.
const OLDEST: (u16, u16, u16) = (1, 0, 2);

fn is_too_old(version: &LibraryVersion) -> bool {
    version.family == Family::OpenSsl && version.number() < OLDEST
}

/// Finds the way to the descriptor; where several versions of a library are stated, only its code can tell.
fn layout(
    mut derived: Derived,
    library: &Library,
    stated: &[LibraryVersion],
    crypto: Option<&Crypto>,
) -> Result<Layout, LayoutUnknown> {
    // The crypto library of another family belongs to another library of the same process.
    let fits = |version: &LibraryVersion| version.family == library.family;
    let beside = crypto.filter(|crypto| crypto.version.as_ref().is_none_or(fits));
    derived.bio = derived.bio.or(beside.and_then(|crypto| crypto.bio));
    if stated.len() > 1 {
        return offsets::layout_by_code(derived).ok_or(LayoutUnknown::SeveralVersions);
    }
    offsets::layout(library, derived)
}

fn has_copies(hooks: &[Placed]) -> bool {
    let copies = |index| hooks.iter().filter(|(other, _)| *other == index).count();
    (0..FUNCTIONS.len()).any(|index| copies(index) > 1)
}
