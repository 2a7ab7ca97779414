//! Where the entry of a function of Go is probed.
//!
//! A function first compares the stack pointer with the end of its stack, and has the stack grown if there is no room, after
//! which it begins anew. A probe behind the comparison is hit once for each call. Registers hold the arguments there, and the
//! stack pointer is where it was, above which the arguments of Go up to 1.16 lie.
//!
//! On aarch64 the kernel emulates nothing behind the comparison, so the jump itself is probed.

use super::pclntab::Function;
use crate::code::instruction::Instruction;
use crate::code::site::{Site, Tier};
use crate::elf::image::Image;
use crate::elf::machine::Machine;

/// Chooses the site of a function; `None` if it begins otherwise.
pub(super) fn site(image: &Image<'_>, function: Function) -> Option<Site> {
    let size = usize::try_from(function.size).ok()?;
    let (distance, instruction) = place(image.machine(), image.bytes_from(function.address)?.get(..size)?)?;
    let address = function.address.checked_add(distance)?;
    Some(Site {
        tier: Tier::Emulated,
        address,
        offset: image.segments().offset_of(address)?,
        instruction,
    })
}

/// Returns how far behind its beginning a function is probed, and at what instruction.
pub(super) fn place(machine: Machine, code: &[u8]) -> Option<(u64, Instruction)> {
    match machine {
        Machine::X86_64 => place_x86_64(code),
        Machine::Aarch64 => place_aarch64(code),
    }
}

/// Finds `b.ls` behind a comparison of the stack pointer, or of an address below it, with a word of the goroutine.
fn place_aarch64(code: &[u8]) -> Option<(u64, Instruction)> {
    let word = |index: usize| code.as_chunks::<4>().0.get(index).map(|word| u32::from_le_bytes(*word));
    let [first, second, third] = [word(0)?, word(1)?, word(2)?];
    // ldr xA, [x28, #16]
    let guard = first & 31;
    if first != LOAD_GUARD | guard {
        return None;
    }
    let compared = if second == COMPARE_STACK | guard << 16 {
        2
    } else {
        // mov xB, sp; or sub xB, sp, #N, of which N may be shifted; cmp xB, xA
        let below = second & 31;
        let is_below = second == MOVE_STACK | below || second & !BELOW_STACK_OPERANDS == BELOW_STACK;
        let is_apart = below != guard && below != ZERO;
        if !is_below || !is_apart || third != COMPARE | guard << 16 | below << 5 {
            return None;
        }
        3
    };
    let jump = word(compared)?;
    let distance = u64::try_from(compared).ok()?.checked_mul(4)?;
    (jump & !JUMP_DISTANCE == JUMP_IF_LOWER_OR_SAME).then_some((distance, Instruction::ConditionalJump))
}

fn place_x86_64(code: &[u8]) -> Option<(u64, Instruction)> {
    if is_push(code) {
        return Some((0, Instruction::Push));
    }
    let loaded = loaded(code);
    let compared = match code.get(loaded..)? {
        // cmp 0x10(%r14),%rsp
        [0x49, 0x3b, 0x66, 0x10, ..] if loaded == 0 => 4,
        // lea -N(%rsp),%r12; cmp 0x10(%r14),%r12
        [0x4c, 0x8d, 0x64, 0x24, _, 0x4d, 0x3b, 0x66, 0x10, ..] if loaded == 0 => 9,
        [0x4c, 0x8d, 0xa4, 0x24, _, _, _, _, 0x4d, 0x3b, 0x66, 0x10, ..] if loaded == 0 => 12,
        // cmp 0x10(%rcx),%rsp
        [0x48, 0x3b, 0x61, 0x10, ..] if loaded != 0 => 4,
        // lea -N(%rsp),%rax; cmp 0x10(%rcx),%rax
        [0x48, 0x8d, 0x44, 0x24, _, 0x48, 0x3b, 0x41, 0x10, ..] if loaded != 0 => 9,
        [0x48, 0x8d, 0x84, 0x24, _, _, _, _, 0x48, 0x3b, 0x41, 0x10, ..] if loaded != 0 => 12,
        _ => return None,
    };
    let compared = u64::try_from(loaded).ok()?.checked_add(compared)?;
    let jump: u64 = match code.get(usize::try_from(compared).ok()?..)? {
        [0x76, _, ..] => 2,
        [0x0f, 0x86, _, _, _, _, ..] => 6,
        _ => return None,
    };
    let behind = jump.checked_add(compared)?;
    if is_push(code.get(usize::try_from(behind).ok()?..)?) {
        return Some((behind, Instruction::Push));
    }
    // Up to Go 1.20 no instruction there is emulated; the jump is, and is passed again when the stack has grown.
    Some((compared, Instruction::ConditionalJump))
}

