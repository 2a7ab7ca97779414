//! What every hook that lifts has in common.

use super::{Functions, WORD};
use crate::cause::Cause;
use crate::code::instruction;
use crate::code::site::{Site, Tier};
use crate::elf::address::Vaddr;
use crate::elf::survey::SymbolSource;
use crate::hook::{Hook, HookKind, Proof, Role};
use crate::libraries::openssl::functions::WRITE;
use crate::operand::{Operand, Operands, Place};

/// The connection, and nothing of what it writes.
pub(super) const NOTHING: Operands = Operands {
    object: Operand::at(Place::Connection, WORD),
    buffer: None,
    length: None,
    count: None,
    transports: [None; 2],
    result: None,
    sequence: None,
    pieces: None,
    guards: [None; 2],
};

/// Makes a hook in a function that has a name in OpenSSL's source, but need not have a symbol.
pub(super) fn hook(
    functions: Functions<'_, '_>,
    (name, address): (&'static str, Vaddr),
    operands: Operands,
) -> Result<Hook, Cause> {
    let unknown = Cause::NotUnderstood(address);
    let named = functions.survey.functions(name);
    let symbol = named.iter().find(|finding| finding.address == address);
    let site = site(functions, address).ok_or(unknown)?;
    Ok(Hook {
        kind: HookKind::Lift,
        role: Role::Write,
        name: match symbol {
            Some(_) => name.to_owned(),
            None => format!("{WRITE}'s record"),
        },
        found: SymbolSource::Callers,
        address,
        offset: site.offset,
        size: symbol.map_or(0, |symbol| symbol.size),
        site,
        operands,
        proof: Proof::Fields,
        exits: None,
        returns_to: None,
    })
}

/// Describes the instruction at an address. No probe is placed there, so none is stepped over.
pub(super) fn site(functions: Functions<'_, '_>, address: Vaddr) -> Option<Site> {
    let bytes = functions.image.bytes_from(address)?;
    Some(Site {
        tier: Tier::Emulated,
        address,
        offset: functions.image.segments().offset_of(address)?,
        instruction: instruction::first(functions.image.machine(), bytes),
    })
}
