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
mod outer;
mod packages;
pub(crate) mod pclntab;
mod runtime;
mod taps;

use buildinfo::Build;
use outer::Outer;
use packages::Package;
use pclntab::{Function, Pclntab};
use taps::{Prover, Tap};

use crate::cause::Cause;
use crate::code::convention::Convention;
use crate::elf::address::Vaddr;
use crate::elf::identity::BuildId;
use crate::elf::image::Image;
use crate::elf::machine::Machine;
use crate::elf::survey::SymbolSource;
use crate::hook::{Hook, HookKind, Proof, Role};
use crate::libraries::family::Family;
use crate::libraries::found::Found;
use crate::libraries::layout::{Facts, LayoutUnknown, Sending};
use crate::libraries::library::{Evidence, Library};
use crate::libraries::version::{LibraryVersion, Stage};
use crate::operand::{Operand, Operands, Place};
use crate::plan::ProbePlan;
use crate::reason::{GoRefusal, Reason};

/// Looks for Go's TLS.
pub(crate) fn find(image: &Image<'_>) -> Vec<Found> {
    let Some(build) = buildinfo::find(image) else {
        return Vec::new();
    };
    let Some(table) = functions::find(image) else {
        return vec![refused(GoRefusal::NoFunctionTable)];
    };
    let program = Program {
        image,
        build: &build,
        table: &table,
        socket_read: table.find([b"net.(*TCPConn).Read"])[0].map(|read| read.address),
    };
    let own = Package::find(&table, packages::OWN).map(|own| program.plan(&own));
    let copies = packages::copies(&table).into_iter().map(|path| {
        let fork = || refused(GoRefusal::Fork(String::from_utf8_lossy(path).into_owned()));
        Package::find(&table, path).map_or_else(fork, |copy| program.plan(&copy))
    });
    own.into_iter().chain(copies).collect()
}

/// A program of Go.
struct Program<'a, 'data> {
    image: &'a Image<'data>,
    build: &'a Build,
    table: &'a Pclntab<'data>,
    /// `Read` of the connections below those of TLS.
    socket_read: Option<Vaddr>,
}

impl Program<'_, '_> {
    /// Plans the hooks of one package.
    fn plan(&self, package: &Package) -> Found {
        let machine = self.image.machine();
        let convention = match self.build.has_register_arguments(machine) {
            None => return refused(GoRefusal::VersionUnknown),
            Some(true) => Convention::of_go(machine),
            Some(false) => Convention::of_go_on_stack(machine),
        };
        let may_be_inlined = |function| self.table.recovery_of(function).is_none();
        if self.build.is_profiled && package.moving().any(may_be_inlined) {
            return refused(GoRefusal::Profiled);
        }
        let mut moving = Hooks::default();
        if let Err(refusal) = self.add_moving(&mut moving, package, convention) {
            return refused(refusal);
        }
        let Hooks { mut hooks, refused } = moving;
        hooks.extend(self.others(package, convention));
        hooks.retain(|hook| self.image.segments().offset_of(hook.address).is_some());
        let build = self.build;
        Found::Plan(Box::new(ProbePlan {
            library: Library {
                family: Family::Go,
                evidence: Evidence::VersionText,
                version: Some(version(build)),
                at_least: None,
            },
            build_id: BuildId::of(self.image),
            machine,
            hooks,
            refused,
            absent: Vec::new(),
            layout: Err(LayoutUnknown::NoBios),
            socket_name: None,
            net_conn: layout::net_conn(build, machine, self.socket_read),
            sending: Sending::default(),
            // A copy has structures of its own.
            facts: if package.is_own() {
                layout::facts(build)
            } else {
                Facts::default()
            },
        }))
    }

