//! The few names that somebody asks for, gathered from the symbol tables.
//!
//! Whoever asks brings the [`Names`]; nothing here knows what they mean. The tables in the image itself cost one pass.
//! The compressed one costs a decompression as well, so it is added only on demand.

use crate::elf::address::Vaddr;
use crate::elf::debugdata;
use crate::elf::image::{Image, Presence, Symbol, SymbolKind, Symbols, Table};
use crate::error::Error;
use crate::limits;

/// Says by what a function was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SymbolSource {
    /// By the dynamic symbol table.
    Dynsym,
    /// By the full symbol table.
    Symtab,
    /// By the full symbol table that lies in a file of its own, for stripped images.
    DebugFile,
    /// By the compressed one, likewise.
    GnuDebugdata,
    /// By the code of functions that a symbol table names: they all call it with their own arguments.
    Callers,
    /// By a table of the library's own that leads to it.
    Table,
    /// By the table that Go keeps for its stack traces.
    Pclntab,
    /// By the errors that it, or a function that leads to it, reports.
    Errors,
    /// By these, and by the source file that they name.
    ErrorsAndFile,
    /// By the places in its source that its panics name, and by what it does.
    Panics,
}

impl SymbolSource {
    /// Returns where a symbol table of an image lies.
    pub(crate) const fn of(image: &Image<'_>, table: Table) -> Self {
        match table {
            Table::Dynsym => Self::Dynsym,
            Table::Symtab if image.has_debug_file() => Self::DebugFile,
            Table::Symtab => Self::Symtab,
        }
    }

    /// Returns the name of the table, or of what else it was.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dynsym => ".dynsym",
            Self::Symtab => ".symtab",
            Self::DebugFile => "a debug file",
            Self::GnuDebugdata => ".gnu_debugdata",
            Self::Callers => "its callers",
            Self::Table => "a table of its library",
            Self::Pclntab => ".gopclntab",
            Self::Errors => "the errors it reports",
            Self::ErrorsAndFile => "the errors it reports and their file",
            Self::Panics => "the places of its panics",
        }
    }
}

/// Holds the names to look for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    /// In order.
    names: Vec<&'static str>,
    /// The letters that they begin with, as bits: most symbols of an image begin with another.
    initials: u128,
}

impl Names {
    /// Takes names in any order.
    pub(crate) fn new(names: impl IntoIterator<Item = &'static str>) -> Self {
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        let initials = names.iter().filter_map(|name| initial(name.as_bytes()));
        let initials = initials.fold(0, |all, initial| all | initial);
        Self { names, initials }
    }

    fn find(&self, name: &[u8]) -> Option<&'static str> {
        initial(name).filter(|initial| self.initials & initial != 0)?;
        let found = self.names.binary_search_by(|known| known.as_bytes().cmp(name)).ok()?;
        self.names.get(found).copied()
    }
}

fn initial(name: &[u8]) -> Option<u128> {
    1_u128.checked_shl((*name.first()?).into())
}

/// Is one name in one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) name: &'static str,
    pub(crate) source: SymbolSource,
    pub(crate) presence: Presence,
    pub(crate) kind: SymbolKind,
    pub(crate) address: Vaddr,
    pub(crate) size: u64,
}

/// Holds every symbol of an image that has one of the names.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    findings: Vec<Finding>,
}

impl Survey {
    /// Looks through some of the tables that lie in an image as they are.
    pub(crate) fn of(image: &Image<'_>, tables: &[Table], names: &Names) -> Result<Self, Error> {
        let mut survey = Self::default();
        for table in tables {
            survey.add(SymbolSource::of(image, *table), image.symbols(*table)?, names)?;
        }
        Ok(survey)
    }

    /// Adds the symbols of the compressed table, if there is one.
    pub(crate) fn add_debugdata(&mut self, image: &Image<'_>, names: &Names) -> Result<(), Error> {
        let Some(compressed) = image.section(b".gnu_debugdata")? else {
            return Ok(());
        };
        let inner = debugdata::decompress(compressed)?;
        match Image::parse(&inner)? {
            Ok(inner) if inner.machine() == image.machine() => {
                self.add(SymbolSource::GnuDebugdata, inner.symbols(Table::Symtab)?, names)
            }
            _ => Err(Error::Malformed {
                part: "image inside .gnu_debugdata",
            }),
        }
    }

