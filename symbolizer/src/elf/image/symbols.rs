//! The entries of a symbol table, one at a time and borrowed.
//!
//! A table may have millions of entries, so a name is cut out of the strings only on demand, and only up to a length.

use object::elf;
use object::read::elf::Sym as _;

use super::raw::{LE, Symbol as RawSymbol};
use crate::elf::address::Vaddr;
use crate::error::Error;
use crate::limits;

/// Says what a symbol stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolKind {
    /// Code that is called at the symbol's address (`STT_FUNC`).
    Function,
    /// Code that only chooses the function to call (`STT_GNU_IFUNC`).
    Resolver,
    /// Anything else.
    Other,
}

/// Whether the image defines a symbol or leaves it to another object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The image holds it.
    Defined,
    /// Another object has to provide it.
    Imported,
}

/// Describes one entry of a symbol table.
#[derive(Clone, Copy, Debug)]
pub struct Symbol<'data> {
    /// Where it lies, if it is defined.
    pub address: Vaddr,
    /// How many bytes it covers; zero if the table does not say.
    pub size: u64,
    /// What it stands for.
    pub kind: SymbolKind,
    /// Whether the image holds it.
    pub presence: Presence,
    strings: &'data [u8],
}

impl<'data> Symbol<'data> {
    /// Returns the name if it is at most `limit` bytes long.
    ///
    /// The limit is what keeps a table of many long names from costing their product.
    #[must_use]
    pub fn name_within(&self, limit: usize) -> Option<&'data [u8]> {
        let window = self.strings.get(..=limit).unwrap_or(self.strings);
        window.get(..memchr::memchr(0, window)?)
    }
}

/// Iterates over the entries of a symbol table.
#[derive(Clone, Debug, Default)]
pub struct Symbols<'data> {
    entries: std::slice::Iter<'data, RawSymbol>,
    strings: &'data [u8],
}

impl<'data> Symbols<'data> {
    pub(super) fn new(bytes: &'data [u8], strings: &'data [u8]) -> Result<Self, Error> {
        let count = bytes.len() / size_of::<RawSymbol>();
        if count > limits::SYMBOLS {
            return Err(Error::OverLimit {
                part: "symbol table",
                limit: limits::SYMBOLS,
            });
        }
        let malformed = |()| Error::Malformed { part: "symbol table" };
        let (entries, _rest) = object::pod::slice_from_bytes(bytes, count).map_err(malformed)?;
        Ok(Self {
            entries: entries.iter(),
            strings,
        })
    }
}

impl<'data> Iterator for Symbols<'data> {
    type Item = Symbol<'data>;

    fn next(&mut self) -> Option<Self::Item> {
        self.nth(0)
    }

    /// Passes over entries without reading them.
    fn nth(&mut self, index: usize) -> Option<Self::Item> {
        let raw = self.entries.nth(index)?;
        let name = usize::try_from(raw.st_name(LE)).unwrap_or(usize::MAX);
        Some(Symbol {
            address: Vaddr(raw.st_value(LE)),
            size: raw.st_size(LE),
            kind: match raw.st_type() {
                elf::STT_FUNC => SymbolKind::Function,
                elf::STT_GNU_IFUNC => SymbolKind::Resolver,
                _ => SymbolKind::Other,
            },
            presence: if raw.st_shndx(LE) == elf::SHN_UNDEF {
                Presence::Imported
            } else {
                Presence::Defined
            },
            strings: self.strings.get(name..).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_may_fill_the_limit_and_no_more() {
        let table = vec![0; (limits::SYMBOLS + 1) * size_of::<RawSymbol>()];
        let full = &table[..limits::SYMBOLS * size_of::<RawSymbol>()];
        assert!(Symbols::new(full, b"").is_ok());
        assert!(matches!(
            Symbols::new(&table, b""),
            Err(Error::OverLimit {
                limit: limits::SYMBOLS,
                ..
            })
        ));
    }

    #[test]
    fn a_table_that_ends_inside_an_entry_has_only_the_whole_ones() {
        assert_eq!(Symbols::new(&[0; size_of::<RawSymbol>() + 5], b"").unwrap().count(), 1);
    }

    #[test]
    fn a_name_may_fill_the_limit_and_no_more() {
        let strings = [vec![b'x'; limits::SYMBOL_NAME], vec![0]].concat();
        let symbol = Symbols::new(&[0; size_of::<RawSymbol>()], &strings)
            .unwrap()
            .next()
            .unwrap();
        assert_eq!(
            symbol.name_within(limits::SYMBOL_NAME).unwrap().len(),
            limits::SYMBOL_NAME
        );
        assert_eq!(symbol.name_within(limits::SYMBOL_NAME - 1), None);
    }

    #[test]
    fn a_name_without_an_end_is_none() {
        let symbol = Symbols::new(&[0; size_of::<RawSymbol>()], b"SSL_read")
            .unwrap()
            .next()
            .unwrap();
        assert_eq!(symbol.name_within(limits::SYMBOL_NAME), None);
    }
}
