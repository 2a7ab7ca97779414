//! Header compression (RFC 7541), for a decoder that may not have seen the connection's beginning.
//!
//! In: the header blocks of one direction, whole and in order, and word of those that were lost. Out: their fields.
//! Refuses to guess: a field, or the name of one, that was inserted where nobody looked is `None`, and decoding goes on.
//!
//! An index into the dynamic table counts from its newest entry. So after joining late, an index is known exactly when
//! as many insertions were seen since, and what an encoder goes on inserting makes the table known again.

mod huffman;
mod primitive;
mod static_table;
mod table;

use std::fmt;

use primitive::{Input, Scratch};
use table::{NewName, Table};

/// The encoder's limit on its table before any size update (RFC 9113 section 6.5.2).
const INITIAL_LIMIT: u32 = 4096;

/// A decoded field. What an index to an entry that was not seen would have told is `None`.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Header<'a> {
    /// The name's octets, unless it is not known.
    pub name: Option<&'a [u8]>,
    /// The value's octets, unless they are not known.
    pub value: Option<&'a [u8]>,
    /// Whether no hop may put it into a table: the sender holds it for a secret (RFC 7541 section 7.1.3).
    pub never_indexed: bool,
}

/// Prints lengths only: fields are secrets.
impl fmt::Debug for Header<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Header")
            .field("name_bytes", &self.name.map(<[u8]>::len))
            .field("value_bytes", &self.value.map(<[u8]>::len))
            .field("never_indexed", &self.never_indexed)
            .finish()
    }
}

/// What a block came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Decoded {
    /// Fields visited.
    pub fields: u32,
    /// Of these, the ones whose name or value is not known.
    pub unknown: u32,
    /// Fields decoded but not visited: the first one beyond a bound, and all behind it.
    pub over_limit: u32,
}

/// Bounds on what is visited of one block. Beyond them a field costs no more than its bytes on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// Fields.
    pub max_fields: usize,
    /// Octets of names and values, decoded.
    pub max_bytes: usize,
}

/// Why a block could not be decoded to its end.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Error {
    /// It ends within a field.
    Truncated,
    /// An integer does not fit into 32 bits, or goes on for more than five bytes behind its first (section 5.1).
    IntegerOverflow,
    /// A field with index 0 (section 6.1).
    ZeroIndex,
    /// A size update behind a field (section 4.2).
    LateSizeUpdate,
    /// A string with the code of EOS in it (section 5.2).
    HuffmanEos,
    /// A string that is padded with other bits than ones (section 5.2).
    HuffmanPadding,
    /// A string that is padded with eight bits or more (section 5.2).
    HuffmanPaddingTooLong,
}

/// The decoding side of one direction.
///
/// It takes any size update for the encoder's word, since the limit the peer announced may not have been seen.
pub struct Decoder {
    table: Table,
    scratch: Scratch,
}

impl Decoder {
    /// Decodes a direction that was joined late: nothing is known of its table.
    ///
    /// At most `max_table_bytes` of the table, counted as in RFC 7541 section 4.1, are kept: this bounds memory, and
    /// says how far back an index is known if the encoder keeps more.
    pub fn new(max_table_bytes: usize) -> Self {
        Self::with_limit(max_table_bytes, None)
    }

    /// Decodes a direction whose beginning was seen: its table is empty, and its limit 4096 until a size update.
    pub fn from_start(max_table_bytes: usize) -> Self {
        Self::with_limit(max_table_bytes, Some(INITIAL_LIMIT))
    }

    fn with_limit(max_table_bytes: usize, limit: Option<u32>) -> Self {
        Self {
            table: Table::new(max_table_bytes, limit),
            scratch: Scratch::default(),
        }
    }

