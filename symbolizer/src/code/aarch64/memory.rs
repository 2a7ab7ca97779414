//! Loads and stores.

use super::{STACK, bits, general, inputs, operand, register, set, signed, sum};
use crate::code::convention::Register;
use crate::code::operation::{Inputs, Memory, Operation, Source, bit};
use crate::elf::address::Vaddr;

/// The most bytes that an instruction with vector registers loads or stores.
const WIDEST: u8 = 64;

pub(super) fn lift(word: u32, at: Vaddr) -> Option<Vec<Operation>> {
    if word & 0xbe00_0000 == 0x0c00_0000 {
        return structure(word);
    }
    match word & 0x3a00_0000 {
        0x0800_0000 if bits(word, 24, 1) == 0 && bits(word, 26, 1) == 0 => exclusive(word),
        0x1800_0000 if bits(word, 24, 1) == 0 => literal(word, at),
        0x2800_0000 => pair(word),
        0x3800_0000 => single(word),
        _ => None,
    }
}

/// What one access moves.
#[derive(Clone, Copy)]
struct Access {
    what: What,
    /// How many bytes.
    width: u8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Store,
    Load,
    /// Extends the sign to 64 bits.
    LoadSigned,
    /// Extends the sign to 32 bits.
    LoadSignedShort,
    /// Of a vector register.
    StoreVector,
    LoadVector,
    Prefetch,
}

impl Access {
    /// Returns what an access does with the register in a field.
    fn operations(self, word: u32, low: u32, place: Memory) -> Option<Vec<Operation>> {
        let width = self.width;
        let (to, from) = (register(word, low)?, Source::Memory(place));
        Some(match self.what {
            What::Store => vec![Operation::Store {
                to: place,
                from: operand(word, low)?,
                width,
            }],
            What::Load => set(to, from, width),
            What::LoadSigned if to != STACK => vec![Operation::SetSigned { to, from, width }],
            What::LoadSignedShort if to != STACK => vec![Operation::Compute {
                to: bit(to),
                from: Inputs {
                    registers: 0,
                    memory: Some((place, width)),
                },
            }],
            What::StoreVector => vec![Operation::Overwrite {
                to: place,
                width: Some(width),
                from: Inputs::default(),
            }],
            What::LoadVector => vec![hidden(place, width)],
            What::LoadSigned | What::LoadSignedShort | What::Prefetch => Vec::new(),
        })
    }

    /// Returns whether an access changes the register in a field, if that is not the zero register.
    const fn writes(self) -> bool {
        matches!(self.what, What::Load | What::LoadSigned | What::LoadSignedShort)
    }

    /// Returns whether an access has the base in a register of its own.
    fn has(self, base: Register, word: u32, low: u32) -> bool {
        let is_general = self.writes() || self.what == What::Store;
        is_general && base != STACK && register(word, low) == Some(base)
    }
}

/// How the base register changes.
#[derive(Clone, Copy)]
enum Index {
    None,
    /// After the access, by so many bytes.
    After(i64),
    /// Before it.
    Before(i64),
}

impl Index {
    /// Returns the operations of accesses that are made with a place that the base register gives.
    fn around(self, base: Register, accesses: impl FnOnce(Memory) -> Option<Vec<Operation>>) -> Option<Vec<Operation>> {
        let moved = |by| Operation::Set {
            to: base,
            from: Source::Address(Memory::at(base, by)),
            width: 8,
        };
        let here = Memory::at(base, 0);
        Some(match self {
            Self::None => accesses(here)?,
            Self::After(by) => accesses(here)?.into_iter().chain([moved(by)]).collect(),
            Self::Before(by) => [moved(by)].into_iter().chain(accesses(here)?).collect(),
        })
    }
}

