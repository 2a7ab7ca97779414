//! What x86-64 code says of itself: its calls with their arguments, and the instructions the kernel emulates.
//!
//! In: the bytes of a function and its address. Out: the calls its paths make, or the first place fit for a probe.
//! The code is followed by abstract interpretation, which keeps a value only where every step is understood. Refused:
//! code that cannot be decoded, and whatever exceeds the limits.

mod calls;
mod place;
mod state;

pub(crate) use calls::{Calls, Target, calls_of, stub_slot};
pub(crate) use place::{Needs, Place, find_place};
pub(crate) use state::Value;

use iced_x86::{Decoder, DecoderOptions, Instruction, Register};

use crate::elf::address::Vaddr;

/// The registers of the first arguments (System V ABI, AMD64 supplement, 3.2.3).
const ARGUMENTS: [Register; 5] = [Register::RDI, Register::RSI, Register::RDX, Register::RCX, Register::R8];

/// Is the code of one function: its bytes and where they lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Code<'data> {
    pub(crate) bytes: &'data [u8],
    pub(crate) address: Vaddr,
}

impl<'data> Code<'data> {
    /// Decodes the instruction at an address within the code.
    fn decode(self, address: u64) -> Option<Instruction> {
        let mut decoder = Decoder::with_ip(64, self.from(address)?, address, DecoderOptions::NONE);
        let instruction = decoder.can_decode().then(|| decoder.decode())?;
        (!instruction.is_invalid()).then_some(instruction)
    }

    /// Returns the bytes from an address to the end of the code.
    fn from(self, address: u64) -> Option<&'data [u8]> {
        let at = usize::try_from(address.checked_sub(self.address.0)?).ok()?;
        self.bytes.get(at..)
    }

    fn contains(self, address: u64) -> bool {
        self.from(address).is_some_and(|rest| !rest.is_empty())
    }
}
