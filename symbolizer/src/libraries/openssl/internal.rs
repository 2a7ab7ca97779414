//! The one function behind `SSL_read` and `SSL_read_ex`, and the one behind the functions that write.
//!
//! An [`Internal`] is returned only if the code of every public function proves that it hands its own arguments to the
//! same function, and keeps the count. A probe there serves them all, early data and `BIO_f_ssl` as well, and its place
//! is a cheap one. Where a compiler put the function into its callers, there is nothing to find.

use super::functions::{PEEK, READ, READ_EX, READ_INTERNAL, WRITE, WRITE_EX, WRITE_EX2, WRITE_INTERNAL};
use crate::code::calls::{ARGUMENTS, Calls, calls_of};
use crate::code::{Destination, Field, Value};
use crate::elf::address::Vaddr;
use crate::elf::image::Image;
use crate::elf::survey::Survey;
use crate::libraries::hooks::code_of;
use crate::libraries::linkage::leads_to_symbol;

/// Describes a function that public ones share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Internal {
    /// The public function that has the same arguments.
    pub(crate) like: &'static str,
    pub(crate) address: Vaddr,
    /// Its name in OpenSSL's source.
    pub(crate) name: &'static str,
    /// The public function whose code was read first.
    pub(crate) caller: &'static str,
    /// The public functions that do nothing but call it.
    pub(crate) serves: Vec<&'static str>,
}

/// Finds the function behind `SSL_read` and `SSL_read_ex`.
pub(crate) fn reading(image: &Image<'_>, survey: &Survey) -> Option<Internal> {
    let library = Callers { image, survey };
    let plain = library.callees(READ, is_plain)?;
    let counted = library.callees(READ_EX, is_counted)?;
    let address = library.only_common(&plain, &counted)?;
    if library.may_call(PEEK, address) {
        return None;
    }
    Some(Internal {
        like: READ_EX,
        address,
        name: READ_INTERNAL,
        caller: READ,
        serves: vec![READ, READ_EX],
    })
}

/// Finds the function behind `SSL_write`, `SSL_write_ex` and `SSL_write_ex2`.
pub(crate) fn writing(image: &Image<'_>, survey: &Survey) -> Option<Internal> {
    let library = Callers { image, survey };
    let (like, address, serves) = if survey.defines(WRITE_EX2) {
        let plain = library.callees(WRITE, is_plain_with_flags)?;
        let counted = library.callees(WRITE_EX2, is_counted_with_flags)?;
        let address = library.only_common(&plain, &counted)?;
        let mut serves = vec![WRITE, WRITE_EX2];
        serves.extend(library.write_ex_leads_to(address).then_some(WRITE_EX));
        (WRITE_EX2, address, serves)
    } else {
        let plain = library.callees(WRITE, is_plain)?;
        let counted = library.callees(WRITE_EX, is_counted)?;
        let address = library.only_common(&plain, &counted)?;
        (WRITE_EX, address, vec![WRITE, WRITE_EX])
    };
    Some(Internal {
        like,
        address,
        name: WRITE_INTERNAL,
        caller: WRITE,
        serves,
    })
}

struct Callers<'a, 'data> {
    image: &'a Image<'data>,
    survey: &'a Survey,
}

impl Callers<'_, '_> {
    /// Returns where a function leads with arguments of the form given; `None` if it may lead anywhere.
    fn callees(&self, caller: &str, form: fn(&[Value; ARGUMENTS]) -> bool) -> Option<Vec<Destination>> {
        let calls = self.calls(caller).filter(|calls| !calls.has_indirect)?;
        let formed = calls.direct.into_iter().filter(|call| form(&call.arguments));
        Some(formed.map(|call| call.target).collect())
    }

    fn calls(&self, caller: &str) -> Option<Calls> {
        let finding = self.survey.function(caller).filter(|finding| finding.size != 0)?;
        calls_of(code_of(self.image, &finding)?)
    }

    /// Returns the one address in both lists, if it is none of a public function.
    fn only_common(&self, plain: &[Destination], counted: &[Destination]) -> Option<Vaddr> {
        let mut common = plain.iter().filter(|target| counted.contains(target));
        let (Some(Destination::Code(address)), None) = (common.next(), common.next()) else {
            return None;
        };
        let is_internal = |name| [READ_INTERNAL, WRITE_INTERNAL].contains(&name);
        self.survey.names_at(*address).all(is_internal).then_some(*address)
    }

