//! The Huffman code (RFC 7541 Appendix B), as lookup tables made at compile time.
//!
//! The code is canonical: codes of one length rise with the symbol, and longer codes follow shorter ones. So the lengths
//! define the code.
#![expect(
    clippy::indexing_slicing,
    reason = "only const evaluation indexes here, and an index out of bounds would not compile"
)]

/// Bits of a [`lookup`], enough for two codes of six bits; [`long`] finds longer codes. Measured: 10 and 11 are slower, and a
/// table for 13 would fill a first-level cache.
const INDEX_BITS: u32 = 12;
/// The longest code, which is that of EOS.
const MAX_BITS: u32 = 30;
/// The symbol EOS: a string that contains its code is an error.
const EOS: u16 = 256;

/// The length of the code of each octet, and of EOS, in bits.
pub(in super::super) const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
    28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12,
    10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6,
    5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22,
    22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20,
    22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28,
    27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28,
    27, 27, 27, 27, 27, 26, 30,
];

/// The one or two symbols whose codes some bits begin with, packed.
#[derive(Clone, Copy)]
pub(super) struct Symbols(u32);

impl Symbols {
    /// No symbol: the first code is a long one.
    pub(super) const NONE: Self = Self(0);

    const fn one(symbol: u16, bits: u32) -> Self {
        Self(symbol as u32 | bits << 16 | 8 << 24)
    }

    const fn and(self, next: Self) -> Self {
        Self(self.0 & 0xff | (next.0 & 0xff) << 8 | (self.bits() + next.bits()) << 16 | 16 << 24)
    }

    /// Returns the octets, the first one lowest.
    #[inline]
    pub(super) const fn octets(self) -> u64 {
        (self.0 & 0xffff) as u64
    }

    /// Returns the length of their codes in bits; 0 if the first code is a long one.
    #[inline]
    pub(super) const fn bits(self) -> u32 {
        self.0 >> 16 & 0xff
    }

    /// Returns the number of bits in use in `octets`: 0, 8 or 16.
    #[inline]
    pub(super) const fn width(self) -> u32 {
        self.0 >> 24
    }
}

/// Finds the symbols whose codes the highest bits of `window` begin with.
#[inline]
pub(super) fn lookup(window: u64) -> Symbols {
    let index = (window >> (u64::BITS - INDEX_BITS)) as usize;
    TABLE.get(index).copied().unwrap_or(Symbols::NONE)
}

/// Finds the symbol whose code the highest 32 bits of `window` begin with, and the length of the code.
pub(super) fn long(window: u64) -> (u16, u32) {
    let window = window >> 32;
    RANKS
        .iter()
        .find(|rank| window < rank.end)
        .and_then(|rank| {
            let offset = (window - rank.first) >> (u32::BITS - rank.bits);
            let symbol = SORTED.get(rank.sorted + usize::try_from(offset).ok()?)?;
            Some((*symbol, rank.bits))
        })
        .unwrap_or((EOS, MAX_BITS))
}

/// The range of the codes of one length among all bit strings of 32 bits.
#[derive(Clone, Copy)]
struct Rank {
    bits: u32,
    /// The start of the first code, and the end of the last one.
    first: u64,
    end: u64,
    /// The index in [`SORTED`] of the symbol of the first code.
    sorted: usize,
}

/// All symbols in the order of their codes.
static SORTED: [u16; 257] = sorted();
/// One rank per length, the shortest first; it is empty for a length without codes.
static RANKS: [Rank; MAX_BITS as usize] = ranks();
static TABLE: [Symbols; 1 << INDEX_BITS] = table();

const fn sorted() -> [u16; 257] {
    let mut sorted = [0; 257];
    let (mut count, mut bits) = (0, 1);
    while bits <= MAX_BITS {
        let mut symbol = 0;
        while symbol <= EOS {
            if LENGTHS[symbol as usize] as u32 == bits {
                sorted[count] = symbol;
                count += 1;
            }
            symbol += 1;
        }
        bits += 1;
    }
    sorted
}

const fn ranks() -> [Rank; MAX_BITS as usize] {
    let sorted = sorted();
    let mut ranks = [Rank {
        bits: 1,
        first: 0,
        end: 0,
        sorted: 0,
    }; MAX_BITS as usize];
    let (mut bits, mut end, mut count) = (1, 0_u64, 0);
    while bits <= MAX_BITS {
        let first = end;
        let from = count;
        while count < sorted.len() && LENGTHS[sorted[count] as usize] as u32 == bits {
            end += 1 << (u32::BITS - bits);
            count += 1;
        }
        ranks[bits as usize - 1] = Rank {
            bits,
            first,
            end,
            sorted: from,
        };
        bits += 1;
    }
    assert!(end == 1 << u32::BITS, "every bit string begins with a code");
    ranks
}

const fn table() -> [Symbols; 1 << INDEX_BITS] {
    let singles = singles();
    let mut table = singles;
    let mut index = 0;
    while index < table.len() {
        let first = singles[index];
        let next = singles[index << first.bits() & (table.len() - 1)];
        if first.width() > 0 && next.width() > 0 && first.bits() + next.bits() <= INDEX_BITS {
            table[index] = first.and(next);
        }
        index += 1;
    }
    table
}

/// Returns the table with one symbol per entry, and none where the code is longer than the index.
const fn singles() -> [Symbols; 1 << INDEX_BITS] {
    let sorted = sorted();
    let mut table = [Symbols::NONE; 1 << INDEX_BITS];
    let (mut index, mut count) = (0, 0);
    while count < sorted.len() && LENGTHS[sorted[count] as usize] as u32 <= INDEX_BITS {
        let bits = LENGTHS[sorted[count] as usize] as u32;
        let end = index + (1 << (INDEX_BITS - bits));
        while index < end {
            table[index] = Symbols::one(sorted[count], bits);
            index += 1;
        }
        count += 1;
    }
    table
}
