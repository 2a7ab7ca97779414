//! What is known of the functions of Go's runtime that compiled code calls.

use crate::code::callee::{Callee, Returns};

/// Copies bytes, and never returns anything.
pub(super) const MEMMOVE: &[u8] = b"runtime.memmove";

/// Takes a type, and returns memory that nothing else has (go1.27.3, `src/runtime/malloc.go`).
const NEW_OBJECT: &[u8] = b"runtime.newobject";

/// Takes nothing, and calls what was deferred with what that has captured (go1.27.3, `src/runtime/panic.go`).
const DEFER_RETURN: &[u8] = b"runtime.deferreturn";

/// Returns what is known of a function.
pub(super) fn callee(name: &[u8]) -> Callee {
    match name {
        MEMMOVE => Callee {
            returns: Returns::None,
            ..Callee::of(3)
        },
        NEW_OBJECT => Callee {
            returns: Returns::None,
            ..Callee::of(1)
        },
        DEFER_RETURN => Callee {
            takes: 0,
            returns: Returns::None,
            ..Callee::ANY
        },
        name if grows_stack(name) => Callee::of(0),
        _ => Callee::ANY,
    }
}

/// Returns what is known of a function where arguments are on the stack, given how many bytes they and its results are said to
/// take.
pub(super) fn callee_on_stack(name: &[u8], bytes: Option<u16>) -> Callee {
    let begins = |prefixes: &[&[u8]]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if begins(&STARTS) {
        return Callee::ANY;
    }
    if begins(&TAKES_REGISTERS) {
        return Callee {
            stack_bytes: Some(0),
            ..Callee::ANY
        };
    }
    bytes.map_or(Callee::ANY, |bytes| callee(name).on_stack(bytes))
}

/// Returns whether a call of a function may take along whatever it likes: it leaves all as it was, or nothing follows it.
pub(super) fn is_of_no_concern(name: &[u8]) -> bool {
    grows_stack(name) || ends(name)
}

/// Returns whether a function makes room on the stack, and leaves all as it was.
fn grows_stack(name: &[u8]) -> bool {
    name == b"runtime.morestack" || name == b"runtime.morestack_noctxt"
}

/// Returns whether a function never returns to where it was called.
pub(super) fn ends(name: &[u8]) -> bool {
    ENDS.iter().any(|prefix| name.starts_with(prefix))
}

/// How the names of functions begin that take another function, and the arguments of that behind their own (go1.15.15,
/// `src/runtime/proc.go`, `src/runtime/panic.go`).
const STARTS: [&[u8]; 2] = [b"runtime.newproc", b"runtime.deferproc"];

/// How the names of functions in assembly begin that take registers, where others take none (go1.15.15,
/// `src/runtime/asm_amd64.s`, `src/runtime/duff_amd64.s`).
const TAKES_REGISTERS: [&[u8]; 2] = [b"runtime.gcWriteBarrier", b"runtime.duff"];

/// How the names of functions begin that never return.
const ENDS: [&[u8]; 5] = [
    b"runtime.gopanic",
    b"runtime.goPanic",
    b"runtime.panic",
    b"runtime.throw",
    b"runtime.fatal",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_those_that_the_runtime_declares() {
        let taken = |name| (0..4).map(|index| callee(name).takes(index)).collect::<Vec<_>>();
        assert_eq!(taken(MEMMOVE), [true, true, true, false]);
        assert_eq!(taken(NEW_OBJECT), [true, false, false, false]);
        assert_eq!(taken(DEFER_RETURN), [false; 4]);
        assert!(
            callee(DEFER_RETURN).finds,
            "what was deferred may have captured anything"
        );
        assert_eq!(callee(b"runtime.deferproc"), Callee::ANY);
    }

    #[test]
    fn arguments_on_the_stack_are_as_many_as_the_table_of_functions_says() {
        let copied = callee_on_stack(MEMMOVE, Some(24));
        assert_eq!((copied.takes, copied.stack_bytes, copied.finds), (0, Some(24), false));
        assert_eq!(callee_on_stack(b"net.(*conn).Read", Some(56)).stack_bytes, Some(56));
        for (name, bytes) in [(&b"crypto/tls.helper"[..], None), (b"runtime.newproc", Some(16))] {
            assert_eq!(callee_on_stack(name, bytes), Callee::ANY);
        }
        let barrier = callee_on_stack(b"runtime.gcWriteBarrierCX", None);
        assert_eq!((barrier.takes, barrier.stack_bytes), (Callee::ANY.takes, Some(0)));
    }
}