    /// Decodes a block and shows its fields in order.
    ///
    /// A block whose end was lost is given as far as it came, and shows the fields that are whole; if it happened to be
    /// cut between two of them this is no error, and [`forget`](Self::forget) must follow. After an error, the fields
    /// that were visited are right, and the decoder has forgotten its table by itself.
    pub fn decode(&mut self, block: &[u8], bounds: &Bounds, visit: impl FnMut(Header<'_>)) -> Result<Decoded, Error> {
        let mut visitor = Visitor::new(bounds, visit);
        let result = self.read_block(Input::new(block), &mut visitor);
        if result.is_err() {
            self.forget();
        }
        self.scratch.trim();
        result.map(|()| visitor.decoded)
    }

    /// Takes note that bytes of a header block were lost: what they inserted is not known, nor how much it was.
    pub fn forget(&mut self) {
        self.table.forget();
    }

    /// Returns the memory in use, in bytes between blocks: never more than [`max_held_bytes`](Self::max_held_bytes).
    ///
    /// While a block is decoded, its longest field may take eight fifths of its length on the wire besides.
    pub fn held_bytes(&self) -> usize {
        self.table.held_bytes() + self.scratch.held_bytes()
    }

    /// Returns how much memory a decoder may come to hold: two and a half times `max_table_bytes`, and 4 KiB.
    pub const fn max_held_bytes(max_table_bytes: usize) -> usize {
        Table::max_held_bytes(max_table_bytes) + Scratch::MAX_KEPT_BYTES
    }

    fn read_block(&mut self, mut input: Input<'_>, visitor: &mut Visitor<impl FnMut(Header<'_>)>) -> Result<(), Error> {
        while let Some(0x20..=0x3f) = input.peek() {
            self.table.set_limit(input.integer(5)?);
        }
        while let Some(first) = input.peek() {
            match first {
                0x80.. => self.read_indexed(&mut input, visitor)?,
                0x40.. => self.read_literal(&mut input, Indexing::Incremental, visitor)?,
                0x20.. => return Err(Error::LateSizeUpdate),
                0x10.. => self.read_literal(&mut input, Indexing::Never, visitor)?,
                _ => self.read_literal(&mut input, Indexing::Without, visitor)?,
            }
        }
        Ok(())
    }

    /// Reads an indexed field (section 6.1).
    #[inline]
    fn read_indexed(
        &mut self,
        input: &mut Input<'_>,
        visitor: &mut Visitor<impl FnMut(Header<'_>)>,
    ) -> Result<(), Error> {
        let index = input.integer(7)?;
        if index == 0 {
            return Err(Error::ZeroIndex);
        }
        let (name, value) = self.table.get(index);
        visitor.see(Header {
            name,
            value,
            never_indexed: false,
        });
        Ok(())
    }

    /// Reads a literal field (section 6.2).
    #[inline]
    fn read_literal(
        &mut self,
        input: &mut Input<'_>,
        indexing: Indexing,
        visitor: &mut Visitor<impl FnMut(Header<'_>)>,
    ) -> Result<(), Error> {
        self.scratch.clear();
        let index = input.integer(indexing.prefix())?;
        let literal = (index == 0).then(|| input.string(&mut self.scratch)).transpose()?;
        let value = input.string(&mut self.scratch)?;
        let literal = literal.as_ref().map(|text| self.scratch.get(text));
        let value = self.scratch.get(&value);
        visitor.see(Header {
            name: literal.or_else(|| self.table.get(index).0),
            value: Some(value),
            never_indexed: matches!(indexing, Indexing::Never),
        });
        if matches!(indexing, Indexing::Incremental) {
            let name = literal.map_or(NewName::Of(index), NewName::Literal);
            self.table.insert(name, value);
        }
        Ok(())
    }
}

/// Prints lengths only: the table holds secrets.
impl fmt::Debug for Decoder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Decoder")
            .field("entries", &self.table.len())
            .field("held_bytes", &self.held_bytes())
            .finish_non_exhaustive()
    }
}

/// What becomes of a literal field.
#[derive(Clone, Copy)]
enum Indexing {
    /// It is inserted into the table (section 6.2.1).
    Incremental,
    /// It is not (section 6.2.2).
    Without,
    /// Nor by any other hop (section 6.2.3).
    Never,
}

impl Indexing {
    /// Bits of the first byte that begin the name's index.
    const fn prefix(self) -> u32 {
        match self {
            Self::Incremental => 6,
            Self::Without | Self::Never => 4,
        }
    }
}

/// The caller's closure, and what it may still be shown.
struct Visitor<F> {
    visit: F,
    fields_left: usize,
    bytes_left: usize,
    decoded: Decoded,
}

impl<F: FnMut(Header<'_>)> Visitor<F> {
    fn new(bounds: &Bounds, visit: F) -> Self {
        Self {
            visit,
            fields_left: bounds.max_fields,
            bytes_left: bounds.max_bytes,
            decoded: Decoded::default(),
        }
    }

    #[inline]
    fn see(&mut self, header: Header<'_>) {
        let bytes = header.name.map_or(0, <[u8]>::len) + header.value.map_or(0, <[u8]>::len);
        if self.fields_left == 0 || bytes > self.bytes_left {
            self.fields_left = 0;
            self.decoded.over_limit = self.decoded.over_limit.saturating_add(1);
            return;
        }
        self.fields_left -= 1;
        self.bytes_left -= bytes;
        self.decoded.fields = self.decoded.fields.saturating_add(1);
        if header.name.is_none() || header.value.is_none() {
            self.decoded.unknown = self.decoded.unknown.saturating_add(1);
        }
        (self.visit)(header);
    }
}

#[cfg(test)]
mod tests;
