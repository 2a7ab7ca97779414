//! Header compression (RFC 7541), for a decoder that may not have seen the beginning of the connection.
//!
//! The header blocks of one direction are decoded in order, and lost ones are reported by [`Decoder::forget`]. A name or value
//! that was inserted into the table unseen is `None`, and decoding goes on.
//!
//! An index into the dynamic table counts from the newest entry. So after joining late, an index is known exactly if as many
//! insertions were seen since, and the encoder makes the table known again as it goes on inserting.

mod error;
mod huffman;
mod primitive;
mod static_table;
mod table;

use std::fmt;

pub use error::Error;
use primitive::{Input, Scratch};
use table::{NewName, Table};

/// The size limit of the table before any size update (RFC 9113 section 6.5.2).
const INITIAL_LIMIT: u32 = 4096;

/// A decoded field. A part that refers to a table entry that was not seen is `None`.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Header<'a> {
    /// The octets of the name, if it is known.
    pub name: Option<&'a [u8]>,
    /// The octets of the value, if it is known.
    pub value: Option<&'a [u8]>,
    /// Whether no hop may insert it into a table, because it is a secret (RFC 7541 section 7.1.3).
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

/// What was decoded of a block.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Decoded {
    /// The number of fields visited.
    pub fields: u32,
    /// Those of them whose name or value is unknown.
    pub unknown: u32,
    /// The number of fields decoded but not visited: the first one over a bound, and all behind it.
    pub over_limit: u32,
}

/// Bounds on the fields of one block that are visited. Over them, a field costs no more than its bytes on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// The number of fields.
    pub max_fields: usize,
    /// The number of octets of names and values, decoded.
    pub max_bytes: usize,
}

/// The decoder of one direction.
///
/// It accepts any size update, since the limit that the other side announced may not have been seen.
pub struct Decoder {
    table: Table,
    scratch: Scratch,
}

impl Decoder {
    /// Decodes a direction that was joined late: its table is unknown.
    ///
    /// At most `max_table_bytes` of the table, counted as in RFC 7541 section 4.1, are kept. This bounds memory; if the encoder
    /// keeps more, older entries are unknown.
    pub fn new(max_table_bytes: usize) -> Self {
        Self::with_limit(max_table_bytes, None)
    }

    /// Decodes a direction from its beginning: its table is empty, and limited to 4096 bytes until a size update.
    pub fn from_start(max_table_bytes: usize) -> Self {
        Self::with_limit(max_table_bytes, Some(INITIAL_LIMIT))
    }

    fn with_limit(max_table_bytes: usize, limit: Option<u32>) -> Self {
        Self {
            table: Table::new(max_table_bytes, limit),
            scratch: Scratch::default(),
        }
    }

    /// Decodes a block and visits its fields in order.
    ///
    /// For a block whose end was lost, pass its beginning: the whole fields in it are visited. It may happen to end between
    /// two fields, so that there is no error: call [`forget`](Self::forget) in any case.
    ///
    /// # Errors
    ///
    /// If the block is not well-formed or not whole. The visited fields are right, and the table is forgotten.
    pub fn decode(&mut self, block: &[u8], bounds: &Bounds, visit: impl FnMut(Header<'_>)) -> Result<Decoded, Error> {
        let mut visitor = Visitor::new(bounds, visit);
        let result = self.read_block(Input::new(block), &mut visitor);
        if result.is_err() {
            self.forget();
        }
        self.scratch.trim();
        result.map(|()| visitor.decoded)
    }

    /// Notes that bytes of a header block were lost: what they inserted is unknown, and how much.
    pub fn forget(&mut self) {
        self.table.forget();
    }

    /// Returns the memory in use between blocks, in bytes; at most [`max_held_bytes`](Self::max_held_bytes).
    ///
    /// While a block is decoded, its longest field takes up to eight fifths of its length on the wire in addition.
    pub fn held_bytes(&self) -> usize {
        self.table.held_bytes() + self.scratch.held_bytes()
    }

    /// Returns the most memory that a decoder holds, in bytes: two and a half times `max_table_bytes`, and 4 KiB.
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
        visitor.visit(Header {
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
        visitor.visit(Header {
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

/// Prints lengths only: the table has secrets.
impl fmt::Debug for Decoder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Decoder")
            .field("entries", &self.table.len())
            .field("held_bytes", &self.held_bytes())
            .finish_non_exhaustive()
    }
}

/// The indexing of a literal field.
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
    /// Returns the number of bits in the first byte that begin the index of the name.
    const fn prefix(self) -> u32 {
        match self {
            Self::Incremental => 6,
            Self::Without | Self::Never => 4,
        }
    }
}

/// The caller's closure, and how much it may still visit.
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
    fn visit(&mut self, header: Header<'_>) {
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
