//! Libraries of the family in an image that names none of their functions: a program that is linked with one statically and
//! stripped, and most of what is shipped as one file.
//!
//! A function of libssl that fails reports an error, with constants that a compiler has to leave in the code as they are. They
//! show which functions may be the ones that matter; what these do has to prove it. BoringSSL and AWS-LC are found by the
//! reasons of their errors ([`boring`]), OpenSSL by the names that its functions report of themselves ([`openssl`]).

pub(super) mod boring;
pub(super) mod openssl;
mod reports;
mod signs;

use crate::code::Destination;
use crate::code::effects::{Call, Target};
use crate::elf::address::Vaddr;
use crate::elf::image::{Presence, SymbolKind};
use crate::elf::survey::{Finding, SymbolSource};

/// The place of a call that leads to a fixed place of the image.
fn target(call: &Call) -> Option<Vaddr> {
    match call.target {
        Target::To(Destination::Code(address)) => Some(address),
        Target::To(Destination::Slot(_) | Destination::Unknown) | Target::Value(_) => None,
    }
}

const fn finding(address: Vaddr, name: &'static str, source: SymbolSource) -> Finding {
    Finding {
        name,
        source,
        presence: Presence::Defined,
        kind: SymbolKind::Function,
        address,
        size: 0,
    }
}
