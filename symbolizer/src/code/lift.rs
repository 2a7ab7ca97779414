//! Reads the instruction at an address, whatever the machine.

use super::bytes::Code;
use super::operation::Lifted;
use super::{aarch64, x86_64};
use crate::elf::address::Vaddr;
use crate::elf::machine::Machine;

/// Translates the instruction at an address; `None` if it lies outside the code or is not known.
pub(super) fn lift(code: Code<'_>, at: Vaddr) -> Option<Lifted> {
    let bytes = code.from(at)?;
    match code.machine {
        Machine::X86_64 => x86_64::lift(bytes, at),
        Machine::Aarch64 => aarch64::lift(bytes, at),
    }
}
