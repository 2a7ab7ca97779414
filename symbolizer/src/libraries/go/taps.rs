//! The two calls that see all plaintext of a connection, each proven by the data flow of its function.
//!
//! `Read` copies what the record held to the caller's buffer by one call of `runtime.memmove`, whose arguments are the
//! buffer, the bytes and their number. `Write` hands its buffer to `writeRecordLocked` as application data, at two places:
//! the split of the first byte in TLS 1.0, and the rest. Nothing else in them may take the buffer along.

use std::cell::Cell;

use super::pclntab::Function;
use super::runtime::{self, MEMMOVE};
use crate::cause::Cause;
use crate::code::bytes::Code;
use crate::code::callee::{Callee, Returns};
use crate::code::convention::Convention;
use crate::code::fixpoint;
use crate::code::fixpoint::places::Arguments;
use crate::code::fixpoint::uses::{Passed, Target, Use, uses_of_go};
use crate::code::instruction::Instruction;
use crate::code::site::{Site, Tier};
use crate::code::{Destination, Field, Value};
use crate::elf::address::{FileOffset, Vaddr};
use crate::elf::machine::Machine;
use crate::limits;
use crate::operand::{Operand, Operands, Place};

/// What a function was proven to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tap {
    pub(super) site: Site,
    pub(super) operands: Operands,
}

/// Analyses functions of one image.
pub(super) struct Prover<'a, 'data> {
    pub(super) machine: Machine,
    pub(super) convention: Convention,
    /// Returns the bytes from an address on.
    pub(super) code_from: &'a dyn Fn(Vaddr) -> Option<&'data [u8]>,
    pub(super) offset_of: &'a dyn Fn(Vaddr) -> Option<FileOffset>,
    /// Returns the name of the function at an address.
    pub(super) name_at: &'a dyn Fn(Vaddr) -> Option<&'data [u8]>,
    /// The package's `writeRecordLocked`, which takes a connection, the type of a record, and a slice.
    pub(super) write_record: Option<Vaddr>,
}

