//! The addresses that code loads, of those that are looked for.
//!
//! No path is followed: instructions are known by their form alone, so that what looks like one in the middle of another, or
//! in a table between functions, counts too. For places that nothing else leads to, such as the beginnings of texts, that is
//! enough. Code of an image that is not moved also has addresses as numbers of 32 bits.

use std::collections::{BTreeMap, BTreeSet};

use super::bytes::Code;
use crate::elf::address::Vaddr;
use crate::elf::machine::Machine;

/// What an address is loaded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Use {
    /// Anything.
    Any,
    /// To be returned: it is in the register of the result, and the function ends. On aarch64 the first argument has the same
    /// register, and what follows is not looked at.
    Returned,
}

/// Which addresses an image's code may have as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// None: the image is moved when it is loaded.
    Moved,
    /// All of them.
    Fixed,
}

/// Finds the addresses among some that code loads.
pub(crate) fn loads(code: Code<'_>, base: Base, wanted: &BTreeSet<Vaddr>) -> BTreeMap<Vaddr, Use> {
    let mut found = BTreeMap::new();
    let mut note = |target: Vaddr, how: Use| {
        if wanted.contains(&target) {
            let known = found.entry(target).or_insert(how);
            *known = how.max(*known);
        }
    };
    match code.machine {
        Machine::X86_64 => {
            for at in memchr::memchr_iter(LEA, code.bytes) {
                if let Some(target) = target_of_lea(code.bytes, code.address, at) {
                    note(target, use_of_lea(code.bytes, at));
                }
            }
            if base == Base::Fixed {
                numbers(code.bytes, wanted, note);
            }
        }
        Machine::Aarch64 => pages(code, note),
    }
    found
}

/// Returns the address that an instruction of x86-64 loads: `lea` of a place in the image.
pub(crate) fn target_of_lea(code: &[u8], segment: Vaddr, at: usize) -> Option<Vaddr> {
    let prefix = code.get(at.checked_sub(1)?)?;
    let [_, form, distance @ ..] = code.get(at..)?.first_chunk::<6>()?;
    if !matches!(prefix, 0x48 | 0x4c) || form & 0xc7 != 5 {
        return None;
    }
    let next = segment.checked_add(u64::try_from(at.checked_add(6)?).ok()?)?;
    Some(Vaddr(next.0.wrapping_add_signed(i32::from_le_bytes(*distance).into())))
}

fn use_of_lea(code: &[u8], at: usize) -> Use {
    let instruction = at.checked_sub(1).and_then(|from| code.get(from..));
    match instruction {
        Some([0x48, LEA, 0x05, _, _, _, _, rest @ ..]) => before_return(rest),
        Some(_) | None => Use::Any,
    }
}

/// Says what an address is for that is in the register of the result before some code.
fn before_return(rest: &[u8]) -> Use {
    match rest {
        // A return; or a jump to one that several ways share.
        [RETURN | JUMP | SHORT_JUMP, ..] => Use::Returned,
        _ => Use::Any,
    }
}

/// Finds the numbers of 32 bits that are addresses.
fn numbers(code: &[u8], wanted: &BTreeSet<Vaddr>, mut note: impl FnMut(Vaddr, Use)) {
    let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else {
        return;
    };
    for (at, bytes) in code.windows(size_of::<u32>()).enumerate() {
        let [a, b, c, d] = *bytes else { continue };
        let number = Vaddr(u32::from_le_bytes([a, b, c, d]).into());
        if (*first..=*last).contains(&number) {
            let opcode = at.checked_sub(1).and_then(|before| code.get(before));
            let rest = at.checked_add(size_of::<u32>()).and_then(|from| code.get(from..));
            let how = match (opcode, rest) {
                (Some(&LOADS_RESULT), Some(rest)) => before_return(rest),
                (Some(_) | None, _) => Use::Any,
            };
            note(number, how);
        }
    }
}

/// Finds the addresses that aarch64 loads by its page (`adrp`) and what lies between (`add`), or as a whole (`adr`).
fn pages(code: Code<'_>, mut note: impl FnMut(Vaddr, Use)) {
    let mut registers = BTreeMap::new();
    let words = code.bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
    for (at, word) in (code.address.0..).step_by(size_of::<u32>()).zip(words) {
        let (to, from) = (word & 31, (word >> 5) & 31);
        if word & 0x9f00_0000 == ADRP {
            registers.insert(
                to,
                (at & !0xfff).wrapping_add_signed(distance(word).wrapping_mul(0x1000)),
            );
            continue;
        }
        let loaded = if word & 0x9f00_0000 == ADR {
            Some(at.wrapping_add_signed(distance(word)))
        } else if word & 0xffc0_0000 == ADD {
            let page = registers.get(&from);
            page.map(|page| page.wrapping_add(u64::from((word >> 10) & 0xfff)))
        } else {
            continue;
        };
        registers.remove(&to);
        if let Some(address) = loaded {
            note(Vaddr(address), if to == 0 { Use::Returned } else { Use::Any });
        }
    }
}

