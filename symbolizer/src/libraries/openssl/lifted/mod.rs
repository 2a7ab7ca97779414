//! The hook that captures what a connection writes while its socket sends.
//!
//! At a send the kernel runs inside the application's call, and the plaintext is still in the application's buffer. The
//! fields that lead to it are derived from the code of the write. If that code does not prove them, there is no lift.
//!
//! Two ways are known. Up to OpenSSL 3.1 the connection keeps what it is sending, so that it can tell whether a repeated
//! call has the same arguments (`ssl3_write_pending`). Since 3.2 it keeps the beginning of the caller's buffer alone, and
//! what is being sent is in a local variable of `ssl3_write_bytes`.

mod chain;
mod lift;
mod pending;
mod sequence;
mod templates;

use std::cell::Cell;

use crate::cause::Cause;
use crate::code::bytes::Code;
use crate::code::callee::Callee;
use crate::code::convention::Convention;
use crate::code::counter;
use crate::code::effects::{Effects, effects_of};
use crate::code::fixpoint::Function;
use crate::elf::address::Vaddr;
use crate::elf::image::Image;
use crate::elf::machine::Machine;
use crate::elf::survey::Survey;
use crate::hook::Hook;
use crate::libraries::openssl::tap::linkage::Linkage;
use crate::limits;

/// The type of a record that carries application data (RFC 8446, 5.1).
const APPLICATION_DATA: u32 = 23;
/// How wide a pointer and a `size_t` are.
const WORD: u8 = 8;

/// Finds the lift: the hook that captures writes while the socket sends.
pub(crate) fn writing(image: &Image<'_>, survey: &Survey) -> Result<Hook, Cause> {
    if image.machine() != Machine::X86_64 {
        return Err(Cause::MachineUnsupported);
    }
    let linkage = &Linkage::new(image, survey);
    let functions = Functions { image, survey, linkage };
    let write_bytes = chain::write_bytes(functions)?;
    let effects = functions.effects(write_bytes)?;
    match templates::handovers(&effects)[..] {
        [] => pending::hook(functions, &effects),
        [handover] => templates::hook(functions, (write_bytes, &effects), &handover),
        _ => Err(Cause::SeveralHandovers(write_bytes)),
    }
}

/// Runs every search of this module on one function, and returns the number of findings. For the fuzzer.
pub(crate) fn found(code: Code<'_>, address: Vaddr) -> usize {
    let function = Function {
        code,
        convention: Convention::of(code.machine),
        is_start: &|_| false,
        callee: &|_| Callee::ANY,
        never_returns: &|_| false,
        budget: &Cell::new(limits::ANALYSIS_STEPS),
    };
    let counts = counter::counted(function, address).is_some();
    let effects = effects_of(function, address).unwrap_or_default();
    let sequence = sequence::of_connection(&effects).is_some();
    let keeps = pending::is_pending(&effects);
    let found = [counts, sequence, keeps].into_iter().filter(|found| *found).count();
    found.saturating_add(templates::handovers(&effects).len())
}

/// Reads the functions of an image.
#[derive(Clone, Copy)]
struct Functions<'a, 'data> {
    image: &'a Image<'data>,
    survey: &'a Survey,
    linkage: &'a Linkage<'a, 'data>,
}

impl Functions<'_, '_> {
    /// Lists the effects of the function that begins at an address.
    fn effects(self, address: Vaddr) -> Result<Effects, Cause> {
        self.analysed(address, |function| effects_of(function, address))
    }

    /// Analyses the function that begins at an address. Fails if the unwind table shows that none begins there.
    ///
    /// Without an unwind table, the analysis runs on past calls that never return, into the next function. So callers accept
    /// only a finding that is the only one of its kind.
    fn analysed<T>(self, address: Vaddr, analysis: impl FnOnce(Function<'_>) -> Result<T, Cause>) -> Result<T, Cause> {
        let frames = self.image.frames();
        let begins = frames.is_empty() || frames.begins(address);
        begins.then_some(()).ok_or(Cause::NotUnderstood(address))?;
        self.linkage.analyse(address, analysis)
    }
}
