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
use crate::code::instruction::{Instruction, is_call};
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
    /// Returns how many bytes of the stack are the arguments and results of the function at an address, where they are there.
    pub(super) argument_bytes: &'a dyn Fn(Vaddr) -> Option<u16>,
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
        self.tap(call.at, self.convention.argument_at_call(0), [2, 3])
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
        let Destination::Code(at) = to else {
            return Callee::ANY;
        };
        let Some(name) = (self.name_at)(at) else {
            return Callee::ANY;
        };
        let known = if self.convention.is_on_stack() {
            runtime::callee_on_stack(name, (self.argument_bytes)(at))
        } else {
            runtime::callee(name)
        };
        // It returns a number and an error.
        let returns = if Some(at) == self.write_record {
            Returns::None
        } else {
            known.returns
        };
        Callee { returns, ..known }
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
        if !is_call(self.machine, code) {
            return Err(not_emulated);
        }
        let argument = |number| Some(Operand::at(self.convention.argument_at_call(number), WORD));
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
/// How many bytes a word has.
const WORD: u8 = 8;

/// Looks for taps in any bytes, which call functions behind them, as code of both machines; for the fuzzer alone.
pub(super) fn any_code(code: &[u8]) -> usize {
    let machines = [Machine::X86_64, Machine::Aarch64].into_iter();
    machines.map(|machine| any_code_of(machine, code)).sum()
}

fn any_code_of(machine: Machine, code: &[u8]) -> usize {
    let names = [
        MEMMOVE,
        WRITE_RECORD,
        b"runtime.morestack_noctxt",
        b"runtime.panicIndex",
    ];
    let taps = |convention: Convention| {
        found(machine, convention, code, &names).map_or(0, |(read, write)| {
            read.map_or(0, |taps| taps.len())
                .saturating_add(write.map_or(0, |taps| taps.len()))
        })
    };
    Convention::all_of_go(machine).into_iter().map(taps).sum()
}

/// How many bytes of the stack its functions take, where arguments are there.
const CALLEE_BYTES: u16 = 40;
/// Where the code is that is not an image's.
const BASE: Vaddr = Vaddr(0x1000);

/// Proves code as that of both functions; the functions of the names lie 16 bytes each from [`callee`] on.
#[expect(clippy::type_complexity, reason = "each direction has its own result")]
fn found(
    machine: Machine,
    convention: Convention,
    code: &[u8],
    names: &[&'static [u8]],
) -> Option<(Result<Vec<Tap>, Cause>, Result<Vec<Tap>, Cause>)> {
    proving(machine, convention, code, names, |prover, function| {
        (prover.read(function), prover.write(function))
    })
}

/// Has code analysed.
pub(super) fn proving<'data, T>(
    machine: Machine,
    convention: Convention,
    code: &'data [u8],
    names: &[&'data [u8]],
    with: impl FnOnce(&Prover<'_, 'data>, Function) -> T,
) -> Option<T> {
    let prover = Prover {
        machine,
        convention,
        code_from: &|Vaddr(at)| code.get(usize::try_from(at.checked_sub(BASE.0)?).ok()?..),
        offset_of: &|Vaddr(at)| Some(FileOffset(at)),
        name_at: &|at| {
            let index = (0..names.len()).find(|index| callee(*index) == at)?;
            names.get(index).copied()
        },
        argument_bytes: &|at| {
            (0..names.len())
                .any(|index| callee(index) == at)
                .then_some(CALLEE_BYTES)
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
pub(super) mod tests;
#[cfg(test)]
mod tests_aarch64;
