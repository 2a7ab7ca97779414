//! The bytes of one function.

use crate::elf::address::Vaddr;
use crate::elf::machine::Machine;

/// The code of one function: its bytes, their address, and the machine they are for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Code<'data> {
    pub(crate) machine: Machine,
    pub(crate) bytes: &'data [u8],
    pub(crate) address: Vaddr,
}

impl<'data> Code<'data> {
    /// Returns the bytes from an address to the end of the code.
    pub(crate) fn from(self, address: Vaddr) -> Option<&'data [u8]> {
        let at = usize::try_from(address.0.checked_sub(self.address.0)?).ok()?;
        self.bytes.get(at..)
    }

    /// Returns the code from an address on.
    pub(crate) fn starting(self, address: Vaddr) -> Option<Self> {
        let bytes = self.from(address)?;
        Some(Self { bytes, address, ..self })
    }

    /// Returns whether an address is that of a byte of the code.
    pub(super) fn contains(self, address: Vaddr) -> bool {
        self.from(address).is_some_and(|rest| !rest.is_empty())
    }
}