    /// Returns whether a function may call the address by itself: it does, or it is not understood; an absent one does
    /// not.
    fn may_call(&self, caller: &str, address: Vaddr) -> bool {
        if !self.survey.defines(caller) {
            return false;
        }
        let calls = self.calls(caller);
        calls.is_none_or(|calls| {
            calls
                .direct
                .iter()
                .any(|call| call.target == Destination::Code(address))
        })
    }

    /// Returns whether `SSL_write_ex` hands its arguments to the address, by itself or through `SSL_write_ex2`.
    fn write_ex_leads_to(&self, address: Vaddr) -> bool {
        let targets = self.callees(WRITE_EX, is_counted_without_flags);
        let flagged = self.survey.function(WRITE_EX2);
        targets.unwrap_or_default().into_iter().any(|target| {
            target == Destination::Code(address)
                || flagged.is_some_and(|flagged| target == Destination::Code(flagged.address))
                || leads_to_symbol(self.image, target, WRITE_EX2)
        })
    }
}

/// Recognises the arguments of every form: the connection, the buffer and its length.
pub(super) fn is_buffer(arguments: &[Value; ARGUMENTS], length: impl Fn(Value) -> bool) -> bool {
    let [connection, buffer, bytes, ..] = *arguments;
    is_argument(connection, 0) && is_argument(buffer, 1) && length(bytes)
}

/// Recognises an argument of the caller's own, whole.
fn is_argument(value: Value, index: usize) -> bool {
    value.field().and_then(Field::as_argument) == Some(index)
}

/// The caller has an `int` for a length.
fn is_length(value: Value) -> bool {
    let part = value.field().and_then(Field::as_part_of_argument);
    matches!(part, Some((2, 4 | 8)))
}

fn is_size(value: Value) -> bool {
    is_argument(value, 2)
}

/// The length, whichever of the two it is.
pub(super) fn is_size_or_length(value: Value) -> bool {
    is_length(value)
}

/// The count goes to a variable of the caller's own.
pub(super) const fn is_local(value: Value) -> bool {
    matches!(value, Value::Stack(at) if at < 0)
}

fn is_plain(arguments: &[Value; ARGUMENTS]) -> bool {
    is_buffer(arguments, is_length) && is_local(arguments[3])
}

fn is_counted(arguments: &[Value; ARGUMENTS]) -> bool {
    is_buffer(arguments, is_size) && is_argument(arguments[3], 3)
}

fn is_plain_with_flags(arguments: &[Value; ARGUMENTS]) -> bool {
    is_buffer(arguments, is_length) && arguments[3] == Value::Constant(0) && is_local(arguments[4])
}

fn is_counted_with_flags(arguments: &[Value; ARGUMENTS]) -> bool {
    is_buffer(arguments, is_size) && is_argument(arguments[3], 3) && is_argument(arguments[4], 4)
}

