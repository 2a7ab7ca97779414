//! The crypto library's own method of socket BIOs, distinguished from those that only call themselves one.
//!
//! `BIO_s_socket` returns the method's address. In a process the method's name moves with the method, so that no other
//! method has its name at that distance.

use super::functions::SOCKET_METHOD;
use crate::elf::address::Vaddr;
use crate::elf::image::Image;
use crate::elf::machine::Machine;
use crate::elf::survey::Survey;

/// Where in a method its name stands, behind the type (`struct bio_method_st` of OpenSSL 1.0.2 to 4.0, and of its
/// forks).
const NAME: u64 = 8;

/// Finds the distance from the method of socket BIOs to its name.
pub(crate) fn name_distance(image: &Image<'_>, survey: &Survey) -> Option<i32> {
    let function = survey.function(SOCKET_METHOD)?;
    let size = usize::try_from(function.size).ok()?;
    let code = image.bytes_from(function.address)?.get(..size)?;
    let method = returned_address(image.machine(), code, function.address)?;
    let name = name_of(image, Vaddr(method))?;
    let distance = i32::try_from(i128::from(name.0) - i128::from(method)).ok()?;
    (distance != 0).then_some(distance)
}

/// Returns whether a method has the name of that of socket BIOs.
pub(super) fn is_named_socket(image: &Image<'_>, method: Vaddr) -> bool {
    name_of(image, method).is_some()
}

/// Returns where the name of a method stands, if that is the one of socket BIOs.
fn name_of(image: &Image<'_>, method: Vaddr) -> Option<Vaddr> {
    let name = image.pointer_at(method.checked_add(NAME)?)?;
    image.bytes_from(name)?.starts_with(b"socket\0").then_some(name)
}

/// Reads the address that a short function returns.
pub(super) fn returned_address(machine: Machine, code: &[u8], at: Vaddr) -> Option<u64> {
    match machine {
        Machine::X86_64 => returned_x86_64(code, at),
        Machine::Aarch64 => returned_aarch64(code, at),
    }
}

/// `lea rax,[rip+N]` or `mov eax,N`, then `ret`; behind a landing pad, and within a frame.
fn returned_x86_64(code: &[u8], at: Vaddr) -> Option<u64> {
    const LANDING: &[u8] = &[0xf3, 0x0f, 0x1e, 0xfa];
    const FRAME: &[u8] = &[0x55, 0x48, 0x89, 0xe5];
    let rest = code.strip_prefix(LANDING).unwrap_or(code);
    let (rest, framed) = rest.strip_prefix(FRAME).map_or((rest, false), |rest| (rest, true));
    let (address, rest) = match rest {
        [0x48, 0x8d, 0x05, a, b, c, d, rest @ ..] => {
            let next = at.0.checked_add(u64::try_from(code.len() - rest.len()).ok()?)?;
            let distance = i32::from_le_bytes([*a, *b, *c, *d]);
            (next.checked_add_signed(distance.into())?, rest)
        }
        [0xb8, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]).into(), rest),
        _ => return None,
    };
    let rest = if framed { rest.strip_prefix(&[0x5d])? } else { rest };
    rest.starts_with(&[0xc3]).then_some(address)
}

/// `adrp x0,page`, `add x0,x0,N`, `ret`; behind a landing pad.
fn returned_aarch64(code: &[u8], at: Vaddr) -> Option<u64> {
    const LANDING: u32 = 0xd503_245f;
    const RETURN: u32 = 0xd65f_03c0;
    let mut words = code.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
    let (mut first, mut at) = (words.next()?, at.0);
    if first == LANDING {
        (first, at) = (words.next()?, at.checked_add(4)?);
    }
    let (add, end) = (words.next()?, words.next()?);
    let is_adrp = first & 0x9f00_001f == 0x9000_0000;
    let is_add = add & 0xffc0_03ff == 0x9100_0000;
    if !is_adrp || !is_add || end != RETURN {
        return None;
    }
    let pages = i64::from((first >> 5 & 0x7_ffff) << 2 | (first >> 29 & 3));
    let pages = (pages << 43) >> 43;
    let page = (at & !0xfff).checked_add_signed(pages << 12)?;
    page.checked_add((add >> 10 & 0xfff).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_a_function_returns_is_read() {
        let at = Vaddr(0x11_2af0);
        // Debian's 3.0, the same behind a landing pad and in a frame, and one that does not move.
        let plain = [0x48, 0x8d, 0x05, 0x89, 0xcf, 0x34, 0x00, 0xc3];
        assert_eq!(returned_x86_64(&plain, at), Some(0x45_fa80));
        let landing = [&[0xf3, 0x0f, 0x1e, 0xfa][..], &plain].concat();
        assert_eq!(returned_x86_64(&landing, at), Some(0x45_fa84));
        let framed = [&[0x55, 0x48, 0x89, 0xe5][..], &plain[..7], &[0x5d, 0xc3]].concat();
        assert_eq!(returned_x86_64(&framed, at), Some(0x45_fa84));
        assert_eq!(returned_x86_64(&[0xb8, 0, 0x10, 0x40, 0, 0xc3], at), Some(0x40_1000));
        for other in [&plain[..7], &[0x48, 0x8b, 0x05, 0, 0, 0, 0, 0xc3], &[0xc3], &[]] {
            assert_eq!(returned_x86_64(other, at), None);
        }
    }

    #[test]
    fn the_address_that_a_function_of_aarch64_returns_is_read() {
        let code = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
        // adrp x0, one page on; add x0, x0, #0x18; ret
        let plain = [0xb000_0000, 0x9100_6000, 0xd65f_03c0];
        assert_eq!(returned_aarch64(&code(&plain), Vaddr(0x2_0ffc)), Some(0x2_1018));
        // One page back.
        assert_eq!(
            returned_aarch64(&code(&[0xf0ff_ffe0, plain[1], plain[2]]), Vaddr(0x2_0000)),
            Some(0x1_f018)
        );
        assert_eq!(returned_aarch64(&code(&plain[..2]), Vaddr(0x2_0000)), None);
    }
}
