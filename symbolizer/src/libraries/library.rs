//! Which TLS library an image carries, and how that is known.

use super::family::Family;
use super::version::LibraryVersion;

/// Says what a [`Family`] was concluded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A function that no other library has.
    Symbols,
    /// The version text in the image.
    VersionText,
    /// The symbol versions the image defines.
    SymbolVersions,
    /// The crypto library it is linked with.
    CryptoLibrary,
    /// The errors that its functions report: none of them has a name.
    Errors,
    /// Nothing but the names that all of OpenSSL's family share.
    Names,
}

/// Describes the TLS library in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    /// Which library it is.
    pub family: Family,
    /// What says so.
    pub evidence: Evidence,
    /// Its version, if the image or its crypto library states one.
    pub version: Option<LibraryVersion>,
    /// The newest version among its symbol versions: it is at least that new.
    pub at_least: Option<(u16, u16, u16)>,
}