    /// Adds the hooks of what moves plaintext.
    fn add_moving(&self, hooks: &mut Hooks, package: &Package, convention: Convention) -> Result<(), GoRefusal> {
        let prover = Prover {
            machine: self.image.machine(),
            convention,
            code_from: &|at| self.image.bytes_from(at),
            offset_of: &|at| self.image.segments().offset_of(at),
            name_at: &|at| self.table.name_at(at),
            argument_bytes: &|at| self.table.argument_bytes(at),
            write_record: package.write_record.map(|function| function.address),
        };
        let own = |function, taps| (function, taps, Operand::at(convention.argument(0), WORD));
        let mut all = vec![
            (Role::Read, "(*Conn).Read", own(package.read, prover.read(package.read))),
            (
                Role::Write,
                "(*Conn).Write",
                own(package.write, prover.write(package.write)),
            ),
        ];
        let [read, write, _] = package.outer;
        for (role, name, function) in [
            (Role::Read, "(*UConn).Read", read),
            (Role::Write, "(*UConn).Write", write),
        ] {
            let Some(function) = function else { continue };
            match outer::examine(&prover, package, function) {
                Ok(Outer::Forwards) => {}
                Ok(Outer::HandsOver { taps, connection }) => all.push((role, name, (function, Ok(taps), connection))),
                Err(cause) => return Err(not_proven(role, cause)),
            }
        }
        let around = exits::Around {
            image: self.image,
            table: self.table,
        };
        for (role, name, (function, taps, connection)) in all {
            let name = package.name_of(name);
            let handing = prover.calls_handing(function).ok();
            let moving = exits::Moving {
                role,
                name: &name,
                function,
                connection,
                handing: handing.as_deref(),
            };
            let exit = exits::hook(&around, convention, moving);
            if let (Err(cause), Err(_)) = (&taps, &exit) {
                return Err(not_proven(role, *cause));
            }
            hooks
                .refused
                .extend(taps.as_ref().err().map(|cause| (HookKind::Tap, role, *cause)));
            hooks
                .refused
                .extend(exit.as_ref().err().map(|cause| (HookKind::Exit, role, *cause)));
            let taps = taps.unwrap_or_default().into_iter();
            hooks
                .hooks
                .extend(taps.map(|tap| hook(self.image, role, &name, function, tap)));
            hooks.hooks.extend(exit);
        }
        Ok(())
    }

    /// Lists the hooks of what begins and ends connections.
    fn others(&self, package: &Package, convention: Convention) -> impl Iterator<Item = Hook> {
        let ([client, server], [_, _, outer]) = (package.handshakes, package.outer);
        // The closure has taken along a connection, or what begins with a pointer to one.
        let closure = match self.image.machine() {
            Machine::X86_64 => RDX,
            Machine::Aarch64 => X26,
        };
        let own = Operand::loaded(Place::Register(closure), 8, WORD);
        let within = Operand {
            loads: [Some(8), Some(0)],
            ..own
        };
        let end = Operand::at(convention.argument(0), WORD);
        let all = [
            (Role::End, "(*Conn).Close", package.close, end),
            (Role::Clear, "(*Conn).clientHandshake", client, own),
            (Role::Clear, "(*Conn).serverHandshake", server, own),
            (Role::Clear, "(*UConn).clientHandshake", outer, within),
        ];
        all.into_iter().filter_map(|(role, name, function, connection)| {
            let operands = Operands::of(connection);
            at_entry(self.image, role, &package.name_of(name), function?, operands)
        })
    }
}

/// The hooks of what moves plaintext, and those that are not proven.
#[derive(Default)]
struct Hooks {
    hooks: Vec<Hook>,
    refused: Vec<(HookKind, Role, Cause)>,
}

/// Says which direction is not proven.
const fn not_proven(role: Role, cause: Cause) -> GoRefusal {
    if matches!(role, Role::Read) {
        GoRefusal::ReadNotProven(cause)
    } else {
        GoRefusal::WriteNotProven(cause)
    }
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
    let machines = [Machine::X86_64, Machine::Aarch64];
    build.is_some_and(|build| {
        machines
            .iter()
            .all(|machine| build.has_register_arguments(*machine).is_some())
    })
}

/// Looks for taps and for exits in any bytes, which are the code of both functions; for the fuzzer alone.
pub(crate) fn any_hooks(code: &[u8]) -> usize {
    taps::any_code(code).saturating_add(exits::any_code(code))
}

const fn refused(why: GoRefusal) -> Found {
    Found::Refused(Reason::Go(why))
}

/// The DWARF numbers of `rdx` and `x26`, which lead to what a closure has taken along.
const RDX: u8 = 1;
const X26: u8 = 26;
/// How many bytes a word has.
const WORD: u8 = 8;