/// Reads the signed number of 21 bits in `adr` and `adrp`.
fn distance(word: u32) -> i64 {
    let value = i64::from(((word >> 5) & 0x7_ffff) << 2 | (word >> 29) & 3);
    if value >= 1 << 20 { value - (1 << 21) } else { value }
}

const LEA: u8 = 0x8d;
const RETURN: u8 = 0xc3;
const JUMP: u8 = 0xe9;
const SHORT_JUMP: u8 = 0xeb;
/// What an instruction begins with that loads a number into `eax`.
const LOADS_RESULT: u8 = 0xb8;
/// The bits of instructions of aarch64 that say which ones they are.
const ADRP: u32 = 0x9000_0000;
const ADR: u32 = 0x1000_0000;
const ADD: u32 = 0x9100_0000;

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(machine: Machine, base: Base, bytes: &[u8], wanted: &[u64]) -> Vec<(u64, Use)> {
        let code = Code {
            machine,
            bytes,
            address: Vaddr(0x1000),
        };
        let wanted = wanted.iter().copied().map(Vaddr).collect();
        let found = loads(code, base, &wanted).into_iter();
        found.map(|(target, into)| (target.0, into)).collect()
    }

    #[test]
    fn an_address_is_loaded_by_one_form_of_instruction() {
        // lea rcx,[rip+0x10]; lea r8,[rip-7]; lea eax,[rip+0x10]; lea rcx,[rax+0x10], cut short
        let code = [
            0x48, 0x8d, 0x0d, 0x10, 0, 0, 0, 0x4c, 0x8d, 0x05, 0xf9, 0xff, 0xff, 0xff, 0x90, 0x8d, 5, 0x10, 0, 0, 0,
            0x48, 0x8d, 0x48, 0x10,
        ];
        let targets: Vec<_> = (0..code.len())
            .filter_map(|at| target_of_lea(&code, Vaddr(0x1000), at))
            .collect();
        assert_eq!(targets, [Vaddr(0x1017), Vaddr(0x1007)]);
    }

    #[test]
    fn an_address_is_returned_if_it_is_loaded_last() {
        // lea rax,[rip+0x10]; ret; lea rax,[rip+0x10]; call; lea rdi,[rip+0x10]; ret
        let code = [
            0x48, 0x8d, 5, 0x10, 0, 0, 0, 0xc3, 0x48, 0x8d, 5, 0x10, 0, 0, 0, 0xe8, 0x48, 0x8d, 0x3d, 0x10, 0, 0, 0,
            0xc3,
        ];
        let found = loaded(Machine::X86_64, Base::Moved, &code, &[0x1017, 0x101f, 0x1027, 0x1028]);
        assert_eq!(found, [(0x1017, Use::Returned), (0x101f, Use::Any), (0x1027, Use::Any)]);
    }

    #[test]
    fn an_address_is_a_number_where_an_image_is_not_moved() {
        // mov eax,0x402010; ret; mov edi,0x402020; mov qword fs:[0],0x402030
        let code = [
            0xb8, 0x10, 0x20, 0x40, 0, 0xc3, 0xbf, 0x20, 0x20, 0x40, 0, 0x64, 0x48, 0xc7, 4, 0x25, 0, 0, 0, 0, 0x30,
            0x20, 0x40, 0,
        ];
        let wanted = [0x40_2010, 0x40_2020, 0x40_2030, 0x40_2040];
        let found = loaded(Machine::X86_64, Base::Fixed, &code, &wanted);
        assert_eq!(
            found,
            [(0x40_2010, Use::Returned), (0x40_2020, Use::Any), (0x40_2030, Use::Any)]
        );
        assert_eq!(loaded(Machine::X86_64, Base::Moved, &code, &wanted), []);
    }

    #[test]
    fn an_address_of_aarch64_is_a_page_and_what_lies_between() {
        // adrp x0,0x3000; add x0,x0,#0x18; adrp x1,0; add x2,x1,#8; mov w1,#0; add x3,x4,#4; adr x5,0x1020
        let words: [u32; 6] = [
            0xd000_0000,
            0x9100_6000,
            0xf0ff_ffe1,
            0x9100_2022,
            0x9100_1083,
            0x1000_0065,
        ];
        let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let found = loaded(Machine::Aarch64, Base::Moved, &code, &[0x3018, 8, 4, 0x1020]);
        assert_eq!(found, [(8, Use::Any), (0x1020, Use::Any), (0x3018, Use::Returned)]);
    }
}
