//! Connections that embed another one, as uTLS's `UConn` does, and what their functions do with plaintext.
//!
//! Most only call those of the connection within, which are hooked. Others hand their bytes to `writeRecordLocked`
//! themselves: there the connection within is what they give it, a field of theirs.

use super::packages::Package;
use super::pclntab::Function;
use super::taps::{Prover, Tap};
use crate::cause::Cause;
use crate::code::fixpoint::uses::{Passed, Target};
use crate::code::{Destination, Field};
use crate::operand::Operand;

/// What a function of a connection that embeds another one does with a slice.
#[derive(Debug)]
pub(super) enum Outer {
    /// It calls functions of the connection within.
    Forwards,
    /// It hands records over, of a connection that an operand at its entry leads to.
    HandsOver { taps: Vec<Tap>, connection: Operand },
}

/// Finds out what a function does; `Err` if it is neither.
pub(super) fn examine(prover: &Prover<'_, '_>, package: &Package, function: Function) -> Result<Outer, Cause> {
    let (calls, _) = prover.calls_with_buffer(function)?;
    let is_elsewhere = |call: &&Passed| {
        let within = [package.read, package.write].map(|one| Target::Fixed(Destination::Code(one.address)));
        !within.contains(&call.target)
    };
    let calls: Vec<_> = calls.iter().filter(is_elsewhere).collect();
    let mut taps = Vec::new();
    let mut fields = Vec::new();
    for call in calls {
        let [connection, ..] = call.arguments;
        taps.push(prover.handover(call)?);
        let field = connection.field().and_then(Field::one);
        fields.push(
            field
                .filter(|(_, width)| *width == WORD)
                .ok_or(Cause::ConnectionLost(call.at))?,
        );
    }
    let Some((offset, width)) = fields.first().copied() else {
        return Ok(Outer::Forwards);
    };
    if fields.iter().any(|field| *field != (offset, width)) {
        return Err(Cause::SeveralHandovers(function.address));
    }
    let connection = Operand::loaded(prover.convention.argument(0), offset, width);
    Ok(Outer::HandsOver { taps, connection })
}

/// How many bytes a word has.
const WORD: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::machine::Machine;
    use crate::libraries::go::packages;
    use crate::libraries::go::taps::tests::{ENTER, LEAVE, NAMES, OTHER_AT, WRITE_RECORD_AT, code, registers};
    use crate::libraries::go::taps::{callee, proving};
    use crate::operand::Place;

    /// mov 0x30(%rsp),%rdx; mov OFFSET(%rdx),%rax; mov $23,%ebx; mov 0x38(%rsp),%rcx
    fn write(offset: u8) -> String {
        format!("48 8b 54 24 30 48 8b 42 {offset:02x} bb 17 00 00 00 48 8b 4c 24 38")
    }

    fn examined(pieces: &[Result<&str, usize>]) -> Result<Outer, Cause> {
        let within = |index| Function {
            address: callee(index),
            size: 16,
        };
        let package = packages::tests::of(within(OTHER_AT), within(OTHER_AT + 1));
        proving(
            Machine::X86_64,
            registers(),
            &code(pieces),
            &NAMES,
            |prover, function| examine(prover, &package, function),
        )
        .unwrap()
    }

    #[test]
    fn bytes_are_handed_over_for_the_connection_in_a_field() {
        let write = write(8);
        let pieces = [
            Ok(ENTER),
            Ok(write.as_str()),
            Err(WRITE_RECORD_AT),
            Ok(write.as_str()),
            Err(WRITE_RECORD_AT),
            Ok(LEAVE),
        ];
        let Outer::HandsOver { taps, connection } = examined(&pieces).unwrap() else {
            panic!("nothing is handed over");
        };
        assert_eq!(taps.len(), 2);
        // rax, which holds the connection at the call itself.
        let rax = Place::Register(0);
        assert_eq!(taps[0].operands.object, Operand::at(rax, 8));
        assert_eq!(connection, Operand::loaded(rax, 8, 8));
    }

    #[test]
    fn a_function_that_calls_those_within_needs_no_hook() {
        // mov (%rax),%rax, and the arguments as they are.
        let pieces = [Ok("48 8b 00 48 83 ec 08"), Err(OTHER_AT), Ok("48 83 c4 08 c3")];
        assert!(matches!(examined(&pieces), Ok(Outer::Forwards)));
    }

    #[test]
    fn several_connections_or_unknown_functions_are_refused() {
        let [first, second] = [write(8), write(16)];
        let pieces = [
            Ok(ENTER),
            Ok(first.as_str()),
            Err(WRITE_RECORD_AT),
            Ok(second.as_str()),
            Err(WRITE_RECORD_AT),
            Ok(LEAVE),
        ];
        assert!(matches!(examined(&pieces), Err(Cause::SeveralHandovers(_))));
        // The function's own first argument: that is no field.
        let own = "48 8b 44 24 30 bb 17 00 00 00 48 8b 4c 24 38";
        let pieces = [Ok(ENTER), Ok(own), Err(WRITE_RECORD_AT), Ok(LEAVE)];
        assert!(matches!(examined(&pieces), Err(Cause::ConnectionLost(_))));
        let elsewhere = [Ok(ENTER), Ok(first.as_str()), Err(2 + OTHER_AT), Ok(LEAVE)];
        assert!(matches!(examined(&elsewhere), Err(Cause::UnknownCall(_))));
    }
}