/// `ld1`, `st4` and the like, of up to four vector registers.
fn structure(word: u32) -> Option<Vec<Operation>> {
    let base = register(word, 5)?;
    let place = Memory::at(base, 0);
    let accessed = if bits(word, 22, 1) == 0 {
        Operation::Overwrite {
            to: place,
            width: Some(WIDEST),
            from: Inputs::default(),
        }
    } else {
        hidden(place, WIDEST)
    };
    let moved = (bits(word, 23, 1) == 1).then_some(Operation::Compute {
        to: bit(base),
        from: inputs(bit(base) | general(word, 16)),
    });
    Some([accessed].into_iter().chain(moved).collect())
}

/// A load of so many bytes to vector registers.
const fn hidden(from: Memory, width: u8) -> Operation {
    Operation::Hide(Inputs {
        registers: 0,
        memory: Some((from, width)),
    })
}

/// Exclusive and ordered accesses, and those that compare and swap.
fn exclusive(word: u32) -> Option<Vec<Operation>> {
    let place = Memory::at(register(word, 5)?, 0);
    let is_load = bits(word, 22, 1) == 1;
    if bits(word, 23, 1) == 1 && bits(word, 21, 1) == 0 {
        let what = if is_load { What::Load } else { What::Store };
        let width = 1_u8.checked_shl(bits(word, 30, 2))?;
        return Access { what, width }.operations(word, 0, place);
    }
    // Which of its registers it writes depends on the form: all of them, here.
    let swapped = general(word, 16);
    let pair = if word & 0xbfa0_7c00 == 0x0820_7c00 {
        swapped << 1
    } else {
        0
    };
    let to = (swapped | pair | general(word, 10) | general(word, 0)) & !bit(STACK);
    let from = Inputs {
        registers: to,
        memory: Some((place, 16)),
    };
    let stored = Operation::Overwrite {
        to: place,
        width: Some(16),
        from: inputs(to),
    };
    Some(vec![stored, Operation::Compute { to, from }])
}

/// `ldr` of what lies at a distance from the instruction.
fn literal(word: u32, at: Vaddr) -> Option<Vec<Operation>> {
    let distance = signed(word, 5, 19)?.checked_mul(4)?;
    let place = Memory {
        base: None,
        offset: at.0.wrapping_add_signed(distance).cast_signed(),
        several: 0,
        scaled: false,
    };
    let (what, width) = match (bits(word, 26, 1), bits(word, 30, 2)) {
        (1, 0..=2) => (What::LoadVector, 16),
        (0, 0) => (What::Load, 4),
        (0, 1) => (What::Load, 8),
        (0, 2) => (What::LoadSigned, 4),
        (0, 3) => (What::Prefetch, 0),
        _ => return None,
    };
    Access { what, width }.operations(word, 0, place)
}

/// `stp` and `ldp`.
fn pair(word: u32) -> Option<Vec<Operation>> {
    let is_load = bits(word, 22, 1) == 1;
    let access = match (bits(word, 26, 1), bits(word, 30, 2)) {
        (0, 1) if !is_load => return None, // which stores tags
        (0, 1) => Access {
            what: What::LoadSigned,
            width: 4,
        },
        (0, size @ (0 | 2)) => Access {
            what: if is_load { What::Load } else { What::Store },
            width: if size == 0 { 4 } else { 8 },
        },
        (1, size @ 0..=2) => Access {
            what: if is_load { What::LoadVector } else { What::StoreVector },
            width: 4_u8.checked_shl(size)?,
        },
        _ => return None,
    };
    let base = register(word, 5)?;
    let by = signed(word, 15, 7)?.checked_mul(access.width.into())?;
    let (index, offset) = match bits(word, 23, 2) {
        1 => (Index::After(by), 0),
        3 => (Index::Before(by), 0),
        _ => (Index::None, by),
    };
    let [first, second] = [0, 10].map(|low| access.has(base, word, low));
    let is_odd = access.writes() && register(word, 0) == register(word, 10) && general(word, 0) != 0;
    if is_odd || (first || second) && !matches!(index, Index::None) {
        return None;
    }
    index.around(base, |place| {
        let at = |distance: i64| {
            Some(Memory {
                offset: place.offset.checked_add(distance)?,
                ..place
            })
        };
        let lower = access.operations(word, 0, at(offset)?)?;
        let upper = access.operations(word, 10, at(offset.checked_add(access.width.into())?)?)?;
        // The base is loaded last.
        Some(if access.writes() && first {
            [upper, lower].concat()
        } else {
            [lower, upper].concat()
        })
    })
}

