//! Stubs of the procedure linkage table.

use super::{LENGTH, first};
use crate::code::operation::{Destination, Lifted, Operation};
use crate::elf::address::Vaddr;

/// The registers that a stub may use: x16 and x17.
const SCRATCH: u32 = 0x3_0000;

/// Translates a whole stub: `adrp x16, page; ldr x17, [x16, #slot]; add x16, x16, #slot; br x17`.
///
/// Linkers write nothing else between these, so no jump leads into one.
pub(super) fn lift(code: &[u8], at: Vaddr) -> Option<Lifted> {
    let word = |number: usize| first(code.get(number.checked_mul(4)?..)?);
    let (page, load) = (word(0)?, word(1)?);
    if page & 0x9f00_001f != 0x9000_0010 || load & 0xffc0_03ff != 0xf940_0211 {
        return None;
    }
    let within = u64::from(super::bits(load, 10, 12)).checked_mul(8)?;
    let add = word(2).filter(|add| add & 0xffc0_03ff == 0x9100_0210)?;
    let is_same = u64::from(super::bits(add, 10, 12)) == within;
    (is_same && word(3)? == 0xd61f_0220).then_some(())?;
    let pages = super::signed(page, 5, 19)?.checked_mul(4)?;
    let pages = pages.checked_add(super::bits(page, 29, 2).into())?;
    let page = (at.0 & !0xfff).wrapping_add_signed(pages.checked_mul(0x1000)?);
    let slot = Vaddr(page.checked_add(within)?);
    Some(Lifted {
        operations: vec![Operation::Spoil(SCRATCH), Operation::Jump(Destination::Slot(slot))],
        length: LENGTH.checked_mul(4)?,
    })
}
