//! An encoder that encodes fields as asked, and records the table entries that each field refers to.

use std::collections::VecDeque;
use std::sync::LazyLock;

use super::super::{huffman, static_table};

/// Needs nothing that an earlier block inserted.
pub(super) const NOTHING: u64 = u64::MAX;

/// How a field is to be encoded, as far as the table allows.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) name: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) representation: Representation,
    /// Whether to refer to an entry with this name, where there is one, and to which.
    pub(super) refer: Option<usize>,
    pub(super) huffman: [bool; 2],
}

/// The representations of RFC 7541 section 6.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Representation {
    /// Or the next, where there is no such entry.
    Indexed,
    Incremental,
    Without,
    Never,
}

/// What a field must decode to. Insertions are counted from 0; a part is known where none before `needs` was missed.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) name: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) never_indexed: bool,
    pub(super) name_needs: u64,
    pub(super) value_needs: u64,
}

/// An encoder with its table.
pub(super) struct Encoder {
    table: VecDeque<Entry>,
    limit: usize,
    /// Insertions so far, those included that were too large to stay.
    pub(super) inserted: u64,
}

struct Entry {
    name: Vec<u8>,
    value: Vec<u8>,
    name_needs: u64,
    value_needs: u64,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self {
            table: VecDeque::new(),
            limit: 4096,
            inserted: 0,
        }
    }

    pub(super) fn size_update(&mut self, block: &mut Vec<u8>, limit: u32) {
        integer(block, 0x20, 5, limit);
        self.limit = limit as usize;
        self.evict();
    }

    pub(super) fn field(&mut self, block: &mut Vec<u8>, wish: &Wish) -> Expected {
        let same = self.find(wish.refer, |name, value| name == wish.name && value == wish.value);
        if let (Representation::Indexed, Some((index, [name_needs, value_needs]))) = (wish.representation, same) {
            integer(block, 0x80, 7, index);
            return expected(wish, name_needs, value_needs);
        }
        let (pattern, prefix) = match wish.representation {
            Representation::Indexed | Representation::Incremental => (0x40, 6),
            Representation::Without => (0x00, 4),
            Representation::Never => (0x10, 4),
        };
        let named = self.find(wish.refer, |name, _| name == wish.name);
        let name_needs = if let Some((index, [name_needs, _])) = named {
            integer(block, pattern, prefix, index);
            name_needs
        } else {
            block.push(pattern);
            string(block, &wish.name, wish.huffman[0]);
            NOTHING
        };
        string(block, &wish.value, wish.huffman[1]);
        if pattern == 0x40 {
            self.insert(wish, name_needs);
        }
        expected(wish, name_needs, NOTHING)
    }

    /// Finds the `pick`-th entry, round and round, that is as wanted, and what its name and its value need.
    fn find(&self, pick: Option<usize>, wanted: impl Fn(&[u8], &[u8]) -> bool) -> Option<(u32, [u64; 2])> {
        let fixed = (1..).map_while(static_table::get);
        let fixed = fixed.map(|(name, value)| (name, value, [NOTHING; 2]));
        let seen = self.table.iter();
        let seen = seen.map(|entry| (&*entry.name, &*entry.value, [entry.name_needs, entry.value_needs]));
        let found: Vec<_> = (1..)
            .zip(fixed.chain(seen))
            .filter(|(_, (name, value, _))| wanted(name, value))
            .map(|(index, (_, _, needs))| (index, needs))
            .collect();
        found.get(pick?.checked_rem(found.len())?).copied()
    }

    fn insert(&mut self, wish: &Wish, name_needs: u64) {
        self.table.push_front(Entry {
            name: wish.name.clone(),
            value: wish.value.clone(),
            name_needs: name_needs.min(self.inserted),
            value_needs: self.inserted,
        });
        self.inserted += 1;
        self.evict();
    }

    fn evict(&mut self) {
        let size = |entry: &Entry| entry.name.len() + entry.value.len() + 32;
        while self.table.iter().map(size).sum::<usize>() > self.limit {
            self.table.pop_back();
        }
    }
}

fn expected(wish: &Wish, name_needs: u64, value_needs: u64) -> Expected {
    Expected {
        name: wish.name.clone(),
        value: wish.value.clone(),
        never_indexed: wish.representation == Representation::Never,
        name_needs,
        value_needs,
    }
}

/// Writes an integer behind the bits of `pattern` (RFC 7541 section 5.1).
pub(super) fn integer(block: &mut Vec<u8>, pattern: u8, prefix: u32, value: u32) {
    let max = (1 << prefix) - 1;
    if value < max {
        block.push(pattern | low(value));
        return;
    }
    block.push(pattern | low(max));
    let mut left = value - max;
    while left >= 0x80 {
        block.push(low(left) | 0x80);
        left >>= 7;
    }
    block.push(low(left));
}

fn low(value: u32) -> u8 {
    value.to_le_bytes()[0]
}

/// Writes a string (RFC 7541 section 5.2).
pub(super) fn string(block: &mut Vec<u8>, string: &[u8], huffman: bool) {
    let coded = if huffman { encode(string) } else { string.to_vec() };
    integer(
        block,
        if huffman { 0x80 } else { 0 },
        7,
        u32::try_from(coded.len()).unwrap(),
    );
    block.extend(coded);
}

/// Codes a string, and fills it up with ones.
pub(super) fn encode(string: &[u8]) -> Vec<u8> {
    let mut bits: Vec<bool> = string
        .iter()
        .flat_map(|octet| code_bits(CODES[usize::from(*octet)]))
        .collect();
    bits.resize(bits.len().next_multiple_of(8), true);
    pack(&bits)
}

/// Puts bits into bytes, the first one highest.
pub(super) fn pack(bits: &[bool]) -> Vec<u8> {
    bits.chunks(8)
        .map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit)))
        .collect()
}

/// Each symbol's code, and how many bits it has.
pub(super) static CODES: LazyLock<[(u32, u8); 257]> = LazyLock::new(codes);

fn codes() -> [(u32, u8); 257] {
    let mut codes = [(0, 0); 257];
    let mut next = 0_u32;
    for bits in 1..=30 {
        for (symbol, _) in huffman::LENGTHS
            .iter()
            .enumerate()
            .filter(|(_, length)| **length == bits)
        {
            codes[symbol] = (next >> (32 - bits), bits);
            next = next.wrapping_add(1 << (32 - bits));
        }
    }
    codes
}

pub(super) fn code_bits((code, bits): (u32, u8)) -> impl Iterator<Item = bool> {
    (0..bits).rev().map(move |bit| code >> bit & 1 == 1)
}
