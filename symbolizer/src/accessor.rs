//! The field that an accessor function of the library returns.
//!
//! In: the code of a function such as `SSL_get_rbio`. Out: the byte offset of the field it loads from its argument
//! and returns. It is the library's own word on its layout, independent of any table. Refused: code in which that
//! load does not stand directly before a return, or stands there with more than one offset.

use memchr::memmem;

use crate::image::Machine;
use crate::limits;

/// Reads the offset of the field that the function returns.
pub(crate) fn returned_field(machine: Machine, code: &[u8]) -> Option<u16> {
    let code = code.get(..limits::ACCESSOR).unwrap_or(code);
    match machine {
        Machine::X86_64 => {
            let copied = memmem::find(code, &[0x48, 0x89, 0xf8]).is_some();
            only(starts(code, 1).filter_map(|code| load_and_return_x86_64(code, copied)))
        }
        Machine::Aarch64 => only(starts(code, 4).filter_map(load_and_return_aarch64)),
    }
}

fn starts(code: &[u8], step: usize) -> impl Iterator<Item = &[u8]> {
    (0..code.len()).step_by(step).filter_map(|at| code.get(at..))
}

fn only(mut fields: impl Iterator<Item = u16>) -> Option<u16> {
    let field = fields.next()?;
    fields.all(|other| other == field).then_some(field)
}

/// Matches `mov disp8(%rdi),%rax`, what tidies up, and `ret`; or the same from `%rax` after `mov %rdi,%rax`.
fn load_and_return_x86_64(code: &[u8], copied: bool) -> Option<u16> {
    let (field, mut rest) = match code {
        [0x48, 0x8b, 0x47, field @ 0..=0x7f, rest @ ..] => (*field, rest),
        [0x48, 0x8b, 0x40, field @ 0..=0x7f, rest @ ..] if copied => (*field, rest),
        _ => return None,
    };
    // Saved registers come back by pop or add, and -fzero-call-used-regs clears others; none of it touches rax.
    while let [0x5b | 0x5d, after @ ..]
    | [0x31, 0xc9..=0xff, after @ ..]
    | [0x45, 0x31, 0xc0..=0xff, after @ ..]
    | [0x48, 0x83, 0xc4, _, after @ ..] = rest
    {
        rest = after;
    }
    (rest.first() == Some(&0xc3)).then_some(field.into())
}

/// Matches `ldr x0, [x0, #imm]` and `ret`.
fn load_and_return_aarch64(code: &[u8]) -> Option<u16> {
    let word = |at| Some(u32::from_le_bytes(*code.get(at..)?.first_chunk()?));
    let (load, next): (u32, u32) = (word(0)?, word(4)?);
    let is_load = load & 0xffc0_03ff == 0xf940_0000;
    let scaled = u16::try_from((load >> 10) & 0xfff).ok()?;
    (is_load && next == 0xd65f_03c0)
        .then(|| scaled.checked_mul(8))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn x86_64(code: &[u8]) -> Option<u16> {
        returned_field(Machine::X86_64, code)
    }

    #[test]
    fn a_plain_accessor_names_its_field() {
        assert_eq!(x86_64(&[0x48, 0x8b, 0x47, 0x10, 0xc3]), Some(0x10));
        assert_eq!(
            x86_64(&[0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x8b, 0x47, 0x50, 0xc3]),
            Some(0x50)
        );
    }

    #[test]
    fn registers_cleared_before_the_return_do_not_hide_the_field() {
        assert_eq!(
            x86_64(&[0x48, 0x8b, 0x47, 0x10, 0x31, 0xff, 0x45, 0x31, 0xc0, 0xc3]),
            Some(0x10)
        );
    }

    #[test]
    fn clearing_the_result_itself_returns_no_field() {
        assert_eq!(x86_64(&[0x48, 0x8b, 0x47, 0x10, 0x31, 0xc0, 0xc3]), None);
    }

    #[test]
    fn a_field_that_is_only_tested_is_not_the_one_returned() {
        let wbio = [
            0x48, 0x8b, 0x47, 0x20, 0x48, 0x85, 0xc0, 0x75, 7, 0x48, 0x8b, 0x47, 0x18, 0x31, 0xff, 0xc3,
        ];
        assert_eq!(x86_64(&wbio), Some(0x18));
    }

    #[test]
    fn an_accessor_that_first_tells_quic_apart_names_its_field() {
        // test %rdi,%rdi; mov %rdi,%rax; mov 0x50(%rax),%rax; pop %rbx; ret
        let code = [0x48, 0x85, 0xff, 0x48, 0x89, 0xf8, 0x48, 0x8b, 0x40, 0x50, 0x5b, 0xc3];
        assert_eq!(x86_64(&code), Some(0x50));
        assert_eq!(x86_64(&code[6..]), None, "rax may then hold anything");
    }

    #[test]
    fn two_fields_returned_name_neither() {
        assert_eq!(
            x86_64(&[0x48, 0x8b, 0x47, 0x10, 0xc3, 0x48, 0x8b, 0x47, 0x18, 0xc3]),
            None
        );
    }

    #[test]
    fn a_field_before_the_argument_is_refused() {
        assert_eq!(x86_64(&[0x48, 0x8b, 0x47, 0x80, 0xc3]), None);
    }

    #[test]
    fn code_past_the_limit_is_not_searched() {
        let mut code = vec![0x90; limits::ACCESSOR - 5];
        code.extend_from_slice(&[0x48, 0x8b, 0x47, 0x10, 0xc3]);
        assert_eq!(x86_64(&code), Some(0x10));
        code.insert(0, 0x90);
        assert_eq!(x86_64(&code), None);
    }

    #[test]
    fn an_accessor_of_aarch64_names_its_field() {
        let code: Vec<u8> = [0xd503_245f, 0xf940_0800_u32, 0xd65f_03c0]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        assert_eq!(returned_field(Machine::Aarch64, &code), Some(0x10));
    }
}
