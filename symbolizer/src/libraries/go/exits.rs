//! The entry and the exits of a function of Go that moves plaintext, for programs in which no tap is proven.
//!
//! The entry is probed behind the comparison of the stack pointer, or at its jump. The exits are all returns of the function, or,
//! on x86-64, the jumps that stand for them: what it returns first is how many bytes it has moved, also beside an error.

use super::entry;
use super::pclntab::{Function, Pclntab};
use super::runtime::ends;
use crate::cause::Cause;
use crate::code::Destination;
use crate::code::bytes::Code;
use crate::code::convention::Convention;
use crate::code::exits::{Nothing, Spot};
use crate::code::graph::Surroundings;
use crate::code::instruction::Instruction;
use crate::code::leaves::{self, Leaving};
use crate::elf::address::Vaddr;
use crate::elf::image::Image;
use crate::elf::machine::Machine;
use crate::elf::survey::SymbolSource;
use crate::hook::{Caller, ExitResult, ExitSite, Exits, GoroutinePlace, Hook, HookKind, Proof, Role};
use crate::libraries::exit::sites;
use crate::operand::{Operand, Operands, Outcome, Place, Success};

/// The code around the functions of a program.
pub(super) struct Around<'a, 'data> {
    pub(super) image: &'a Image<'data>,
    pub(super) table: &'a Pclntab<'data>,
}

/// A function of a connection and a slice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moving<'a> {
    pub(super) role: Role,
    pub(super) name: &'a str,
    pub(super) function: Function,
    /// Where the connection is: the first argument, or what that begins with.
    pub(super) connection: Operand,
    /// The calls that get the address of the slice, if all are known.
    pub(super) handing: Option<&'a [Vaddr]>,
}

/// Makes the hook at the entry and the exits of a function.
pub(super) fn hook(around: &Around<'_, '_>, convention: Convention, moving: Moving<'_>) -> Result<Hook, Cause> {
    let Moving {
        role,
        name,
        function,
        connection,
        handing,
    } = moving;
    let (image, unknown) = (around.image, Cause::NotUnderstood(function.address));
    let code = usize::try_from(function.size)
        .ok()
        .and_then(|size| image.bytes_from(function.address)?.get(..size));
    let code = Code {
        machine: image.machine(),
        bytes: code.ok_or(unknown)?,
        address: function.address,
    };
    let site = entry::site(image, function).ok_or(unknown)?;
    let leaving = Leaving {
        code,
        convention,
        recovery: around.table.recovery_of(function),
        noted_at: site.address,
        // The jumps that stand for a return have its result in a register.
        handing: handing.filter(|_| !convention.is_on_stack()),
    };
    Ok(Hook {
        kind: HookKind::Exit,
        role,
        name: name.to_owned(),
        found: SymbolSource::Pclntab,
        address: function.address,
        offset: image.segments().offset_of(function.address).ok_or(unknown)?,
        size: function.size,
        site,
        operands: operands(convention, connection),
        proof: Proof::Interface,
        exits: Some(Exits {
            caller: Caller::Goroutine(goroutine(&leaving).ok_or(unknown)?),
            // Neither a comparison nor what follows it has moved the stack pointer.
            entry_depth: 0,
            entry_when: (site.instruction == Instruction::ConditionalJump).then_some(above(code.machine)),
            sites: exits_of(around, &leaving)?,
            ways: leaves::WAYS,
        }),
        returns_to: None,
    })
}

/// Says where a function finds the goroutine that runs it.
fn goroutine(of: &Leaving<'_>) -> Option<GoroutinePlace> {
    if of.convention.is_on_stack() && of.code.machine == Machine::X86_64 {
        entry::goroutine_below(of.code.bytes).map(GoroutinePlace::BelowThread)
    } else {
        Some(GoroutinePlace::Register)
    }
}

/// Finds where the calls of a function end.
fn exits_of(around: &Around<'_, '_>, leaving: &Leaving<'_>) -> Result<Vec<ExitSite>, Cause> {
    let spots = leaves::ends_of(leaving, around)?;
    let unknown = Cause::NotUnderstood(leaving.code.address);
    let mut sites = sites(around.image, &spots).ok_or(unknown)?;
    if leaving.convention.is_on_stack() {
        // The stack pointer is where it was at the entry: the results lie behind the arguments.
        let result = Operand::at(leaving.convention.argument(RESULT), WORD);
        for exit in &mut sites {
            exit.result = ExitResult::In(result);
        }
    }
    Ok(sites)
}

