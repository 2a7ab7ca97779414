//! The plan of the probes for one image.
//!
//! In: an [`Image`] and what its crypto library says. Out: a [`ProbePlan`], or the [`Reason`] there is none.
//! A plan needs at least one function that hands out plaintext and one that takes it; all others are optional
//! and reported as absent. Refused: functions outside the executable bytes, and libraries that only borrow the
//! names.

use crate::absence;
use crate::code::Needs;
use crate::code::bytes::Code;
use crate::code::convention::Convention;
use crate::code::site::{self, Site, Tier};
use crate::elf::address::{Access, FileOffset, Vaddr};
use crate::elf::identity::BuildId;
use crate::elf::image::{Image, Machine, Presence, SymbolKind, Table};
use crate::elf::survey::{Finding, Survey, SymbolSource, Wanted};
use crate::error::Error;
use crate::libraries::library::{self, Family, Library};
use crate::libraries::openssl::crypto::Crypto;
use crate::libraries::openssl::derived::{Accessors, Facts};
use crate::libraries::openssl::internal::{self, Internal};
use crate::libraries::openssl::layout::{Layout, LayoutUnknown};
use crate::libraries::openssl::socket_method;
use crate::libraries::openssl::table;
use crate::libraries::version::{self, LibraryVersion};
use crate::reason::{OtherLibrary, Reason};
use crate::role::Role;

/// Says what to probe in one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbePlan {
    /// The key under which the plan may be kept.
    pub build_id: BuildId,
    /// The machine of the code.
    pub machine: Machine,
    /// The TLS library found.
    pub library: Library,
    /// The functions found, by role and address. A function behind public ones stands for all of them, under the role of
    /// the one that has its arguments.
    pub functions: Vec<Function>,
    /// The roles that no function was found for.
    pub absent: Vec<Role>,
    /// How to get from an `SSL*` to a descriptor, or why that is not known.
    pub layout: Result<Layout, LayoutUnknown>,
    /// How far the name of the crypto library's method of socket BIOs is from that method: a BIO whose method is another one
    /// only calls itself a socket. `None` where that is not known.
    pub socket_name: Option<i32>,
    /// How to get from an `SSL*` to what was negotiated.
    pub facts: Facts,
    /// Other TLS libraries that the same image holds, which are not probed.
    pub others: Vec<OtherLibrary>,
}

/// Describes one function to probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// What it does for its caller.
    pub role: Role,
    /// Its name, or whose callee it is.
    pub name: String,
    /// What it was found by.
    pub found: SymbolSource,
    /// Where it begins in memory, before the loader moves the image.
    pub address: Vaddr,
    /// Where it begins in the file.
    pub offset: FileOffset,
    /// How many bytes it covers; zero if the symbol table does not say.
    pub size: u64,
    /// Where its probe goes.
    pub site: Site,
}

pub(crate) fn plan_image(image: &Image<'_>, crypto: Option<&Crypto>) -> Result<Result<ProbePlan, Reason>, Error> {
    let survey = Survey::of(image)?;
    let functions = plan_functions(image, &survey);
    if let Some(reason) = refuse(image, &survey, &functions)? {
        return Ok(Err(reason));
    }
    let stated = library::believable(version::find(image.data()), image.data());
    let crypto_version = crypto.and_then(|crypto| crypto.version.as_ref());
    let library = library::identify(&survey, stated.first(), &image.defined_versions()?, crypto_version);
    if let Some(version) = library.version.clone().filter(is_too_old) {
        return Ok(Err(Reason::VersionUnsupported(version)));
    }
    let accessors = Accessors::new(image, &survey);
    let (layout, facts) = if has_copies(&functions) {
        (Err(LayoutUnknown::SeveralCopies), Facts::default())
    } else {
        (layout(accessors, &library, &stated, crypto), accessors.facts())
    };
    let own = socket_method::name_distance(image, &survey);
    let socket_name = own.or_else(|| crypto.and_then(|crypto| crypto.socket_name));
    // Where the image imports `BIO_write`, another image holds it.
    let absent = Role::ALL
        .into_iter()
        .filter(|role| functions.iter().all(|function| function.role != *role))
        .filter(|role| *role != Role::BioWrite || !survey.imports(Wanted::Role(*role)))
        .collect();
    let functions = if library.family == Family::OpenSsl {
        share(image, &survey, functions)
    } else {
        functions
    };
    Ok(Ok(ProbePlan {
        build_id: BuildId::of(image),
        machine: image.machine(),
        library,
        functions,
        absent,
        layout,
        socket_name,
        facts,
        others: absence::others(image, &survey)?,
    }))
}

fn plan_functions(image: &Image<'_>, survey: &Survey) -> Vec<Function> {
    let of_role = |role| {
        let found = survey.functions(Wanted::Role(role));
        found
            .into_iter()
            .filter_map(move |finding| plan_function(image, role, &finding))
    };
    Role::ALL.into_iter().flat_map(of_role).collect()
}

