//! Converts the ends of calls to the ABI of the BPF programs.

use symbolizer::{ExitResult, ExitSite, Operand, Place};
use tracer_ebpf::CallEnd;

/// Returns how a call ends at a site; `None` if the programs cannot express it.
pub(super) fn call_end(exit: &ExitSite) -> Option<CallEnd> {
    let end = match exit.result {
        ExitResult::In(Operand {
            place: Place::Register(number),
            loads: [None, None],
            width,
        }) => CallEnd::of_register(number, width == 8),
        ExitResult::In(Operand {
            place: Place::Stack(above),
            loads: [None, None],
            width: 8,
        }) => CallEnd::of_stack(words(above)?),
        ExitResult::In(_) => return None,
        ExitResult::Always(number) => CallEnd::of_constant(constant(number)?),
    };
    Some(exit.when.map_or(end, |condition| end.when(condition)))
}

/// Returns how many words of the stack a number of bytes is, if the programs have room for it.
fn words(bytes: u16) -> Option<u8> {
    let words = bytes.is_multiple_of(8).then_some(bytes / 8)?;
    u8::try_from(words).ok().filter(|words| *words < 32)
}

/// Returns what a call always returns at a site, in as many bits as the programs have for it. All errors below these are alike
/// to them.
fn constant(number: i32) -> Option<i8> {
    if number < i8::MIN.into() {
        return Some(i8::MIN);
    }
    i8::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use symbolizer::{FileOffset, Instruction, Site, Tier, Vaddr};

    use super::*;

    #[test]
    fn an_error_of_any_size_is_a_negative_result_and_a_large_count_has_no_constant() {
        // `MBEDTLS_ERR_SSL_WANT_READ`, `MBEDTLS_ERR_SSL_BAD_INPUT_DATA`.
        for error in [-0x6900, -0x7100, i32::MIN, -129] {
            assert_eq!(constant(error), Some(i8::MIN));
        }
        for number in [-128, -28, -1, 0, 1, 127] {
            assert_eq!(constant(number).map(i32::from), Some(number));
        }
        assert_eq!(constant(128), None);
    }

    #[test]
    fn a_result_on_the_stack_is_a_whole_word_not_far_above_the_stack_pointer() {
        let end_at = |above| {
            let site = Site {
                tier: Tier::Stepped,
                address: Vaddr(0x1000),
                offset: FileOffset(0),
                instruction: Instruction::Return,
            };
            call_end(&ExitSite {
                site,
                depth: 0,
                result: ExitResult::In(Operand::at(Place::Stack(above), 8)),
                when: None,
                is_rare: false,
            })
        };
        assert_eq!(end_at(40), Some(CallEnd::of_stack(5)));
        assert_eq!(end_at(31 * 8), Some(CallEnd::of_stack(31)));
        assert_eq!([end_at(32 * 8), end_at(44)], [None; 2]);
    }
}