/// `ldr` and `str` of all sizes, and accesses that change what is in memory.
fn single(word: u32) -> Option<Vec<Operation>> {
    let base = register(word, 5)?;
    let access = access(word)?;
    if bits(word, 24, 1) == 1 {
        let offset = i64::from(bits(word, 10, 12)).checked_mul(access.width.into())?;
        return access.operations(word, 0, Memory::at(base, offset));
    }
    if bits(word, 21, 1) == 1 {
        return match bits(word, 10, 2) {
            0 if bits(word, 26, 1) == 0 => atomic(word, base),
            2 => access.operations(word, 0, indexed(word, base)?),
            1 | 3 if bits(word, 26, 1) == 0 && bits(word, 30, 2) == 3 => Some(signed_address(word, base)),
            _ => None,
        };
    }
    let by = signed(word, 12, 9)?;
    let (index, offset) = match bits(word, 10, 2) {
        1 => (Index::After(by), 0),
        3 => (Index::Before(by), 0),
        _ => (Index::None, by),
    };
    if access.has(base, word, 0) && !matches!(index, Index::None) {
        return None;
    }
    index.around(base, |place| access.operations(word, 0, Memory { offset, ..place }))
}

/// What an access to one register moves, by its size and kind.
fn access(word: u32) -> Option<Access> {
    let (size, kind) = (bits(word, 30, 2), bits(word, 22, 2));
    let width = 1_u8.checked_shl(size)?;
    let (what, width) = match (bits(word, 26, 1), kind, size) {
        (0, 0, _) => (What::Store, width),
        (0, 1, _) => (What::Load, width),
        (0, 2, 3) => (What::Prefetch, 8),
        (0, 2, _) => (What::LoadSigned, width),
        (0, 3, 0 | 1) => (What::LoadSignedShort, width),
        (1, 0, _) => (What::StoreVector, width),
        (1, 1, _) => (What::LoadVector, width),
        (1, 2, 0) => (What::StoreVector, 16),
        (1, 3, 0) => (What::LoadVector, 16),
        _ => return None,
    };
    Some(Access { what, width })
}

/// The place that a base and an index give, which may be shifted or extended.
fn indexed(word: u32, base: Register) -> Option<Memory> {
    let is_plain = bits(word, 12, 4) == 0b0110;
    Some(match operand(word, 16)? {
        Source::Register(index) => sum(base, index, is_plain),
        Source::Constant(_) | Source::Memory(_) | Source::Address(_) => Memory::at(base, 0),
    })
}

/// `ldadd`, `swp` and the like: each loads what it replaces.
fn atomic(word: u32, base: Register) -> Option<Vec<Operation>> {
    // Others move 64 bytes, or are for page tables.
    let is_known = bits(word, 15, 1) == 0 || matches!(bits(word, 12, 3), 0 | 4);
    let width = is_known.then(|| 1_u8.checked_shl(bits(word, 30, 2))).flatten()?;
    let place = Memory::at(base, 0);
    let from = Inputs {
        registers: general(word, 16),
        memory: Some((place, width)),
    };
    let stored = Operation::Overwrite {
        to: place,
        width: Some(width),
        from,
    };
    Some([vec![stored], super::compute(word, from)].concat())
}

/// `ldraa` and `ldrab`, which load from a signed address, and may keep that.
fn signed_address(word: u32, base: Register) -> Vec<Operation> {
    let kept = if bits(word, 11, 1) == 1 { bit(base) } else { 0 };
    let to = general(word, 0) | kept;
    vec![Operation::Compute {
        to,
        from: inputs(bit(base)),
    }]
}