/// Puts the functions behind the public ones in their place, where that makes a probe no dearer.
fn share(image: &Image<'_>, survey: &Survey, mut functions: Vec<Function>) -> Vec<Function> {
    let found = [internal::reading(image, survey), internal::writing(image, survey)];
    for internal in found.into_iter().flatten() {
        let shared = plan_internal(image, survey, &internal);
        if let Some(shared) = shared.filter(|shared| shared.site.tier == Tier::Emulated) {
            functions.retain(|function| !internal.serves.contains(&function.role));
            functions.push(shared);
        }
    }
    functions.sort_by_key(|function| (function.role, function.address));
    functions
}

fn plan_internal(image: &Image<'_>, survey: &Survey, internal: &Internal) -> Option<Function> {
    let named = survey.functions(Wanted::Helper(internal.helper));
    let symbol = named.iter().find(|finding| finding.address == internal.address);
    let finding = Finding {
        wanted: Wanted::Helper(internal.helper),
        source: SymbolSource::Callers,
        presence: Presence::Defined,
        kind: SymbolKind::Function,
        address: internal.address,
        size: symbol.map_or(0, |symbol| symbol.size),
    };
    let name = match symbol {
        Some(_) => internal.helper.symbol().to_owned(),
        None => format!("{}'s callee", internal.caller.symbol()),
    };
    Some(Function {
        name,
        ..plan_function(image, internal.role, &finding)?
    })
}

/// Plans `BIO_write` alone.
pub(crate) fn plan_bio_write(image: &Image<'_>) -> Result<Option<Function>, Error> {
    let survey = Survey::of_tables(image, &[Table::Dynsym, Table::Symtab])?;
    let found = survey.functions(Wanted::Role(Role::BioWrite));
    Ok(found
        .first()
        .and_then(|finding| plan_function(image, Role::BioWrite, finding)))
}

fn plan_function(image: &Image<'_>, role: Role, finding: &Finding) -> Option<Function> {
    let Finding {
        source: found,
        address,
        size,
        ..
    } = *finding;
    let segments = image.segments();
    let offset = segments.offset_of(address)?;
    segments
        .containing(address)
        .filter(|segment| segment.access == Access::Code)?;
    let code = code_of(image, finding).filter(|code| !code.is_empty())?;
    let code = Code {
        machine: image.machine(),
        bytes: code,
        address,
    };
    let site = site::choose(code, offset, &needs(image.machine(), role));
    Some(Function {
        role,
        name: role.symbol().to_owned(),
        found,
        address,
        offset,
        size,
        site,
    })
}

pub(crate) fn needs(machine: Machine, role: Role) -> Needs {
    let registers = Convention::of(machine).arguments.iter().take(role.arguments());
    Needs {
        registers: registers.copied().collect(),
        stack: role.has_result(),
    }
}

/// Returns the bytes of a function, or all to the end of its segment if its size is not stated.
fn code_of<'data>(image: &Image<'data>, finding: &Finding) -> Option<&'data [u8]> {
    let bytes = image.bytes_from(finding.address)?;
    let size = usize::try_from(finding.size).ok()?;
    if size == 0 { Some(bytes) } else { bytes.get(..size) }
}

fn refuse(image: &Image<'_>, survey: &Survey, functions: &[Function]) -> Result<Option<Reason>, Error> {
    let reads = functions.iter().any(|function| function.role.reads());
    let writes = functions.iter().any(|function| function.role.writes());
    if reads && writes {
        let wrapper = absence::is_wrapper(image, survey);
        return Ok(wrapper.then_some(Reason::LibraryUnsupported(OtherLibrary::GnuTls)));
    }
    if reads || writes {
        return Ok(Some(Reason::OneDirection));
    }
    let of_tls = Role::ALL.into_iter().filter(|role| *role != Role::BioWrite);
    let named = of_tls
        .into_iter()
        .any(|role| !survey.functions(Wanted::Role(role)).is_empty());
    Ok(Some(if named {
        Reason::NotInCode
    } else {
        absence::explain(image, survey)?
    }))
}

fn is_too_old(version: &LibraryVersion) -> bool {
    version.family == Family::OpenSsl && version.number() < table::OLDEST
}

/// Finds the way to the descriptor; several versions of a library leave its code to be asked.
fn layout(
    accessors: Accessors<'_>,
    library: &Library,
    stated: &[LibraryVersion],
    crypto: Option<&Crypto>,
) -> Result<Layout, LayoutUnknown> {
    let mut derived = accessors.derived();
    // The crypto library of another family belongs to another library of the same process.
    let fits = |version: &LibraryVersion| version.family == library.family;
    let beside = crypto.filter(|crypto| crypto.version.as_ref().is_none_or(fits));
    derived.bio = derived.bio.or(beside.and_then(|crypto| crypto.bio));
    if stated.len() > 1 {
        return table::layout_by_code(derived).ok_or(LayoutUnknown::SeveralVersions);
    }
    table::layout(library, derived)
}

fn has_copies(functions: &[Function]) -> bool {
    let copies = |role| functions.iter().filter(|function| function.role == role).count();
    Role::ALL.into_iter().any(|role| copies(role) > 1)
}