    /// Returns this with other findings.
    pub(crate) fn with(&self, others: impl IntoIterator<Item = Finding>) -> Self {
        let own = self.findings.iter().copied();
        Self {
            findings: own.chain(others).collect(),
        }
    }

    /// Returns the functions defined under a name, each address once, from the first table that has any.
    pub(crate) fn functions(&self, name: &str) -> Vec<Finding> {
        let defined = |finding: &&Finding| {
            finding.name == name && finding.presence == Presence::Defined && finding.kind == SymbolKind::Function
        };
        let mut found: Vec<Finding> = self.findings.iter().filter(defined).copied().collect();
        let first = found.iter().map(|finding| finding.source).min();
        found.retain(|finding| Some(finding.source) == first);
        found.sort_by_key(|finding| finding.address);
        found.dedup_by_key(|finding| finding.address);
        found
    }

    /// Returns the one function defined under a name, if there is exactly one.
    pub(crate) fn function(&self, name: &str) -> Option<Finding> {
        match self.functions(name).as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    /// Returns the names that are defined at an address.
    pub(crate) fn names_at(&self, address: Vaddr) -> impl Iterator<Item = &'static str> {
        let defined = self
            .findings
            .iter()
            .filter(move |finding| finding.presence == Presence::Defined && finding.address == address);
        defined.map(|finding| finding.name)
    }

    /// Returns whether the image defines a name.
    pub(crate) fn defines(&self, name: &str) -> bool {
        self.has(name, Presence::Defined)
    }

    /// Returns whether the image leaves a name to another object.
    pub(crate) fn imports(&self, name: &str) -> bool {
        self.has(name, Presence::Imported)
    }

    fn has(&self, name: &str, presence: Presence) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|finding| finding.name == name && finding.presence == presence)
    }

    fn add(&mut self, source: SymbolSource, symbols: Symbols<'_>, names: &Names) -> Result<(), Error> {
        for symbol in symbols {
            let name = symbol
                .name_within(limits::WANTED_NAME)
                .and_then(|name| names.find(name));
            let Some(name) = name else { continue };
            if self.findings.len() == limits::FINDINGS {
                return Err(Error::OverLimit {
                    part: "list of TLS functions",
                    limit: limits::FINDINGS,
                });
            }
            let Symbol {
                address,
                size,
                kind,
                presence,
                ..
            } = symbol;
            self.findings.push(Finding {
                name,
                source,
                presence,
                kind,
                address,
                size,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "SSL_read";

    fn finding(source: SymbolSource, address: u64) -> Finding {
        Finding {
            name: NAME,
            source,
            presence: Presence::Defined,
            kind: SymbolKind::Function,
            address: Vaddr(address),
            size: 1,
        }
    }

    fn addresses(findings: Vec<Finding>) -> Vec<u64> {
        let survey = Survey { findings };
        survey.functions(NAME).iter().map(|finding| finding.address.0).collect()
    }

    #[test]
    fn versions_of_a_symbol_at_one_address_count_once() {
        assert_eq!(
            addresses(vec![finding(SymbolSource::Dynsym, 8), finding(SymbolSource::Dynsym, 8)]),
            [8]
        );
    }

    #[test]
    fn versions_of_a_symbol_at_two_addresses_count_twice() {
        assert_eq!(
            addresses(vec![finding(SymbolSource::Dynsym, 9), finding(SymbolSource::Dynsym, 8)]),
            [8, 9]
        );
    }

    #[test]
    fn the_dynamic_table_is_believed_before_the_full_one() {
        assert_eq!(
            addresses(vec![finding(SymbolSource::Symtab, 8), finding(SymbolSource::Dynsym, 9)]),
            [9]
        );
    }

    #[test]
    fn a_resolver_is_no_function() {
        let resolver = Finding {
            kind: SymbolKind::Resolver,
            ..finding(SymbolSource::Dynsym, 8)
        };
        assert!(addresses(vec![resolver]).is_empty());
    }

    #[test]
    fn a_name_is_found_whole_or_not_at_all() {
        let names = Names::new(["SSL_write", "SSL_read", "SSL_read"]);
        assert_eq!(names.find(b"SSL_read"), Some("SSL_read"));
        assert_eq!(names.find(b"SSL_write"), Some("SSL_write"));
        for other in [&b"SSL_rea"[..], b"SSL_read_ex", b"", b"SSL_peek"] {
            assert_eq!(names.find(other), None);
        }
    }
}
