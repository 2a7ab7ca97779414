//! Finds where to probe a TLS library: the bytes of an ELF image in, [`ProbePlan`]s out.
//!
//! It opens no files and knows nothing of processes, of the kernel's loader or of eBPF. There are two kinds of no: an
//! [`enum@Error`] says that the bytes could not be read, a [`Reason`] why they hold nothing to trace, or a library that
//! is not traced. No input makes it panic, and [`limits`] bounds what any input can make it do.
//!
//! `elf` reads the file, `code` reads machine code, and `libraries` has a room for each TLS library that is understood.
//! `planner` asks them all, and `absence` explains what has no plan.
#![forbid(unsafe_code)]
#![expect(
    clippy::doc_markdown,
    reason = "BoringSSL and its like are names of libraries, not code"
)]

pub mod limits;

mod elf;
mod code;
mod operand;
mod hook;
mod cause;
mod libraries;
mod plan;
mod planner;
mod choice;
mod absence;
pub mod sieve;
mod reason;
mod error;

pub use cause::Cause;
pub use choice::{Policy, choose};
pub use code::exits::Ways;
pub use code::instruction::Instruction;
pub use code::site::{Site, Tier};
pub use elf::address::{Access, FileOffset, Segment, Segments, Vaddr};
pub use elf::identity::{BuildId, BuildIdKind};
pub use elf::image::{DebugLink, Image, Presence, Symbol, SymbolKind, Symbols, Table};
pub use elf::machine::Machine;
pub use elf::survey::SymbolSource;
pub use elf::unread::Unread;
pub use error::Error;
pub use hook::{Caller, ExitResult, ExitSite, Exits, GoroutinePlace, Hook, HookKind, Proof, Role};
pub use libraries::family::Family;
pub use libraries::layout::{BioLayout, Facts, Layout, LayoutUnknown, NetConn, Origin, Sending};
pub use libraries::library::{Evidence, Library};
pub use libraries::openssl::crypto::Crypto;
pub use libraries::version::{LibraryVersion, Stage};
pub use operand::{Guard, Operand, Operands, Outcome, Place, Success};
pub use plan::{Plans, ProbePlan};
pub use reason::{GoRefusal, OtherLibrary, Reason, RustlsRefusal, StrippedRefusal};

use code::bytes::Code;
use code::fixpoint::uses;
use code::{calls, site};
use elf::debugdata;
use libraries::{go, hooks, openssl, rooms};

/// Plans the hooks of every TLS library in an image.
///
/// `crypto` is the crypto library the image is linked with, if that is another image: OpenSSL's libssl does not state
/// its own version, and its BIOs live there.
pub fn plan(image: &[u8], crypto: Option<&Crypto>) -> Result<Plans, Error> {
    plan_parsed(Image::parse(image)?, crypto)
}

/// Plans the hooks of every TLS library in an image of which parts were not read from its file, and whose full symbol table
/// may lie in another: see [`debug_link`].
///
/// The plans hold only if nothing is [wanted](Unread::take_wanted) afterwards: what was not read counted as zeros.
pub fn plan_partly(
    image: &[u8],
    unread: &Unread,
    crypto: Option<&Crypto>,
    debug_file: Option<&[u8]>,
) -> Result<Plans, Error> {
    let image = Image::parse_partly(image, Some(unread))?;
    let completed = image.map(|image| match debug_file {
        Some(debug_file) => image.with_debug_file(debug_file),
        None => image,
    });
    plan_parsed(completed, crypto)
}

/// Says which file may show a TLS library in an image, if the image itself is stripped of the symbols that would.
pub fn debug_link(image: &[u8]) -> Result<Option<DebugLink>, Error> {
    match Image::parse(image)? {
        Ok(image) if planner::lacks_symbols(&image)? => Ok(DebugLink::of(&image)),
        Ok(_) | Err(_) => Ok(None),
    }
}

fn plan_parsed(image: Result<Image<'_>, Reason>, crypto: Option<&Crypto>) -> Result<Plans, Error> {
    match image {
        Ok(image) => planner::plan_image(&image, crypto),
        Err(reason) => Ok(Plans {
            plans: Vec::new(),
            reasons: vec![reason],
        }),
    }
}

