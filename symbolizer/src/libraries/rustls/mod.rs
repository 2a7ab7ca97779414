//! rustls, by the names of its functions and by what these do.
//!
//! What a record held is tapped where rustls takes it from the record, and what a record is to hold where the record is
//! encrypted: by methods of traits, which are functions of their own in every build. Connections move in memory, so one is
//! known by the object that encrypts its records, from when that is made; the socket is found by the ciphertext. After a key
//! update there is another object, and so another connection.

mod analysis;
mod beginnings;
mod handlers;
mod names;
mod reads;
mod references;
mod release;
mod scan;
mod sending;
mod sends;
mod stripped;

use crate::cause::Cause;
use crate::code::Needs;
use crate::code::bytes::Code;
use crate::code::convention::Convention;
use crate::code::fixpoint::seen::Kept;
use crate::code::instruction::Instruction;
use crate::code::site::{self, Site, Tier};
use crate::elf::address::Vaddr;
use crate::elf::identity::BuildId;
use crate::elf::image::Image;
use crate::elf::machine::Machine;
use crate::error::Error;
use crate::hook::{Hook, HookKind, Proof, Role};
use crate::libraries::family::Family;
use crate::libraries::found::Found;
use crate::libraries::hooks::needs_of;
use crate::libraries::layout::{Facts, LayoutUnknown, Sending};
use crate::libraries::library::{Evidence, Library};
use crate::libraries::traces;
use crate::operand::{Guard, Operand, Operands, Place};
use crate::plan::ProbePlan;
use crate::reason::{Reason, RustlsRefusal};

use analysis::{Prover, WORD};
use names::{Function, Functions};
use sends::{APPLICATION_DATA, Sent};

/// Looks for rustls.
pub(crate) fn find(image: &Image<'_>) -> Result<Found, Error> {
    let mut functions = Functions::find(image)?;
    if functions.is_empty() {
        if !traces::holds_rustls(image.data()) {
            return Ok(Found::Nothing);
        }
        if image.machine() == Machine::X86_64 {
            functions = stripped::find(image).unwrap_or_default();
        }
    }
    let releases = release::find(image.data());
    Ok(plan(image, &functions, &releases).unwrap_or_else(|why| {
        Found::Refused(Reason::Rustls {
            versions: releases,
            why,
        })
    }))
}

/// Plans the hooks, or says why there are none.
fn plan(image: &Image<'_>, functions: &Functions, releases: &[String]) -> Result<Found, RustlsRefusal> {
    if image.machine() != Machine::X86_64 {
        return Err(RustlsRefusal::MachineUnsupported);
    }
    if functions.is_empty() {
        return Err(RustlsRefusal::NoSymbols);
    }
    if releases.len() > 1 {
        return Err(RustlsRefusal::SeveralVersions);
    }
    let prover = Prover { image, functions };
    let sent = prover.sending().map_err(RustlsRefusal::WriteNotProven)?;
    let reads = prover.receiving(&sent).map_err(RustlsRefusal::ReadNotProven)?;
    let room = Room { image, functions };
    let mut hooks = room.received(&reads).ok_or(RustlsRefusal::NotInCode)?;
    hooks.extend(room.encrypted(&sent)?);
    hooks.extend(room.beginnings(&sent).map_err(RustlsRefusal::BeginningNotProven)?);
    hooks.extend(room.ends(&sent));
    hooks.extend(sent.record.as_ref().and_then(|kept| room.record(&sent, kept)));
    hooks.extend(sent.returned.as_ref().and_then(|kept| room.returned(&sent, kept)));
    hooks.extend(sent.handed.iter().filter_map(|at| room.handed(&sent, *at)));
    Ok(Found::Plan(Box::new(ProbePlan {
        library: Library {
            family: Family::Rustls,
            // Without names it is known by the files that its panics name.
            evidence: if functions.has_names() {
                Evidence::Symbols
            } else {
                Evidence::VersionText
            },
            version: releases.first().and_then(|text| release::parse(text)),
            at_least: None,
        },
        build_id: BuildId::of(image),
        machine: image.machine(),
        hooks,
        refused: Vec::new(),
        absent: Vec::new(),
        layout: Err(LayoutUnknown::NoBios),
        socket_name: None,
        net_conn: None,
        sending: Sending::default(),
        facts: Facts::default(),
    })))
}

/// What the hooks are made of.
struct Room<'a, 'data> {
    image: &'a Image<'data>,
    functions: &'a Functions,
}

impl Room<'_, '_> {
    /// Makes the hooks at what takes the content of records from the peer.
    fn received(&self, reads: &[(Function, names::Found, Operands)]) -> Option<Vec<Hook>> {
        let hooks = reads
            .iter()
            .map(|(by, found, operands)| self.tap((Role::Read, *by), *found, *operands, Proof::DataFlow));
        hooks.collect()
    }

    /// Makes the hooks at what encrypts records: the place of the result, the object, the message, and the number of the
    /// record.
    fn encrypted(&self, sent: &Sent) -> Result<Vec<Hook>, RustlsRefusal> {
        let message = self.argument(2);
        let kind = Operand::loaded(message, sent.message.kind, 1);
        let bytes = Operands {
            guards: [
                Some(Guard {
                    operand: kind,
                    equals: APPLICATION_DATA.into(),
                }),
                None,
            ],
            ..Operands::of(Operand::at(self.argument(1), WORD))
        };
        let operands = if sent.message.has_pieces {
            Operands {
                pieces: Some(Operand::at(message, WORD)),
                ..bytes
            }
        } else {
            Operands {
                buffer: Some(Operand::loaded(message, 0, WORD)),
                count: Some(Operand::loaded(message, 8, WORD)),
                ..bytes
            }
        };
        let found = self.functions.of(Function::Encrypt);
        if found.is_empty() {
            let missing = Cause::FunctionMissing(Function::Encrypt.name());
            return Err(RustlsRefusal::WriteNotProven(missing));
        }
        let hook = |found| self.tap((Role::Write, Function::Encrypt), found, operands, Proof::DataFlow);
        let hooks: Option<Vec<_>> = found.into_iter().map(hook).collect();
        hooks.ok_or(RustlsRefusal::NotInCode)
    }