/// Returns how many bytes below the base of the thread's `fs` a function finds its goroutine, if its first instruction says so.
pub(super) fn goroutine_below(code: &[u8]) -> Option<u8> {
    let offset = match code {
        [0x64, 0x48, 0x8b, 0x0c, 0x25, offset @ ..] | [0x48, 0xc7, 0xc1, offset @ ..] if loaded(code) != 0 => offset,
        _ => return None,
    };
    let below = i32::from_le_bytes(*offset.first_chunk()?).checked_neg()?;
    u8::try_from(below).ok().filter(|below| *below != 0)
}

/// Returns how many bytes have the instructions that load the goroutine to `rcx`, as code does that has it in no register.
const fn loaded(code: &[u8]) -> usize {
    match code {
        // mov %fs:N,%rcx
        [0x64, 0x48, 0x8b, 0x0c, 0x25, _, _, _, _, ..] => 9,
        // mov $N,%rcx, or mov N(%rip),%rcx; mov %fs:(%rcx),%rcx
        [0x48, 0xc7, 0xc1, _, _, _, _, 0x64, 0x48, 0x8b, 0x09, ..]
        | [0x48, 0x8b, 0x0d, _, _, _, _, 0x64, 0x48, 0x8b, 0x09, ..] => 11,
        _ => 0,
    }
}

/// Returns whether code begins with `push %rbp`.
fn is_push(code: &[u8]) -> bool {
    code.first() == Some(&0x55)
}

/// `ldr x0, [x28, #16]` (Arm ARM, C6.2), where other instructions have another register in the lowest bits.
const LOAD_GUARD: u32 = 0xf940_0b80;
/// `cmp sp, x0`.
const COMPARE_STACK: u32 = 0xeb20_63ff;
/// `cmp x0, x0`.
const COMPARE: u32 = 0xeb00_001f;
/// `mov x0, sp`.
const MOVE_STACK: u32 = 0x9100_03e0;
/// `sub x0, sp, #0`, and the bits of its number and of its register.
const BELOW_STACK: u32 = 0xd100_03e0;
const BELOW_STACK_OPERANDS: u32 = 0x007f_fc1f;
/// `b.ls` to itself, and the bits of its distance.
const JUMP_IF_LOWER_OR_SAME: u32 = 0x5400_0009;
const JUMP_DISTANCE: u32 = 0x00ff_ffe0;
/// The register that holds zero, or is the stack pointer.
const ZERO: u32 = 31;

#[cfg(test)]
mod tests {
    use super::*;

    fn place(code: &[u8]) -> Option<(u64, Instruction)> {
        super::place(Machine::X86_64, code)
    }