impl<'data> Prover<'_, 'data> {
    /// Finds the call that copies to the buffer of a function that reads.
    pub(super) fn read(&self, read: Function) -> Result<Vec<Tap>, Cause> {
        let (calls, known) = self.calls_with_buffer(read)?;
        let mut taps = Vec::new();
        for call in calls {
            let [to, ..] = call.arguments;
            if self.target(&call) != Some(MEMMOVE) {
                return Err(Cause::UnknownCall(call.at));
            }
            if !to.is_from(BUFFER) {
                return Err(Cause::BufferUnsure(call.at));
            }
            let connection = known.place(call.at, 0, WORD).ok_or(Cause::ConnectionLost(call.at))?;
            taps.push(self.tap(call.at, connection, [1, 2])?);
        }
        match taps.len() {
            0 => Err(Cause::NoCopy),
            1 => Ok(taps),
            _ => Err(Cause::SeveralHandovers(read.address)),
        }
    }

    /// Finds the calls that hand on the buffer of a function that writes, as application data.
    pub(super) fn write(&self, write: Function) -> Result<Vec<Tap>, Cause> {
        let (calls, _) = self.calls_with_buffer(write)?;
        let mut taps = Vec::new();
        for call in calls {
            let [connection, ..] = call.arguments;
            let tap = self.handover(&call)?;
            if connection.field().and_then(Field::as_argument) != Some(0) {
                return Err(Cause::ConnectionLost(call.at));
            }
            taps.push(tap);
        }
        if taps.is_empty() {
            return Err(Cause::NoCopy);
        }
        Ok(taps)
    }

    /// Makes the tap of a call that hands on the buffer as application data.
    pub(super) fn handover(&self, call: &Passed) -> Result<Tap, Cause> {
        let write_record = self.write_record.ok_or(Cause::FunctionMissing("writeRecordLocked"))?;
        if call.target != Target::Fixed(Destination::Code(write_record)) {
            return Err(Cause::UnknownCall(call.at));
        }
        let [_, kind, from, ..] = call.arguments;
        if kind != Value::Constant(APPLICATION_DATA) {
            return Err(Cause::TypeLost(call.at));
        }
        if !from.is_from(BUFFER) {
            return Err(Cause::BufferUnsure(call.at));
        }
        self.tap(call.at, self.convention.argument(0), [2, 3])
    }

    /// Lists where a function of a connection and a slice hands the slice's bytes to others.
    pub(super) fn calls_handing(&self, of: Function) -> Result<Vec<Vaddr>, Cause> {
        let (calls, _) = self.calls_with_buffer(of)?;
        Ok(calls.into_iter().map(|call| call.at).collect())
    }

    /// Lists the calls that a function of a connection and a slice hands the slice's bytes to.
    pub(super) fn calls_with_buffer(&self, of: Function) -> Result<(Vec<Passed>, Arguments), Cause> {
        let (used, known) = self.analyse(of, |function| uses_of_go(function, of.address, WORDS, BUFFER))?;
        let mut calls = Vec::new();
        for used in used {
            match used {
                Use::Stored(at) => return Err(Cause::BufferStored(at)),
                Use::Written(at) => return Err(Cause::CopiedInline(at)),
                Use::Passed(passed) if !passed.found.is_empty() => return Err(Cause::FrameHandedOver(passed.at)),
                Use::Passed(passed) if passed.on_stack => return Err(Cause::UnknownCall(passed.at)),
                // It makes room on the stack, and the function begins anew with the same arguments; or nothing follows.
                Use::Passed(passed) if self.target(&passed).is_some_and(runtime::is_of_no_concern) => {}
                Use::Passed(passed) => calls.push(*passed),
            }
        }
        Ok((calls, known))
    }

    fn analyse<T>(
        &self,
        of: Function,
        analysis: impl FnOnce(fixpoint::Function<'_>) -> Result<T, Cause>,
    ) -> Result<T, Cause> {
        let Function { address, size } = of;
        let bytes = (self.code_from)(address).zip(usize::try_from(size).ok());
        let bytes = bytes.and_then(|(bytes, size)| bytes.get(..size));
        analysis(fixpoint::Function {
            code: Code {
                machine: self.machine,
                bytes: bytes.ok_or(Cause::NotUnderstood(address))?,
                address,
            },
            convention: self.convention,
            is_start: &|_| false,
            callee: &|to| self.callee(to),
            never_returns: &|to| self.name(to).is_some_and(runtime::ends),
            budget: &Cell::new(limits::ANALYSIS_STEPS),
        })
    }

    fn callee(&self, to: Destination) -> Callee {
        match self.name(to) {
            // It returns a number and an error.
            _ if matches!(to, Destination::Code(at) if Some(at) == self.write_record) => Callee {
                returns: Returns::None,
                ..Callee::ANY
            },
            Some(name) => runtime::callee(name),
            None => Callee::ANY,
        }
    }

    fn target(&self, passed: &Passed) -> Option<&'data [u8]> {
        match passed.target {
            Target::Fixed(to) => self.name(to),
            Target::Value(_) => None,
        }
    }

    fn name(&self, to: Destination) -> Option<&'data [u8]> {
        match to {
            Destination::Code(at) => (self.name_at)(at),
            Destination::Slot(_) | Destination::Unknown => None,
        }
    }

    /// Makes the tap of a call whose arguments of these numbers are the bytes and their number.
    fn tap(&self, at: Vaddr, connection: Place, [bytes, count]: [u8; 2]) -> Result<Tap, Cause> {
        let not_emulated = Cause::NotEmulated(at);
        let code = (self.code_from)(at).ok_or(not_emulated)?;
        if code.first() != Some(&CALL) {
            return Err(not_emulated);
        }
        let argument = |number| Some(Operand::at(self.convention.argument(number), WORD));
        Ok(Tap {
            site: Site {
                tier: Tier::Emulated,
                address: at,
                offset: (self.offset_of)(at).ok_or(not_emulated)?,
                instruction: Instruction::Call,
            },
            operands: Operands {
                buffer: argument(bytes),
                count: argument(count),
                ..Operands::of(Operand::at(connection, WORD))
            },
        })
    }
}

/// The number of words that `Read` and `Write` take: the connection, and a slice's address, length and capacity.
const WORDS: usize = 4;
/// Which of them is the slice's address.
const BUFFER: usize = 1;
/// The type of a record with data of the application (RFC 8446, section 5.1).
const APPLICATION_DATA: u64 = 23;
/// The first byte of a call of a fixed place.
const CALL: u8 = 0xe8;
/// How many bytes a word has.
const WORD: u8 = 8;

/// Looks for taps in any bytes, which call functions behind them; for the fuzzer alone.
pub(super) fn any_code(code: &[u8]) -> usize {
    let names = [
        MEMMOVE,
        WRITE_RECORD,
        b"runtime.morestack_noctxt",
        b"runtime.panicIndex",
    ];
    found(code, &names).map_or(0, |(read, write)| {
        read.map_or(0, |taps| taps.len())
            .saturating_add(write.map_or(0, |taps| taps.len()))
    })
}