/// Returns the operands of `Read` and `Write`: a connection, and a slice's address, length and capacity.
fn operands(convention: Convention, connection: Operand) -> Operands {
    let argument = |index| Operand::at(convention.argument(index), WORD);
    Operands {
        buffer: Some(argument(1)),
        length: Some(argument(2)),
        count: Some(Operand::at(Place::Result, WORD)),
        result: Some(Outcome {
            width: WORD,
            success: Success::Positive,
        }),
        ..Operands::of(connection)
    }
}

impl Surroundings for Around<'_, '_> {
    fn linked(&self, _: Vaddr) -> Option<Vaddr> {
        None
    }

    fn never_returns(&self, to: Destination) -> bool {
        match to {
            Destination::Code(at) => self.table.name_at(at).is_some_and(ends),
            Destination::Slot(_) | Destination::Unknown => false,
        }
    }

    fn begins(&self, _: Vaddr) -> bool {
        false
    }

    // Neither function has a jump table in any version; one that had would be refused.

    fn offset_at(&self, _: Vaddr) -> Option<i32> {
        None
    }

    fn address_at(&self, _: Vaddr) -> Option<Vaddr> {
        None
    }
}

/// Looks for the exits of any bytes that are called, as code of both machines; for the fuzzer alone.
pub(super) fn any_code(bytes: &[u8]) -> usize {
    let machines = [Machine::X86_64, Machine::Aarch64].into_iter();
    machines.map(|machine| any_code_of(machine, bytes)).sum()
}

fn any_code_of(machine: Machine, bytes: &[u8]) -> usize {
    let address = Vaddr(0x1000);
    let code = Code {
        machine,
        bytes,
        address,
    };
    let Some((distance, _)) = entry::place(machine, bytes) else {
        return 0;
    };
    let count = |convention: Convention, recovery: Option<Vaddr>| {
        let leaving = Leaving {
            code,
            convention,
            recovery,
            noted_at: Vaddr(address.0.saturating_add(distance)),
            handing: Some(&[]),
        };
        let Ok(spots) = leaves::ends_of(&leaving, &Nothing) else {
            return 0;
        };
        let is_inside = |spot: &Spot| code.from(spot.at).is_some() && spot.at != leaving.noted_at;
        assert!(spots.iter().all(is_inside), "{spots:?}");
        spots.len()
    };
    let middle = u64::try_from(bytes.len()).unwrap_or(0) / 2;
    let conventions = Convention::all_of_go(code.machine).into_iter();
    let counts = conventions.flat_map(|convention| [None, address.checked_add(middle)].map(|at| count(convention, at)));
    counts.sum()
}

/// How many bytes a word has.
const WORD: u8 = 8;
/// Where the result comes behind the arguments on the stack, in words.
const RESULT: u8 = 4;

/// Returns the condition of code that has enough stack, where a jump if it has not is probed: `a` of x86-64, `hi` of aarch64.
const fn above(machine: Machine) -> u8 {
    match machine {
        Machine::X86_64 => 7,
        Machine::Aarch64 => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_of_aarch64_makes_it_panic() {
        // ldr x16, [x28, #16]; cmp sp, x16; b.ls to the end; str x30, [sp, #-16]!; cbz x0 to the load; bl itself;
        // ldr x30, [sp], #16; ret; b to the entry; udf
        let whole = [
            0xf940_0b90_u32,
            0xeb30_63ff,
            0x5400_00c9,
            0xf81f_0ffe,
            0xb400_0040,
            0x97ff_fffb,
            0xf841_07fe,
            0xd65f_03c0,
            0x17ff_fff8,
            0,
        ];
        let whole = whole.map(u32::to_le_bytes).concat();
        assert_eq!(any_code(&whole), 4);
        for cut in 0..whole.len() {
            any_code(&whole[..cut]);
            any_code(&whole[cut..]);
            let mut damaged = whole.clone();
            damaged[cut] ^= 0x40;
            any_code(&damaged);
        }
    }

    #[test]
    fn no_code_makes_it_panic() {
        // cmp 0x10(%r14),%rsp; jbe to the end; push %rbp; test %rax,%rax; je to the return; call itself; pop %rbp; ret; jmp to
        // the entry
        let whole = [
            0x49, 0x3b, 0x66, 0x10, 0x76, 0x0d, 0x55, 0x48, 0x85, 0xc0, 0x74, 5, 0xe8, 0xef, 0xff, 0xff, 0xff, 0x5d,
            0xc3, 0xeb, 0xeb,
        ];
        // With and without a place where it goes on after a panic, by either convention.
        assert_eq!(any_code(&whole), 4);
        for cut in 0..whole.len() {
            any_code(&whole[..cut]);
            any_code(&whole[cut..]);
            let mut damaged = whole;
            damaged[cut] ^= 0x40;
            any_code(&damaged);
        }
    }
}
