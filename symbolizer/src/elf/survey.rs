//! The few names a plan is made of, gathered from every symbol table.
//!
//! In: an [`Image`]. Out: a [`Survey`]: where the wanted names are defined, and which are only imported. The tables
//! are asked in the order `.dynsym`, `.symtab`, `.gnu_debugdata`; the last costs a decompression and is opened
//! only while the functions that carry plaintext are missing and nothing says that they live elsewhere.
//! Refused: tables over the limits.

use crate::elf::address::Vaddr;
use crate::elf::debugdata;
use crate::elf::image::{Image, Presence, Symbol, SymbolKind, Symbols, Table};
use crate::error::Error;
use crate::limits;
use crate::role::Role;

/// Says how a function was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SymbolSource {
    /// By the dynamic symbol table.
    Dynsym,
    /// By the full symbol table.
    Symtab,
    /// By the compressed one, for stripped images.
    GnuDebugdata,
    /// By the code of functions that a symbol table names: they all call it with their own arguments.
    Callers,
}

impl SymbolSource {
    /// Returns the name of the table, or `its callers`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dynsym => ".dynsym",
            Self::Symtab => ".symtab",
            Self::GnuDebugdata => ".gnu_debugdata",
            Self::Callers => "its callers",
        }
    }
}

/// Is a name that a plan or a reason depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Role(Role),
    Helper(Helper),
    Accessor(Accessor),
    Marker(Marker),
}

/// Names a function that is looked for only to know another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Helper {
    /// What `SSL_read` and `SSL_read_ex` share.
    ReadInternal,
    /// What `SSL_write` and its `_ex` forms share.
    WriteInternal,
    /// `SSL_peek`, which must not share it.
    Peek,
}

/// Names a function of the library that returns a field of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accessor {
    Rbio,
    Wbio,
    Version,
    EarlyDataStatus,
    Session,
    CurrentCipher,
    CipherName,
    SelectedAlpn,
    ServerName,
    BioMethodType,
    BioData,
    BioInit,
    BioShutdown,
    BioRetryReason,
    SocketMethod,
}

impl Accessor {
    const ALL: [(&[u8], Self); 15] = [
        (b"SSL_get_rbio", Self::Rbio),
        (b"SSL_get_wbio", Self::Wbio),
        (b"SSL_version", Self::Version),
        (b"SSL_get_early_data_status", Self::EarlyDataStatus),
        (b"SSL_get_session", Self::Session),
        (b"SSL_get_current_cipher", Self::CurrentCipher),
        (b"SSL_CIPHER_get_name", Self::CipherName),
        (b"SSL_get0_alpn_selected", Self::SelectedAlpn),
        (b"SSL_get_servername", Self::ServerName),
        (b"BIO_method_type", Self::BioMethodType),
        (b"BIO_get_data", Self::BioData),
        (b"BIO_get_init", Self::BioInit),
        (b"BIO_get_shutdown", Self::BioShutdown),
        (b"BIO_get_retry_reason", Self::BioRetryReason),
        (b"BIO_s_socket", Self::SocketMethod),
    ];

    fn of_symbol(name: &[u8]) -> Option<Self> {
        let mut named = Self::ALL.iter().filter(|(symbol, _)| *symbol == name);
        named.next().map(|(_, accessor)| *accessor)
    }
}

/// Names a function that tells one library from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    /// BoringSSL and AWS-LC alone can grease a handshake (RFC 8701).
    Grease,
    /// LibreSSL alone loads certificates from memory by this name, for its libtls.
    VerifyMemory,
    GnuTls,
    Nss,
    MbedTls,
    WolfSsl,
    S2n,
    /// What starts a Java virtual machine, which brings TLS in its own code.
    Java,
}

impl Helper {
    const ALL: [Self; 3] = [Self::ReadInternal, Self::WriteInternal, Self::Peek];

    /// Returns its name in OpenSSL's source.
    pub(crate) const fn symbol(self) -> &'static str {
        match self {
            Self::ReadInternal => "ssl_read_internal",
            Self::WriteInternal => "ssl_write_internal",
            Self::Peek => "SSL_peek",
        }
    }

    fn of_symbol(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|helper| helper.symbol().as_bytes() == name)
    }
}

impl Wanted {
    fn of_symbol(name: &[u8]) -> Option<Self> {
        if let Some(role) = Role::of_symbol(name) {
            return Some(Self::Role(role));
        }
        if let Some(accessor) = Accessor::of_symbol(name) {
            return Some(Self::Accessor(accessor));
        }
        match name {
            b"SSL_CTX_set_grease_enabled" => Some(Self::Marker(Marker::Grease)),
            b"SSL_CTX_load_verify_mem" => Some(Self::Marker(Marker::VerifyMemory)),
            b"gnutls_record_send" => Some(Self::Marker(Marker::GnuTls)),
            b"SSL_ImportFD" => Some(Self::Marker(Marker::Nss)),
            b"mbedtls_ssl_read" => Some(Self::Marker(Marker::MbedTls)),
            b"wolfSSL_read" => Some(Self::Marker(Marker::WolfSsl)),
            b"s2n_recv" => Some(Self::Marker(Marker::S2n)),
            b"JNI_CreateJavaVM" => Some(Self::Marker(Marker::Java)),
            _ => Helper::of_symbol(name).map(Self::Helper),
        }
    }
}

