//! The functions of rustls that matter, by their mangled names.
//!
//! Both ways in which the compiler mangles names write an identifier with its length before it. The older one (RFC 2603 calls
//! it "legacy") writes the traits of an implementation otherwise, as `$LT$…$u20$as$u20$…$GT$`.

use std::collections::BTreeMap;

use memchr::memmem;

use crate::elf::address::Vaddr;
use crate::elf::image::{Image, Presence, Symbol, SymbolKind, Table};
use crate::elf::survey::SymbolSource;
use crate::error::Error;
use crate::limits;

/// What a function does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Function {
    /// Encrypts a record: `encrypt` of a type that implements `MessageEncrypter`.
    Encrypt,
    /// Makes an object of such a type: `encrypter` of a type that implements `Tls13AeadAlgorithm` or `Tls12AeadAlgorithm`,
    /// or what these share.
    MakeEncrypter,
    /// Takes such an object for the records of a connection from now on: `RecordLayer::prepare_message_encrypter`.
    Install,
    /// Does so and begins at once: `RecordLayer::set_message_encrypter`.
    Set,
    /// Takes what a record of the peer held: `CommonState::take_received_plaintext`.
    TakeReceived,
    /// Has what the program writes encrypted, record by record: `CommonState::send_appdata_encrypt`.
    SendData,
    /// Has one record encrypted: `CommonState::send_single_fragment`.
    SendFragment,
    /// Takes a message of the peer once the handshake is over: `handle` of one of the types named `ExpectTraffic`.
    Handle,
    /// Drops the state of a connection: `drop_in_place` of a `CommonState`.
    Drop,
    /// Calls the object that encrypts: `RecordLayer::encrypt_outgoing`.
    EncryptOutgoing,
}

impl Function {
    /// Returns its name for a user.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Encrypt => "MessageEncrypter::encrypt",
            Self::MakeEncrypter => "AeadAlgorithm::encrypter",
            Self::Install => "RecordLayer::prepare_message_encrypter",
            Self::Set => "RecordLayer::set_message_encrypter",
            Self::TakeReceived => "CommonState::take_received_plaintext",
            Self::SendData => "CommonState::send_appdata_encrypt",
            Self::SendFragment => "CommonState::send_single_fragment",
            Self::Handle => "ExpectTraffic::handle",
            Self::Drop => "CommonState's drop",
            Self::EncryptOutgoing => "RecordLayer::encrypt_outgoing",
        }
    }
}

/// A function in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) address: Vaddr,
    pub(super) size: u64,
    pub(super) source: SymbolSource,
}

/// The functions of an image.
#[derive(Clone, Debug, Default)]
pub(super) struct Functions(BTreeMap<(Function, Vaddr), Found>);

impl Functions {
    /// Looks through the tables of symbols.
    pub(super) fn find(image: &Image<'_>) -> Result<Self, Error> {
        let mut functions = Self::default();
        for (table, source) in [
            (Table::Symtab, SymbolSource::Symtab),
            (Table::Dynsym, SymbolSource::Dynsym),
        ] {
            for symbol in image.symbols(table)? {
                if let Some(function) = kind_of(&symbol) {
                    functions.add(function, &symbol, source)?;
                }
            }
        }
        Ok(functions)
    }

    fn add(&mut self, function: Function, symbol: &Symbol<'_>, source: SymbolSource) -> Result<(), Error> {
        if self.0.len() == limits::RUSTLS_FUNCTIONS {
            return Err(Error::OverLimit {
                part: "list of TLS functions",
                limit: limits::RUSTLS_FUNCTIONS,
            });
        }
        let Symbol { address, size, .. } = *symbol;
        let found = Found { address, size, source };
        self.0.entry((function, address)).or_insert(found);
        Ok(())
    }

    /// Adds a function that was found otherwise.
    pub(super) fn put(&mut self, function: Function, found: Found) {
        self.0.entry((function, found.address)).or_insert(found);
    }

    /// Returns whether a symbol names one of them.
    pub(super) fn has_names(&self) -> bool {
        self.0.values().any(|found| found.source != SymbolSource::Panics)
    }

    /// Returns whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lists those that do something, in the order of their addresses.
    pub(super) fn of(&self, function: Function) -> Vec<Found> {
        let of = self.0.iter().filter(|((kind, _), _)| *kind == function);
        of.map(|(_, found)| *found).collect()
    }

    /// Returns what the function at an address does.
    pub(super) fn at(&self, address: Vaddr) -> Option<Function> {
        self.0.keys().find(|(_, at)| *at == address).map(|(kind, _)| *kind)
    }
}

fn kind_of(symbol: &Symbol<'_>) -> Option<Function> {
    let is_code = symbol.kind == SymbolKind::Function && symbol.presence == Presence::Defined && symbol.size != 0;
    let name = symbol.name_within(limits::MANGLED_NAME).filter(|_| is_code)?;
    kind_of_name(name)
}