    /// Makes the hooks at what drops the state of a connection. Where that is part of other functions a connection ends
    /// later: with its socket, or as another begins.
    fn ends(&self, sent: &Sent) -> Vec<Hook> {
        let operands = Operands::of(Operand::loaded(self.argument(0), sent.encrypter, WORD));
        let hook = |found| {
            let hook = self.tap((Role::End, Function::Drop), found, operands, Proof::DataFlow)?;
            let kind = HookKind::Entry;
            Some(Hook { kind, ..hook })
        };
        self.functions.of(Function::Drop).into_iter().filter_map(hook).collect()
    }

    /// Makes the hook behind the call that encrypts, where the result of that call is an encrypted record.
    fn record(&self, sent: &Sent, kept: &Kept) -> Option<Hook> {
        let site = self.site(kept.at, Tier::Emulated, Instruction::ConditionalJump)?;
        self.behind(sent, kept, (0, site))
    }

    /// Makes the hook where a function of its own has returned an encrypted record.
    fn returned(&self, sent: &Sent, kept: &Kept) -> Option<Hook> {
        let site = self.site(kept.at, Tier::Stepped, Instruction::Other)?;
        self.behind(sent, kept, (SUCCESS, site))
    }

    /// Makes a hook where a record is on the stack, without so many bytes of the result of encrypting.
    fn behind(&self, sent: &Sent, kept: &Kept, (without, site): (u16, Site)) -> Option<Hook> {
        let [sends, ..] = self.functions.of(sent.by)[..] else {
            return None;
        };
        let part = |offset: u16| {
            let above = kept.above.checked_add(offset.checked_sub(without)?)?;
            Some(Operand::at(Place::Stack(above), WORD))
        };
        let record = Operands {
            buffer: Some(part(RECORD_ADDRESS)?),
            ..Operands::of(Operand::loaded(kept.argument, sent.encrypter, WORD))
        };
        let bytes = Some(part(RECORD_LENGTH)?);
        let hook = self.hook((Role::Ciphertext, sent.by), sends, sized(record, bytes, sent))?;
        Some(Hook { site, ..hook })
    }

    /// Makes the hook at a call that is given the connection and an encrypted record.
    fn handed(&self, sent: &Sent, at: Vaddr) -> Option<Hook> {
        let [sends, ..] = self.functions.of(sent.by)[..] else {
            return None;
        };
        let part = |offset: u16| Some(Operand::loaded(self.argument(1), offset.checked_sub(SUCCESS)?, WORD));
        let bytes = Some(part(RECORD_LENGTH)?);
        let record = Operands {
            buffer: Some(part(RECORD_ADDRESS)?),
            ..Operands::of(Operand::loaded(self.argument(0), sent.encrypter, WORD))
        };
        let hook = self.hook((Role::Ciphertext, sent.by), sends, sized(record, bytes, sent))?;
        Some(Hook {
            site: self.site(at, Tier::Emulated, Instruction::Call)?,
            ..hook
        })
    }

    /// Makes a tap at the entry of a function.
    fn tap(&self, what: (Role, Function), found: names::Found, operands: Operands, proof: Proof) -> Option<Hook> {
        let size = usize::try_from(found.size).ok()?;
        let code = Code {
            machine: self.image.machine(),
            bytes: self.image.bytes_from(found.address)?.get(..size)?,
            address: found.address,
        };
        let needs: Needs = needs_of(&operands, HookKind::Tap, code.machine);
        let hook = self.hook(what, found, operands)?;
        Some(Hook {
            site: site::choose(code, hook.offset, &needs),
            proof,
            ..hook
        })
    }

    fn hook(&self, (role, function): (Role, Function), found: names::Found, operands: Operands) -> Option<Hook> {
        let offset = self.image.segments().offset_of(found.address)?;
        Some(Hook {
            kind: HookKind::Tap,
            role,
            name: function.name().to_owned(),
            found: found.source,
            address: found.address,
            offset,
            size: found.size,
            site: self.site(found.address, Tier::Stepped, Instruction::Other)?,
            operands,
            proof: Proof::DataFlow,
            exits: None,
            returns_to: None,
        })
    }

    fn site(&self, address: Vaddr, tier: Tier, instruction: Instruction) -> Option<Site> {
        Some(Site {
            tier,
            address,
            offset: self.image.segments().offset_of(address)?,
            instruction,
        })
    }

    fn argument(&self, number: u8) -> Place {
        Convention::of(self.image.machine()).argument(number)
    }
}

/// Adds how many bytes an encrypted record takes: with its header, for which there is room since 0.23, or without one.
fn sized(record: Operands, bytes: Option<Operand>, sent: &Sent) -> Operands {
    if sent.message.has_pieces {
        Operands {
            length: bytes,
            ..record
        }
    } else {
        Operands { count: bytes, ..record }
    }
}

/// From the result of encrypting, which begins with a word for success, to the address of the record's `Vec<u8>`
/// and to its length, behind the capacity. Were they elsewhere, no message of the process would begin with what is read there.
const RECORD_ADDRESS: u16 = 16;
const RECORD_LENGTH: u16 = 24;
/// From the result of encrypting to what it holds if that succeeded.
const SUCCESS: u16 = 8;