fn is_counted_without_flags(arguments: &[Value; ARGUMENTS]) -> bool {
    is_buffer(arguments, is_size) && arguments[3] == Value::Constant(0) && is_argument(arguments[4], 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::bytes::Code;
    use crate::elf::machine::Machine;

    type Form = fn(&[Value; ARGUMENTS]) -> bool;

    /// Returns how far from its beginning a function calls with arguments of a form.
    fn callee(bytes: &[u8], form: Form) -> Vec<u64> {
        const BASE: u64 = 0x10_0000;
        let address = Vaddr(BASE);
        let machine = Machine::X86_64;
        let calls = calls_of(Code {
            machine,
            bytes,
            address,
        })
        .unwrap();
        assert!(!calls.has_indirect);
        let formed = calls.direct.iter().filter(|call| form(&call.arguments));
        let targets = formed.map(|call| match call.target {
            Destination::Code(target) => target.0 - BASE,
            Destination::Slot(_) | Destination::Unknown => panic!("no slot is used"),
        });
        targets.collect()
    }

    // The beginnings of public functions as compilers make them; each call leads 0x100 bytes beyond its end.

    /// Debian's 3.0: sub rsp; mov rax,fs:..; mov [rsp+8],rax; xor eax; test edx; js; mov rcx,rsp; movsxd rdx; call.
    const PLAIN: &[u8] = &[
        0x48, 0x83, 0xec, 0x18, 0x64, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0, 0x48, 0x89, 0x44, 0x24, 0x08, 0x31, 0xc0,
        0x85, 0xd2, 0x78, 0x2f, 0x48, 0x89, 0xe1, 0x48, 0x63, 0xd2, 0xe8, 0, 1, 0, 0, 0xc3,
    ];
    /// Debian's 3.0: sub rsp; call.
    const COUNTED: &[u8] = &[0x48, 0x83, 0xec, 0x08, 0xe8, 0, 1, 0, 0, 0xc3];
    /// 3.5 with frame pointers: push rbp; mov rbp,rsp; sub rsp; test edx; js; movsxd rdx; lea r8; mov ecx,0; call.
    const PLAIN_WITH_FLAGS: &[u8] = &[
        0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x10, 0x85, 0xd2, 0x78, 0x1a, 0x48, 0x63, 0xd2, 0x4c, 0x8d, 0x45,
        0xf8, 0xb9, 0, 0, 0, 0, 0xe8, 0, 1, 0, 0, 0xc3,
    ];
    /// 3.5: mov r8,rcx; xor ecx; jmp.
    const COUNTED_WITHOUT_FLAGS: &[u8] = &[0x49, 0x89, 0xc8, 0x31, 0xc9, 0xe9, 0, 1, 0, 0];

    fn end_of(code: &[u8]) -> u64 {
        let call = code.iter().rposition(|byte| matches!(*byte, 0xe8 | 0xe9)).unwrap();
        u64::try_from(call).unwrap() + 5
    }

    #[test]
    fn each_form_is_recognised_and_no_other() {
        let codes: [(&[u8], Form); 4] = [
            (PLAIN, is_plain),
            (COUNTED, is_counted),
            (PLAIN_WITH_FLAGS, is_plain_with_flags),
            (COUNTED_WITHOUT_FLAGS, is_counted_without_flags),
        ];
        for (code, own) in codes {
            assert_eq!(callee(code, own), [end_of(code) + 0x100]);
            for (_, other) in codes.iter().filter(|(other, _)| *other != code) {
                assert!(callee(code, *other).is_empty(), "{code:x?}");
            }
        }
        assert_eq!(
            callee(COUNTED, is_counted_with_flags),
            callee(COUNTED, is_counted),
            "all five are untouched"
        );
    }

    #[test]
    fn a_function_of_cet_and_one_that_moves_its_connection_are_recognised() {
        // endbr64; sub rsp; test edx; js; mov rcx,rsp; movsxd rdx; call
        let landing = [
            0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x83, 0xec, 0x18, 0x85, 0xd2, 0x78, 0x2f, 0x48, 0x89, 0xe1, 0x48, 0x63, 0xd2,
            0xe8, 0, 1, 0, 0, 0xc3,
        ];
        assert_eq!(callee(&landing, is_plain).len(), 1);
        // 4.0: push r12; push rbp; mov rbp,rdi; sub rsp; lea rcx,[rsp+24]; movsxd rdx; mov rdi,rbp; call
        let moving = [
            0x41, 0x54, 0x55, 0x48, 0x89, 0xfd, 0x48, 0x83, 0xec, 0x28, 0x48, 0x8d, 0x4c, 0x24, 0x18, 0x48, 0x63, 0xd2,
            0x48, 0x89, 0xef, 0xe8, 0, 1, 0, 0, 0xc3,
        ];
        assert_eq!(callee(&moving, is_plain).len(), 1);
    }

    #[test]
    fn a_count_that_goes_into_the_callers_frame_is_none() {
        let mut code = vec![0x48, 0x8d, 0x4c, 0x24, 0x08]; // lea rcx,[rsp+8]
        code.extend([0xe8, 0, 1, 0, 0, 0xc3]);
        assert!(callee(&code, is_plain).is_empty());
    }

    #[test]
    fn an_argument_that_is_swapped_is_none() {
        let code = [0x48, 0x87, 0xf7, 0xe8, 0, 1, 0, 0, 0xc3]; // xchg rdi,rsi
        assert!(callee(&code, is_counted).is_empty());
    }
}