/// Where the code is that is not an image's.
const BASE: Vaddr = Vaddr(0x1000);

/// Proves code as that of both functions; the functions of the names lie 16 bytes each from [`callee`] on.
#[expect(clippy::type_complexity, reason = "each direction has its own result")]
fn found(code: &[u8], names: &[&'static [u8]]) -> Option<(Result<Vec<Tap>, Cause>, Result<Vec<Tap>, Cause>)> {
    proving(code, names, |prover, function| {
        (prover.read(function), prover.write(function))
    })
}

/// Has code analysed.
pub(super) fn proving<'data, T>(
    code: &'data [u8],
    names: &[&'data [u8]],
    with: impl FnOnce(&Prover<'_, 'data>, Function) -> T,
) -> Option<T> {
    let prover = Prover {
        machine: Machine::X86_64,
        convention: Convention::of_go(Machine::X86_64)?,
        code_from: &|Vaddr(at)| code.get(usize::try_from(at.checked_sub(BASE.0)?).ok()?..),
        offset_of: &|Vaddr(at)| Some(FileOffset(at)),
        name_at: &|at| {
            let index = (0..names.len()).find(|index| callee(*index) == at)?;
            names.get(index).copied()
        },
        write_record: names.iter().position(|name| *name == WRITE_RECORD).map(callee),
    };
    let size = u64::try_from(code.len()).ok()?;
    Some(with(&prover, Function { address: BASE, size }))
}

/// Stands for the function that takes a record.
const WRITE_RECORD: &[u8] = b"crypto/tls.(*Conn).writeRecordLocked";

pub(super) fn callee(index: usize) -> Vaddr {
    Vaddr(u64::try_from(index).map_or(0, |index| index.saturating_mul(16).saturating_add(0x10_0000)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::libraries::go) const NAMES: [&[u8]; 5] = [
        MEMMOVE,
        WRITE_RECORD,
        b"runtime.morestack_noctxt",
        b"net.(*conn).Read",
        b"runtime.newobject",
    ];

    /// Joins pieces of code; `Err` calls the function of a number.
    pub(in crate::libraries::go) fn code(pieces: &[Result<&str, usize>]) -> Vec<u8> {
        let mut code = Vec::new();
        for piece in pieces {
            match piece {
                Ok(hex) => {
                    let bytes = hex.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap());
                    code.extend(bytes);
                }
                Err(index) => {
                    let next = BASE.0 + u64::try_from(code.len()).unwrap() + 5;
                    let distance = u32::try_from(callee(*index).0 - next).unwrap();
                    code.extend([&[0xe8], &distance.to_le_bytes()[..]].concat());
                }
            }
        }
        code
    }

    const MEMMOVE_AT: usize = 0;
    pub(in crate::libraries::go) const WRITE_RECORD_AT: usize = 1;
    pub(in crate::libraries::go) const OTHER_AT: usize = 3;
    const NEW_OBJECT_AT: usize = 4;

    /// push %rbp; sub $0x20,%rsp; mov %rax,0x30(%rsp); mov %rbx,0x38(%rsp)
    pub(in crate::libraries::go) const ENTER: &str = "55 48 83 ec 20 48 89 44 24 30 48 89 5c 24 38";
    /// add $0x20,%rsp; pop %rbp; ret
    pub(in crate::libraries::go) const LEAVE: &str = "48 83 c4 20 5d c3";
    /// xor %ebx,%ebx
    const FORGET: &str = "31 db";
    /// mov 0x30(%rsp),%rsi; mov 0x38(%rsp),%rax; mov 0x40(%rsi),%rbx; mov 0x48(%rsi),%rcx
    const COPY: &str = "48 8b 74 24 30 48 8b 44 24 38 48 8b 5e 40 48 8b 4e 48";
    /// mov 0x30(%rsp),%rax; mov $23,%ebx; mov 0x38(%rsp),%rcx
    pub(in crate::libraries::go) const WRITE: &str = "48 8b 44 24 30 bb 17 00 00 00 48 8b 4c 24 38";

    fn read(pieces: &[Result<&str, usize>]) -> Result<Vec<Tap>, Cause> {
        found(&code(pieces), &NAMES).unwrap().0
    }

    fn write(pieces: &[Result<&str, usize>]) -> Result<Vec<Tap>, Cause> {
        found(&code(pieces), &NAMES).unwrap().1
    }

    #[test]
    fn a_read_is_tapped_where_it_copies_to_its_buffer() {
        let taps = read(&[
            Ok(ENTER),
            Ok(FORGET),
            Err(OTHER_AT),
            Ok(COPY),
            Err(MEMMOVE_AT),
            Ok(LEAVE),
        ])
        .unwrap();
        let [tap] = &taps[..] else { panic!("{taps:?}") };
        let register = |number| Operand::at(Place::Register(number), 8);
        assert_eq!(tap.site.address, Vaddr(BASE.0 + 15 + 2 + 5 + 18));
        let Operands {
            object, buffer, count, ..
        } = tap.operands;
        // rsi, rbx, rcx.
        assert_eq!(
            (object, buffer, count),
            (register(4), Some(register(3)), Some(register(2)))
        );
    }

    #[test]
    fn new_memory_is_not_the_buffer() {
        // mov %rcx,(%rax): to what a function returns that is called while a register holds the buffer's address.
        let with = |function| {
            read(&[
                Ok(ENTER),
                Err(function),
                Ok("48 89 08"),
                Ok(COPY),
                Err(MEMMOVE_AT),
                Ok(LEAVE),
            ])
        };
        assert_eq!(with(NEW_OBJECT_AT).unwrap().len(), 1);
        assert!(with(OTHER_AT).is_err());
    }

    #[test]
    fn a_read_whose_buffer_may_be_filled_otherwise_is_refused() {
        let refused = |pieces: &[Result<&str, usize>]| read(pieces).unwrap_err();
        let elsewhere = refused(&[Ok(ENTER), Err(OTHER_AT), Ok(COPY), Err(MEMMOVE_AT), Ok(LEAVE)]);
        assert_eq!(elsewhere, Cause::UnknownCall(Vaddr(BASE.0 + 15)));
        assert_eq!(refused(&[Ok(ENTER), Ok(LEAVE)]), Cause::NoCopy);
        // mov %cl,(%rbx)
        assert_eq!(refused(&[Ok("88 0b c3")]), Cause::CopiedInline(BASE));
        // mov %rbx,(%rax)
        assert_eq!(refused(&[Ok("48 89 18 c3")]), Cause::BufferStored(BASE));
        let twice = [
            Ok(ENTER),
            Ok(COPY),
            Err(MEMMOVE_AT),
            Ok(COPY),
            Err(MEMMOVE_AT),
            Ok(LEAVE),
        ];
        assert_eq!(refused(&twice), Cause::SeveralHandovers(BASE));
        // xor %eax,%eax; mov %rax,0x30(%rsp)
        let lost = [
            Ok(ENTER),
            Ok("31 c0 48 89 44 24 30"),
            Ok(COPY),
            Err(MEMMOVE_AT),
            Ok(LEAVE),
        ];
        assert!(matches!(refused(&lost), Cause::ConnectionLost(_)));
        assert!(matches!(refused(&[Ok("06")]), Cause::NotUnderstood(_)));
    }

    #[test]
    fn a_write_is_tapped_where_it_hands_its_buffer_on_as_application_data() {
        let pieces = [
            Ok(ENTER),
            Ok(WRITE),
            Err(WRITE_RECORD_AT),
            Ok(WRITE),
            Err(WRITE_RECORD_AT),
            Ok(LEAVE),
        ];
        let taps = write(&pieces).unwrap();
        assert_eq!(taps.len(), 2);
        for tap in taps {
            let register = |number| Operand::at(Place::Register(number), 8);
            let Operands {
                object, buffer, count, ..
            } = tap.operands;
            // rax, rcx, rdi.
            assert_eq!(
                (object, buffer, count),
                (register(0), Some(register(2)), Some(register(5)))
            );
        }
        // An alert.
        let alert = WRITE.replace("17", "15");
        let alert = [Ok(ENTER), Ok(alert.as_str()), Err(WRITE_RECORD_AT), Ok(LEAVE)];
        assert!(matches!(write(&alert), Err(Cause::TypeLost(_))));
        let elsewhere = [Ok(ENTER), Ok(WRITE), Err(OTHER_AT), Ok(LEAVE)];
        assert!(matches!(write(&elsewhere), Err(Cause::UnknownCall(_))));
    }

    #[test]
    fn no_code_makes_it_panic() {
        let whole = code(&[
            Ok(ENTER),
            Ok(FORGET),
            Err(OTHER_AT),
            Ok(COPY),
            Err(MEMMOVE_AT),
            Ok(LEAVE),
        ]);
        for cut in 0..whole.len() {
            any_code(&whole[..cut]);
            any_code(&whole[cut..]);
        }
    }
}
