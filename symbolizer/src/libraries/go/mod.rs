//! Go's `crypto/tls`, in any program that Go's own compiler made, stripped or not.
//!
//! Names come from the table that Go keeps for its stack traces, never from symbols. What carries plaintext is tapped
//! where the data flow is proven, or else hooked at its entry and exits; there is never a return probe, because Go moves
//! stacks. A connection is a `tls.Conn`, whose address the garbage collector gives to another one later: it begins where
//! its handshake does, and ends with its `Close` or its socket.

mod buildinfo;
mod entry;
mod exits;
mod functions;
mod layout;
pub(crate) mod pclntab;
mod taps;

use buildinfo::Build;
use pclntab::{Function, Pclntab};
use taps::{Prover, Tap};

use crate::code::convention::Convention;
use crate::elf::address::Vaddr;
use crate::elf::identity::BuildId;
use crate::elf::image::Image;
use crate::elf::survey::SymbolSource;
use crate::hook::{Hook, HookKind, Proof, Role};
use crate::libraries::family::Family;
use crate::libraries::found::Found;
use crate::libraries::layout::{LayoutUnknown, Sending};
use crate::libraries::library::{Evidence, Library};
use crate::libraries::version::{LibraryVersion, Stage};
use crate::operand::{Operand, Operands, Place};
use crate::plan::ProbePlan;
use crate::reason::{GoRefusal, Reason};

/// The functions of one program that matter.
struct Functions {
    read: Function,
    write: Function,
    write_record: Function,
    close: Option<Function>,
    /// What begins a handshake, for each side. A client's later handshakes on the same connection do not come there.
    handshakes: [Option<Function>; 2],
    /// `Read` of the connection below.
    socket_read: Option<Function>,
}

/// Looks for Go's TLS.
pub(crate) fn find(image: &Image<'_>) -> Vec<Found> {
    let Some(build) = buildinfo::find(image) else {
        return Vec::new();
    };
    let Some(table) = functions::find(image) else {
        return vec![refused(GoRefusal::NoFunctionTable)];
    };
    let forks = table.prefixes(b".(*Conn).writeRecordLocked").into_iter();
    let forks = forks.filter(|package| *package != PACKAGE.as_bytes());
    let mut found: Vec<_> = forks
        .map(|package| refused(GoRefusal::Fork(String::from_utf8_lossy(package).into_owned())))
        .collect();
    if let Some(functions) = functions_of(&table) {
        found.push(plan(image, &build, &table, &functions));
    }
    found
}

/// Finds the functions of `crypto/tls`; `None` if the program does not use both directions of it.
fn functions_of(table: &Pclntab<'_>) -> Option<Functions> {
    let [read, write, write_record, close, client, server, socket_read] = table.find([
        b"crypto/tls.(*Conn).Read",
        b"crypto/tls.(*Conn).Write",
        b"crypto/tls.(*Conn).writeRecordLocked",
        b"crypto/tls.(*Conn).Close",
        b"crypto/tls.(*Conn).clientHandshake-fm",
        b"crypto/tls.(*Conn).serverHandshake-fm",
        b"net.(*TCPConn).Read",
    ]);
    Some(Functions {
        read: read?,
        write: write?,
        write_record: write_record?,
        close,
        handshakes: [client, server],
        socket_read,
    })
}