/// Finds `BIO_write` in the image of a crypto library, which has no plan of its own.
///
/// A plan of an image that holds both libraries has it among its hooks.
pub fn bio_write(image: &[u8]) -> Result<Option<Hook>, Error> {
    match Image::parse(image)? {
        Ok(image) => openssl::bio_write(&image),
        Err(_nothing_here) => Ok(None),
    }
}

/// Returns whether an image may give connections BIOs of its own: it imports `SSL_set_bio` or one of its one-way forms.
pub fn sets_bio(image: &[u8]) -> Result<bool, Error> {
    match Image::parse(image)? {
        Ok(image) => openssl::sets_bio(&image),
        Err(_nothing_here) => Ok(false),
    }
}

/// Describes the crypto library that an image carries, if it carries one.
///
/// A program that merely calls the library may repeat the text of the headers it was built with, so ask the
/// image that holds the library.
pub fn crypto(image: &[u8]) -> Result<Option<Crypto>, Error> {
    match Image::parse(image)? {
        Ok(image) => openssl::crypto::describe(&image),
        Err(_) => Ok(None),
    }
}

/// Finds the index of the crypto library that an image needs by its name; none if it needs none of these.
pub fn needed_crypto(image: &[u8], candidates: &[&Crypto]) -> Result<Option<usize>, Error> {
    Ok(Image::parse(image)?.map_or(None, |image| openssl::crypto::needed_by(&image, candidates)))
}

/// Decompresses a `.gnu_debugdata` section; exported for the fuzzer alone.
#[doc(hidden)]
pub fn fuzz_debugdata(compressed: &[u8]) -> Option<usize> {
    debugdata::decompress(compressed).ok().map(|image| image.len())
}

/// Follows code as an accessor's, on both machines; exported for the fuzzer alone.
#[doc(hidden)]
pub fn fuzz_accessor(code_bytes: &[u8]) -> usize {
    let ways =
        |machine| code::outcomes(machine, code_bytes, code::AccessorCall::Ssl).map_or(0, |outcomes| outcomes.len());
    ways(Machine::X86_64).saturating_add(ways(Machine::Aarch64))
}

/// Reads any bytes as what Go's linker says of a program; exported for the fuzzer alone.
#[doc(hidden)]
pub fn fuzz_go_buildinfo(header: &[u8]) -> bool {
    go::any_build(header)
}

/// Reads any bytes as Go's table of functions; exported for the fuzzer alone.
#[doc(hidden)]
pub fn fuzz_pclntab(table: &[u8]) -> usize {
    go::pclntab::any_table(table)
}

/// Looks for the taps and the exits of functions of Go in any bytes; exported for the fuzzer alone.
#[doc(hidden)]
pub fn fuzz_go_taps(code: &[u8]) -> usize {
    go::any_hooks(code)
}

/// Looks for the ends of any bytes that are called; exported for the fuzzer alone.
#[doc(hidden)]
pub fn fuzz_exits(bytes: &[u8]) -> Option<usize> {
    code::exits::any_code(bytes).ok()
}

/// Reads bytes as the code of a function; exported for the fuzzer alone.
#[doc(hidden)]
pub fn fuzz_code(bytes: &[u8]) -> Option<usize> {
    let address = Vaddr(0x1000);
    let code = Code {
        machine: Machine::X86_64,
        bytes,
        address,
    };
    for function in rooms::TABLES.into_iter().flatten() {
        let site = site::choose(code, FileOffset(0x1000), &hooks::needs(function, code.machine));
        let inside = site
            .address
            .0
            .checked_sub(address.0)
            .and_then(|at| usize::try_from(at).ok());
        assert!(
            inside.is_some_and(|at| at == 0 || at < bytes.len()),
            "{site:?} is outside"
        );
    }
    let used = uses::uses_of_second(code).map_or(0, |uses| uses.len());
    let calls = calls::calls_of(code)?;
    Some(calls.direct.len().saturating_add(used))
}

/// Reads bytes as the code of a function that writes, or that counts; exported for the fuzzer alone.
#[doc(hidden)]
pub fn fuzz_lift(bytes: &[u8]) -> usize {
    let address = Vaddr(0x1000);
    let code = Code {
        machine: Machine::X86_64,
        bytes,
        address,
    };
    openssl::fuzz_lift(code, address)
}
