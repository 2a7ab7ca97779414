//! Why a sound image is not traced.
//!
//! The `Display` of a [`Reason`] finishes the sentence "not traced because …".

use std::fmt;

use crate::cause::Cause;
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
    /// It is a program of Go, and its TLS is not traced.
    Go(GoRefusal),
    /// It holds BoringSSL or AWS-LC, has no names of its functions, and these are not found without.
    Stripped(StrippedRefusal),
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
            Self::Go(why) => write!(f, "{why}"),
            Self::Stripped(why) => {
                write!(
                    f,
                    "its TLS library has been stripped of the names of its functions, and {why}"
                )
            }
            Self::VersionUnsupported(version) => write!(f, "its TLS library is too old ({})", version.text),
        }
    }
}

/// Says why TLS in a program of Go is not traced.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GoRefusal {
    /// The table of functions is not there, is scrambled, or has a form that is not known.
    NoFunctionTable,
    /// No version of Go is stated, so that it is not known where functions find their arguments.
    VersionUnknown,
    /// The version has functions take their arguments on the stack: Go 1.16 and older.
    ArgumentsOnStack(String),
    /// Go's code for this machine is not analysed.
    MachineUnsupported,
    /// A profile guided the compiler, which may have put copies of the functions elsewhere.
    Profiled,
    /// The code of `Read` does not prove where its bytes are.
    ReadNotProven(Cause),
    /// Nor does that of `Write`.
    WriteNotProven(Cause),
    /// A package that is not Go's own has a copy of its TLS, and no `Read` or `Write` of it is used.
    Fork(String),
}

impl fmt::Display for GoRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFunctionTable => {
                f.write_str("the table of its Go functions is scrambled, as garble does it, or has an unknown form")
            }
            Self::VersionUnknown => f.write_str("it does not state its version of Go"),
            Self::ArgumentsOnStack(version) => {
                write!(
                    f,
                    "{version} passes arguments on the stack, and only later code is analysed (Go 1.17)"
                )
            }
            Self::MachineUnsupported => f.write_str("Go code for this machine is not analysed"),
            Self::Profiled => {
                f.write_str("its Go compiler was guided by a profile (-pgo) and may have inlined the functions")
            }
            Self::ReadNotProven(cause) => write!(
                f,
                "neither a tap nor exits are proven for Read of Go's crypto/tls: {cause}"
            ),
            Self::WriteNotProven(cause) => write!(
                f,
                "neither a tap nor exits are proven for Write of Go's crypto/tls: {cause}"
            ),
            Self::Fork(package) => write!(
                f,
                "its Go package {package}, a copy of crypto/tls, is used by functions that are not known"
            ),
        }
    }
}

/// Says why BoringSSL without names is not traced.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StrippedRefusal {
    /// Several functions may be the one.
    SeveralCopies(&'static str),
    /// The code of what may be `SSL_read` does not prove where its bytes are.
    ReadNotProven(Cause),
    /// Nor does that of `tls_seal_record`, or of what calls it.
    WriteNotProven(Cause),
    /// The library's other functions are found, and this one is not.
    FunctionMissing(&'static str),
    /// Where connections end is not known, and so not which bytes belong to which.
    EndUnknown,
}

impl fmt::Display for StrippedRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SeveralCopies(name) => write!(f, "several of them may be {name}"),
            Self::ReadNotProven(cause) => write!(f, "no tap is proven for what may be SSL_read: {cause}"),
            Self::WriteNotProven(cause) => write!(f, "no tap is proven for what may be tls_seal_record: {cause}"),
            Self::FunctionMissing(name) => write!(f, "{name} is not found"),
            Self::EndUnknown => f.write_str("the function that ends a connection is not found"),
        }
    }
}

/// Names a TLS library that is recognised and not supported yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtherLibrary {
    /// GnuTLS, or its wrapper with OpenSSL's names.
    GnuTls,
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
    /// The TLS of GCC's compiler of Go, which follows the conventions of C.
    GccGo,
}

impl OtherLibrary {
    /// Returns the name its authors use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GnuTls => "GnuTLS",
            Self::Nss => "NSS",
            Self::Rustls => "rustls",
            Self::MbedTls => "Mbed TLS",
            Self::WolfSsl => "wolfSSL",
            Self::S2n => "s2n-tls",
            Self::Java => "Java's own TLS (JSSE)",
            Self::GccGo => "crypto/tls compiled by gccgo",
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
            Reason::LibraryUnsupported(OtherLibrary::Rustls).to_string(),
            "rustls is not supported yet"
        );
    }
}
