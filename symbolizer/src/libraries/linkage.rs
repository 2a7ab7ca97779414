//! Where calls lead that the dynamic linker resolves.

use crate::code::Destination;
use crate::code::bytes::Code;
use crate::code::calls::stub_slot;
use crate::elf::image::Image;

/// Returns whether the dynamic linker makes a call lead to the symbol, directly or by a stub of the procedure linkage
/// table.
pub(crate) fn leads_to_symbol(image: &Image<'_>, target: Destination, symbol: &str) -> bool {
    let slot = match target {
        Destination::Unknown => None,
        Destination::Slot(slot) => Some(slot),
        Destination::Code(address) => image.bytes_from(address).and_then(|bytes| {
            stub_slot(Code {
                machine: image.machine(),
                bytes,
                address,
            })
        }),
    };
    let name = slot.and_then(|slot| image.linked_name(slot).ok().flatten());
    name == Some(symbol.as_bytes())
}