fn kind_of_name(name: &[u8]) -> Option<Function> {
    if !name.starts_with(b"_ZN") && !name.starts_with(b"_R") {
        return None;
    }
    let has = |part: &[u8]| memmem::find(name, part).is_some();
    if !has(b"rustls") {
        return None;
    }
    let is_own = has(b"6rustls");
    for (part, function) in METHODS {
        if is_own && has(part) {
            return Some(function);
        }
    }
    let is_traffic = has(b"..ExpectTraffic$u20$as$u20$rustls..common_state..State$LT$") && has(b"$GT$6handle17h");
    if is_traffic || (is_own && has(b"13ExpectTrafficINt") && has(b"12common_state5StateN") && has(b"E6handle")) {
        return Some(Function::Handle);
    }
    let is_drop = has(b"drop_in_place$LT$rustls..common_state..CommonState$GT$17h")
        || (has(b"13drop_in_placeNtNtC") && has(b"6rustls12common_state11CommonStateE"));
    if is_drop {
        return Some(Function::Drop);
    }
    let is_invalid = has(b"InvalidMessageEncrypter");
    if !is_invalid && (has(b"MessageEncrypter7encrypt") || has(b"MessageEncrypter$GT$7encrypt17h")) {
        // The newer mangling has nothing behind the name but, perhaps, where the function is instantiated.
        return Some(Function::Encrypt);
    }
    if has(b"AeadAlgorithm9encrypter") || has(b"AeadAlgorithm$GT$9encrypter17h") {
        return Some(Function::MakeEncrypter);
    }
    None
}

/// Methods of rustls's own types.
const METHODS: [(&[u8], Function); 6] = [
    (b"11CommonState23take_received_plaintext", Function::TakeReceived),
    (b"11CommonState20send_appdata_encrypt", Function::SendData),
    (b"11CommonState20send_single_fragment", Function::SendFragment),
    (b"11RecordLayer16encrypt_outgoing", Function::EncryptOutgoing),
    (b"11RecordLayer25prepare_message_encrypter", Function::Install),
    (b"11RecordLayer21set_message_encrypter", Function::Set),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_known_by_both_manglings() {
        for (name, expected) in [
            (
                "_ZN6rustls12common_state11CommonState23take_received_plaintext17h5c4bd1cd0e9bd2b2E",
                Some(Function::TakeReceived),
            ),
            (
                "_RNvMs_NtCs1a2b3c_6rustls12common_stateNtB4_11CommonState23take_received_plaintext",
                Some(Function::TakeReceived),
            ),
            (
                "_ZN6rustls6server11server_conn14EarlyDataState23take_received_plaintext17h5c4bd1cd0e9bd2b2E",
                None,
            ),
            (
                "_ZN111_$LT$rustls..crypto..ring..tls13..Tls13MessageEncrypter$u20$as$u20$rustls..crypto..cipher..\
                 MessageEncrypter$GT$7encrypt17h4f1f6884ecbf22b7E",
                Some(Function::Encrypt),
            ),
            (
                "_RNvXs5_NtNtNtCs1a2b3c_6rustls6crypto4ring5tls13NtB5_21Tls13MessageEncrypterNtNtB9_6cipher\
                 16MessageEncrypter7encrypt",
                Some(Function::Encrypt),
            ),
            (
                "_ZN108_$LT$rustls..crypto..cipher..InvalidMessageEncrypter$u20$as$u20$rustls..crypto..cipher..\
                 MessageEncrypter$GT$7encrypt17h288069368bcef406E",
                None,
            ),
            (
                "_ZN111_$LT$rustls..crypto..ring..tls13..Tls13MessageEncrypter$u20$as$u20$rustls..crypto..cipher..\
                 MessageEncrypter$GT$21encrypted_payload_len17h1075ae8d1ae92e6eE",
                None,
            ),
            (
                "_ZN6rustls6crypto4ring5tls1313AeadAlgorithm9encrypter17hdf1d195eb1bf87a1E",
                Some(Function::MakeEncrypter),
            ),
            (
                "_ZN4core3ptr54drop_in_place$LT$rustls..common_state..CommonState$GT$17h5c4bd1cd0e9bd2b2E",
                Some(Function::Drop),
            ),
            (
                "_RINvNtCs1a2b3c_4core3ptr13drop_in_placeNtNtCs4d5e6f_6rustls12common_state11CommonStateEB4_",
                Some(Function::Drop),
            ),
            (
                "_ZN4core3ptr60drop_in_place$LT$rustls..common_state..CommonState$C$u8$GT$17h5c4bd1cd0e9bd2b2E",
                None,
            ),
            (
                "_ZN141_$LT$rustls..client..tls12..ExpectTraffic$u20$as$u20$rustls..common_state..State$LT$rustls..client..\
                 client_conn..ClientConnectionData$GT$$GT$6handle17h414c14f68d2f6a91E",
                Some(Function::Handle),
            ),
            (
                "_RNvXs_NtNtCs1a2b3c_6rustls6server5tls13NtB4_13ExpectTrafficINtNtB8_12common_state5StateNtNtB6_\
                 11server_conn20ServerConnectionDataE6handle",
                Some(Function::Handle),
            ),
            (
                "_ZN141_$LT$rustls..client..tls13..ExpectQuicTraffic$u20$as$u20$rustls..common_state..State$LT$rustls..client..\
                 client_conn..ClientConnectionData$GT$$GT$6handle17h414c14f68d2f6a91E",
                None,
            ),
            (
                "_ZN4mine11CommonState23take_received_plaintext17h5c4bd1cd0e9bd2b2E",
                None,
            ),
            ("CommonState23take_received_plaintext", None),
        ] {
            assert_eq!(kind_of_name(name.as_bytes()), expected, "{name}");
        }
    }
}
