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
        ExitResult::In(_) => return None,
        ExitResult::Always(number) => CallEnd::of_constant(i8::try_from(number).ok()?),
    };
    Some(exit.when.map_or(end, |condition| end.when(condition)))
}
