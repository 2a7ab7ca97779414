//! Why a sound image is not traced.
//!
//! The `Display` of a [`Reason`] finishes the sentence "not traced because …".

use std::fmt;

use crate::libraries::version::LibraryVersion;

/// Says why there is no plan for an image that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It is neither an executable nor a shared object.
    NotLoadable,
    /// It is a 32-bit image.
    ThirtyTwoBit,
    /// It is for a machine other than little-endian x86-64 and aarch64.
    MachineUnsupported {
        /// The machine by its ELF number (`e_machine`).
        machine: u16,
    },
    /// It holds no TLS library.
    NoTls,
    /// It calls a TLS library that is another object of the process.
    ImportsTls,
    /// It holds a TLS library that is known and not supported.
    LibraryUnsupported(OtherLibrary),
    /// It holds an OpenSSL-like library, but none of its symbol tables names the functions.
    NoSymbols,
    /// It names functions for one direction only, so half of every exchange would be missing.
    OneDirection,
    /// It names the functions but places them outside its executable bytes, as a separate debug file does.
    NotInCode,
    /// It holds a version of its library that is too old.
    VersionUnsupported(LibraryVersion),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoadable => f.write_str("it is neither an executable nor a shared object"),
            Self::ThirtyTwoBit => f.write_str("it is a 32-bit image"),
            Self::MachineUnsupported { machine } => write!(f, "its machine (ELF number {machine}) is not supported"),
            Self::NoTls => f.write_str("it contains no TLS library"),
            Self::ImportsTls => f.write_str("the TLS library it calls is another object"),
            Self::LibraryUnsupported(library) => write!(f, "{} is not supported yet", library.name()),
            Self::NoSymbols => f.write_str("its TLS library has been stripped of the names of its functions"),
            Self::OneDirection => f.write_str("it has TLS functions for one direction only"),
            Self::NotInCode => f.write_str("its TLS functions lie outside its executable bytes"),
            Self::VersionUnsupported(version) => write!(f, "its TLS library is too old ({})", version.text),
        }
    }
}

/// Names a TLS library that is recognised and not supported yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtherLibrary {
    /// GnuTLS, or its wrapper with OpenSSL's names.
    GnuTls,
    /// Go's `crypto/tls`.
    GoCryptoTls,
    /// Mozilla's NSS.
    Nss,
    /// rustls.
    Rustls,
    /// Mbed TLS.
    MbedTls,
    /// wolfSSL.
    WolfSsl,
    /// Amazon's s2n-tls.
    S2n,
    /// A Java virtual machine: its TLS is Java code, compiled while it runs.
    Java,
}

impl OtherLibrary {
    /// Returns the name its authors use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GnuTls => "GnuTLS",
            Self::GoCryptoTls => "Go's crypto/tls",
            Self::Nss => "NSS",
            Self::Rustls => "rustls",
            Self::MbedTls => "Mbed TLS",
            Self::WolfSsl => "wolfSSL",
            Self::S2n => "s2n-tls",
            Self::Java => "Java's own TLS (JSSE)",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_finishes_the_sentence_not_traced_because() {
        assert_eq!(Reason::NoTls.to_string(), "it contains no TLS library");
        assert_eq!(
            Reason::LibraryUnsupported(OtherLibrary::GoCryptoTls).to_string(),
            "Go's crypto/tls is not supported yet"
        );
    }
}