    #[test]
    fn the_site_of_aarch64_is_the_jump_behind_the_comparison() {
        let place = |words: &[u32]| {
            let code: Vec<_> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            super::place(Machine::Aarch64, &code)
        };
        // ldr x16, [x28, #16]; cmp sp, x16; b.ls
        let short = [0xf940_0b90, 0xeb30_63ff, 0x5400_1849];
        // ldr x16, [x28, #16]; sub x17, sp, #0x50; cmp x17, x16; b.ls
        let below = [0xf940_0b90, 0xd101_43f1, 0xeb10_023f, 0x5400_3429];
        // ldr x1, [x28, #16]; mov x2, sp; cmp x2, x1; b.ls
        let moved = [0xf940_0b81, 0x9100_03e2, 0xeb01_005f, 0x5400_0ce9];
        let found = |distance| Some((distance, Instruction::ConditionalJump));
        assert_eq!(place(&short), found(8));
        assert_eq!(place(&below), found(12));
        assert_eq!(place(&moved), found(12));
        for code in [&short[..], &below, &moved] {
            for cut in 0..code.len() {
                assert_eq!(place(&code[..cut]), None, "{cut}");
            }
        }
        for (at, word, what) in [
            (0, 0xf940_0f90, "ldr x16, [x28, #24]"),
            (0, 0xf940_0b70, "ldr x16, [x27, #16]"),
            (1, 0xd101_4011, "sub x17, x0, #0x50"),
            (1, 0xd101_43f0, "sub x16, sp, #0x50"),
            (1, 0xd101_43ff, "sub sp, sp, #0x50"),
            (2, 0xeb11_021f, "cmp x16, x17"),
            (3, 0x5400_3428, "b.hi"),
        ] {
            let mut other = below;
            other[at] = word;
            assert_eq!(place(&other), None, "{what}");
        }
    }

    #[test]
    fn the_site_is_behind_the_comparison_or_at_its_jump() {
        let short = [0x49, 0x3b, 0x66, 0x10, 0x76, 0x20];
        let long = [
            0x4c, 0x8d, 0x64, 0x24, 0xb8, 0x4d, 0x3b, 0x66, 0x10, 0x0f, 0x86, 0, 1, 0, 0,
        ];
        let longer = [
            0x4c, 0x8d, 0xa4, 0x24, 0, 0xf0, 0xff, 0xff, 0x4d, 0x3b, 0x66, 0x10, 0x76, 5,
        ];
        let with = |code: &[u8], next: &[u8]| place(&[code, next].concat());
        let (push, sub) = ([0x55], [0x48, 0x83, 0xec, 0x18]);
        assert_eq!(with(&[], &push), Some((0, Instruction::Push)));
        for (code, jump) in [(&short[..], 4), (&long, 9), (&longer, 12)] {
            let behind = u64::try_from(code.len()).unwrap();
            assert_eq!(with(code, &push), Some((behind, Instruction::Push)));
            assert_eq!(with(code, &sub), Some((jump, Instruction::ConditionalJump)));
            for cut in 0..code.len() {
                assert_eq!(place(&code[..cut]), None, "{cut}");
            }
        }
        assert_eq!(place(&sub), None);
    }

    #[test]
    fn code_that_loads_the_goroutine_is_probed_at_its_jump() {
        let loads: [&[u8]; 3] = [
            &[0x64, 0x48, 0x8b, 0x0c, 0x25, 0xf8, 0xff, 0xff, 0xff],
            &[0x48, 0xc7, 0xc1, 0xf8, 0xff, 0xff, 0xff, 0x64, 0x48, 0x8b, 0x09],
            &[0x48, 0x8b, 0x0d, 0, 1, 0, 0, 0x64, 0x48, 0x8b, 0x09],
        ];
        let compares: [&[u8]; 3] = [
            &[0x48, 0x3b, 0x61, 0x10],
            &[0x48, 0x8d, 0x44, 0x24, 0xb0, 0x48, 0x3b, 0x41, 0x10],
            &[0x48, 0x8d, 0x84, 0x24, 0, 0xf0, 0xff, 0xff, 0x48, 0x3b, 0x41, 0x10],
        ];
        let (jump, sub) = ([0x0f, 0x86, 0, 1, 0, 0], [0x48, 0x83, 0xec, 0x58]);
        assert_eq!(loads.map(goroutine_below), [Some(8), Some(8), None]);
        for (load, compare) in loads.iter().flat_map(|load| compares.map(|compare| (load, compare))) {
            let code = [load, compare, &jump, &sub].concat();
            let at = u64::try_from(load.len() + compare.len()).unwrap();
            assert_eq!(place(&code), Some((at, Instruction::ConditionalJump)));
            for cut in 0..load.len() + compare.len() + jump.len() {
                assert_eq!(place(&code[..cut]), None, "{cut}");
            }
        }
    }
}
