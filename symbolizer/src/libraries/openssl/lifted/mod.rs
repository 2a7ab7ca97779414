//! The hook that lifts what a connection writes, while its socket sends.
//!
//! The kernel is inside the call of the application then, and the plaintext lies where the application has it. Which
//! fields lead there is read from code that the write takes, and refused where that does not tell.
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

/// Finds the hook that lifts what is written.
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

/// Looks for all of this in one function, whatever that is, and returns how much there is; for the fuzzer alone.
pub(crate) fn found(code: Code<'_>, address: Vaddr) -> usize {
    let function = Function {
        code,
        is_start: &|_| false,
        callee: &|_| Callee::ANY,
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
    /// Lists what the function does that begins at an address.
    fn effects(self, address: Vaddr) -> Result<Effects, Cause> {
        self.analysed(address, |function| effects_of(function, address))
    }

    /// Has the function analysed that begins at an address, if the table that says where functions do does not deny it.
    ///
    /// Without one, what follows a call that never returns is followed as well: what is found has to be the only one of
    /// its kind all the same.
    fn analysed<T>(self, address: Vaddr, analysis: impl FnOnce(Function<'_>) -> Result<T, Cause>) -> Result<T, Cause> {
        let frames = self.image.frames();
        let begins = frames.is_empty() || frames.begins(address);
        begins.then_some(()).ok_or(Cause::NotUnderstood(address))?;
        self.linkage.analyse(address, analysis)
    }
}