fn plan(image: &Image<'_>, build: &Build, table: &Pclntab<'_>, functions: &Functions) -> Found {
    match build.has_register_arguments() {
        None => return refused(GoRefusal::VersionUnknown),
        Some(false) => return refused(GoRefusal::ArgumentsOnStack(build.version.clone())),
        Some(true) => {}
    }
    let Some(convention) = Convention::of_go(image.machine()) else {
        return refused(GoRefusal::MachineUnsupported);
    };
    let may_be_inlined = |function| table.recovery_of(function).is_none();
    if build.is_profiled && (may_be_inlined(functions.read) || may_be_inlined(functions.write)) {
        return refused(GoRefusal::Profiled);
    }
    let prover = Prover {
        machine: image.machine(),
        convention,
        code_from: &|at| image.bytes_from(at),
        offset_of: &|at| image.segments().offset_of(at),
        name_at: &|at| table.name_at(at),
    };
    let around = exits::Around { image, table };
    let mut plaintext = Vec::new();
    let mut refusals = Vec::new();
    let read = (functions.read, prover.read(functions.read));
    let write = (functions.write, prover.write(functions.write, functions.write_record));
    for (role, name, (function, taps)) in [
        (Role::Read, "(*Conn).Read", read),
        (Role::Write, "(*Conn).Write", write),
    ] {
        let handing = prover.calls_handing(function).ok();
        let exit = exits::hook(&around, convention, role, name, function, handing.as_deref());
        if let (Err(cause), Err(_)) = (&taps, &exit) {
            return refused(if role == Role::Read {
                GoRefusal::ReadNotProven(*cause)
            } else {
                GoRefusal::WriteNotProven(*cause)
            });
        }
        refusals.extend(taps.as_ref().err().map(|cause| (HookKind::Tap, role, *cause)));
        refusals.extend(exit.as_ref().err().map(|cause| (HookKind::Exit, role, *cause)));
        let taps = taps.unwrap_or_default().into_iter();
        plaintext.extend(taps.map(|tap| hook(image, role, name, function, tap)));
        plaintext.extend(exit);
    }
    let closes = functions.close.map(|close| closing(image, convention, close));
    let [client, server] = functions.handshakes;
    let begins = [(client, "(*Conn).clientHandshake"), (server, "(*Conn).serverHandshake")];
    let begins = begins
        .into_iter()
        .filter_map(|(function, name)| Some(beginning(image, name, function?)));
    let others = closes.into_iter().chain(begins).flatten();
    let mut hooks: Vec<_> = plaintext.into_iter().chain(others).collect();
    hooks.retain(|hook| image.segments().offset_of(hook.address).is_some());
    Found::Plan(Box::new(ProbePlan {
        library: Library {
            family: Family::Go,
            evidence: Evidence::VersionText,
            version: Some(version(build)),
            at_least: None,
        },
        build_id: BuildId::of(image),
        machine: image.machine(),
        hooks,
        refused: refusals,
        absent: Vec::new(),
        layout: Err(LayoutUnknown::NoBios),
        socket_name: None,
        net_conn: layout::net_conn(build, image.machine(), functions.socket_read.map(|read| read.address)),
        sending: Sending::default(),
        facts: layout::facts(build),
    }))
}

fn hook(image: &Image<'_>, role: Role, name: &str, function: Function, tap: Tap) -> Hook {
    Hook {
        kind: HookKind::Tap,
        role,
        name: name.to_owned(),
        found: SymbolSource::Pclntab,
        address: function.address,
        offset: image.segments().offset_of(function.address).unwrap_or(tap.site.offset),
        size: function.size,
        site: tap.site,
        operands: tap.operands,
        proof: Proof::DataFlow,
        exits: None,
        returns_to: None,
    }
}

/// Returns the hook of `Close`, whose only argument is the connection.
fn closing(image: &Image<'_>, convention: Convention, close: Function) -> Option<Hook> {
    let operands = Operands::of(Operand::at(convention.argument(0), WORD));
    at_entry(image, Role::End, "(*Conn).Close", close, operands)
}

/// Returns the hook of what begins a connection's first handshake: a closure, which keeps the connection behind the
/// address of its code.
fn beginning(image: &Image<'_>, name: &str, function: Function) -> Option<Hook> {
    let operands = Operands::of(Operand::loaded(Place::Register(CLOSURE), 8, WORD));
    at_entry(image, Role::Clear, name, function, operands)
}

fn at_entry(image: &Image<'_>, role: Role, name: &str, function: Function, operands: Operands) -> Option<Hook> {
    Some(Hook {
        kind: HookKind::Entry,
        role,
        name: name.to_owned(),
        found: SymbolSource::Pclntab,
        address: function.address,
        offset: image.segments().offset_of(function.address)?,
        size: function.size,
        site: entry::site(image, function)?,
        operands,
        proof: Proof::Interface,
        exits: None,
        returns_to: None,
    })
}

fn version(build: &Build) -> LibraryVersion {
    let (major, minor, patch) = build.numbers().unwrap_or_default();
    let is_release = build.version.starts_with("go1.") && !build.version.contains(['r', 'b']);
    LibraryVersion {
        family: Family::Go,
        text: build.version.clone(),
        major,
        minor,
        patch,
        letter: None,
        stage: if is_release { Stage::Release } else { Stage::PreRelease },
    }
}

/// Reads any bytes as what the linker says; for the fuzzer alone.
pub(crate) fn any_build(header: &[u8]) -> bool {
    let build = buildinfo::parse(header, |Vaddr(at)| header.get(usize::try_from(at).ok()?..));
    build.is_some_and(|build| build.has_register_arguments().is_some())
}

/// Looks for taps and for exits in any bytes, which are the code of both functions; for the fuzzer alone.
pub(crate) fn any_hooks(code: &[u8]) -> usize {
    taps::any_code(code).saturating_add(exits::any_code(code))
}

const fn refused(why: GoRefusal) -> Found {
    Found::Refused(Reason::Go(why))
}

/// The package whose functions are hooked.
const PACKAGE: &str = "crypto/tls";
/// The DWARF number of `rdx`, which leads to what a closure has taken along.
const CLOSURE: u8 = 1;
/// How many bytes a word has.
const WORD: u8 = 8;