/// Is one wanted name in one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) wanted: Wanted,
    pub(crate) source: SymbolSource,
    pub(crate) presence: Presence,
    pub(crate) kind: SymbolKind,
    pub(crate) address: Vaddr,
    pub(crate) size: u64,
}

/// Holds every wanted name of an image.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    findings: Vec<Finding>,
}

impl Survey {
    /// Looks through the tables of an image.
    pub(crate) fn of(image: &Image<'_>) -> Result<Self, Error> {
        let mut survey = Self::of_tables(image, &[Table::Dynsym, Table::Symtab])?;
        if !survey.has_plaintext_functions() && !survey.imports_tls() {
            survey.add_debugdata(image)?;
        }
        Ok(survey)
    }

    /// Looks through some of the tables that lie in an image as they are.
    pub(crate) fn of_tables(image: &Image<'_>, tables: &[Table]) -> Result<Self, Error> {
        let mut survey = Self::default();
        for table in tables {
            let source = match table {
                Table::Dynsym => SymbolSource::Dynsym,
                Table::Symtab => SymbolSource::Symtab,
            };
            survey.add(source, image.symbols(*table)?)?;
        }
        Ok(survey)
    }

    /// Returns the functions defined under a name, each address once, from the first table that has any.
    pub(crate) fn functions(&self, wanted: Wanted) -> Vec<Finding> {
        let defined = |finding: &&Finding| {
            finding.wanted == wanted && finding.presence == Presence::Defined && finding.kind == SymbolKind::Function
        };
        let mut found: Vec<Finding> = self.findings.iter().filter(defined).copied().collect();
        let first = found.iter().map(|finding| finding.source).min();
        found.retain(|finding| Some(finding.source) == first);
        found.sort_by_key(|finding| finding.address);
        found.dedup_by_key(|finding| finding.address);
        found
    }

    /// Says whether a wanted name, other than that of an internal function, is defined at an address.
    pub(crate) fn is_public(&self, address: Vaddr) -> bool {
        let internal = [Helper::ReadInternal, Helper::WriteInternal].map(Wanted::Helper);
        let mut defined = self
            .findings
            .iter()
            .filter(|finding| finding.presence == Presence::Defined);
        defined.any(|finding| finding.address == address && !internal.contains(&finding.wanted))
    }

    pub(crate) fn defines(&self, wanted: Wanted) -> bool {
        self.has(wanted, Presence::Defined)
    }

    pub(crate) fn imports(&self, wanted: Wanted) -> bool {
        self.has(wanted, Presence::Imported)
    }

    /// Says whether the image calls a TLS library that is another object.
    pub(crate) fn imports_tls(&self) -> bool {
        let plaintext = |role: &Role| role.reads() || role.writes();
        let openssl = Role::ALL
            .into_iter()
            .filter(plaintext)
            .any(|role| self.imports(Wanted::Role(role)));
        let others = [
            Marker::GnuTls,
            Marker::Nss,
            Marker::MbedTls,
            Marker::WolfSsl,
            Marker::S2n,
        ];
        openssl || others.into_iter().any(|other| self.imports(Wanted::Marker(other)))
    }

    fn has_plaintext_functions(&self) -> bool {
        let found = |role| !self.functions(Wanted::Role(role)).is_empty();
        Role::ALL.into_iter().any(|role| role.reads() && found(role))
            && Role::ALL.into_iter().any(|role| role.writes() && found(role))
    }

    fn has(&self, wanted: Wanted, presence: Presence) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.wanted == wanted && finding.presence == presence)
    }

    fn add_debugdata(&mut self, image: &Image<'_>) -> Result<(), Error> {
        let Some(compressed) = image.section(b".gnu_debugdata")? else {
            return Ok(());
        };
        let inner = debugdata::decompress(compressed)?;
        match Image::parse(&inner)? {
            Ok(inner) if inner.machine() == image.machine() => {
                self.add(SymbolSource::GnuDebugdata, inner.symbols(Table::Symtab)?)
            }
            _ => Err(Error::Malformed {
                part: "image inside .gnu_debugdata",
            }),
        }
    }

    fn add(&mut self, source: SymbolSource, symbols: Symbols<'_>) -> Result<(), Error> {
        for symbol in symbols {
            let Some(wanted) = wanted(&symbol) else { continue };
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
                wanted,
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

fn wanted(symbol: &Symbol<'_>) -> Option<Wanted> {
    Wanted::of_symbol(symbol.name_within(limits::WANTED_NAME)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(source: SymbolSource, address: u64) -> Finding {
        Finding {
            wanted: Wanted::Role(Role::Read),
            source,
            presence: Presence::Defined,
            kind: SymbolKind::Function,
            address: Vaddr(address),
            size: 1,
        }
    }

    fn addresses(findings: Vec<Finding>) -> Vec<u64> {
        let survey = Survey { findings };
        survey
            .functions(Wanted::Role(Role::Read))
            .iter()
            .map(|finding| finding.address.0)
            .collect()
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
    fn every_wanted_name_is_short_enough_to_be_found() {
        let longest = b"SSL_CTX_set_grease_enabled";
        assert!(longest.len() <= limits::WANTED_NAME);
        assert!(Role::ALL.iter().all(|role| role.symbol().len() <= limits::WANTED_NAME));
        assert!(Accessor::ALL.iter().all(|(name, _)| name.len() <= limits::WANTED_NAME));
    }
}
