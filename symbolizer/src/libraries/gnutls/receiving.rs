//! The function behind those that read, `_gnutls_recv_int`.
//!
//! `gnutls_record_recv` and `gnutls_record_recv_seq` only add to their arguments what kind of record they want, and both
//! call it. Their own first instructions may be such that the kernel single-steps them; then a probe for every process
//! would cost those that nobody traces. The other callers give no buffer, and get no bytes.

use super::functions::{COUNTED, RECEIVE, RECEIVE_SEQ};
use crate::code::calls::{Call, calls_of};
use crate::code::site::Tier;
use crate::code::{Destination, Field, Value};
use crate::elf::address::Vaddr;
use crate::elf::image::{Image, Presence, SymbolKind};
use crate::elf::survey::{Finding, Survey, SymbolSource};
use crate::hook::{Hook, Proof, Role};
use crate::libraries::function::{Argument, Count, Function, WORD};
use crate::libraries::hooks::{code_of, hook};

/// `_gnutls_recv_int(session, type, data, size, sequence, milliseconds)`.
const INTERNAL: Function = Function {
    buffer: Some(2),
    length: Some(Argument(3, WORD)),
    ..Function::moving("_gnutls_recv_int", Role::Read, WORD, Count::Returned, COUNTED)
};

/// The type of a record with data of the application (RFC 8446, section 5.1).
const APPLICATION_DATA: u64 = 23;

/// Puts the function behind those that read in their place, where that makes a probe cheaper.
pub(super) fn share(image: &Image<'_>, survey: &Survey, hooks: &mut Vec<Hook>) {
    let serves = |hook: &Hook| hook.name == RECEIVE || hook.name == RECEIVE_SEQ;
    let are_cheap = hooks
        .iter()
        .filter(|hook| serves(hook))
        .all(|hook| hook.site.tier == Tier::Emulated);
    if are_cheap {
        return;
    }
    let shared = callee(image, survey).and_then(|address| shared(image, address));
    let Some(shared) = shared.filter(|hook| hook.site.tier == Tier::Emulated) else {
        return;
    };
    hooks.retain(|hook| !serves(hook));
    hooks.insert(0, shared);
}

fn shared(image: &Image<'_>, address: Vaddr) -> Option<Hook> {
    let finding = Finding {
        name: INTERNAL.name,
        source: SymbolSource::Callers,
        presence: Presence::Defined,
        kind: SymbolKind::Function,
        address,
        size: 0,
    };
    let name = format!("{RECEIVE}'s callee");
    hook(image, &INTERNAL, &finding, Proof::Callers).map(|hook| Hook { name, ..hook })
}

/// Finds what both functions call with their own buffer, behind the type of record that they ask for.
fn callee(image: &Image<'_>, survey: &Survey) -> Option<Vaddr> {
    let [one] = callees(image, survey, RECEIVE_SEQ)?[..] else {
        return None;
    };
    callees(image, survey, RECEIVE)?.contains(&one).then_some(one)
}

fn callees(image: &Image<'_>, survey: &Survey, name: &'static str) -> Option<Vec<Vaddr>> {
    let function = survey.function(name).filter(|function| function.size != 0)?;
    let calls = calls_of(code_of(image, &function)?)?;
    Some(calls.direct.iter().filter_map(receiver).collect())
}

/// Returns where a call leads that asks for data of the application, for the caller's own buffer.
fn receiver(call: &Call) -> Option<Vaddr> {
    let [session, kind, data, size, ..] = call.arguments;
    let own = [session, data, size].map(|value| value.field().and_then(Field::as_argument));
    let is_data = kind == Value::Constant(APPLICATION_DATA);
    let is_receiver = is_data && own == [Some(0), Some(1), Some(2)];
    match call.target {
        Destination::Code(address) => is_receiver.then_some(address),
        Destination::Slot(_) | Destination::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::bytes::Code;
    use crate::elf::machine::Machine;

    fn receivers(hex: &str) -> Vec<Vaddr> {
        let bytes: Vec<_> = hex
            .split(' ')
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect();
        let code = Code {
            machine: Machine::X86_64,
            bytes: &bytes,
            address: Vaddr(0x3fae0),
        };
        let calls = calls_of(code).unwrap();
        calls.direct.iter().filter_map(receiver).collect()
    }

    #[test]
    fn the_callee_takes_the_callers_buffer_behind_a_type_of_record() {
        // `gnutls_record_recv_seq` of Debian's 3.7.9.
        let receives = |kind: &str| {
            let before = "44 8b 8f 70 07 00 00 49 89 c8 48 89 d1 48 89 f2";
            receivers(&format!("{before} be {kind} 00 00 00 e9 b6 ed ff ff"))
        };
        assert_eq!(receives("17"), [Vaddr(0x3e8b0)]);
        assert_eq!(receives("15"), [], "alerts are asked for");
        // Its arguments as they came.
        assert_eq!(receivers("be 17 00 00 00 e9 b6 ed ff ff"), []);
    }
}
