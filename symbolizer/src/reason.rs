//! Why a sound image is not traced.
//!
//! The `Display` of a [`Reason`] finishes the sentence "not traced because …".

use std::fmt;

use crate::cause::Cause;
use crate::libraries::family::Family;
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
    /// It holds a library that is known by the names of its functions, and none of its symbol tables names them.
    Nameless {
        /// The library.
        family: Family,
        /// Its version, if the image states it.
        version: Option<String>,
    },
    /// It names functions for one direction only, so half of every exchange would be missing.
    OneDirection,
    /// It names the functions but places them outside its executable bytes, as a separate debug file does.
    NotInCode,
    /// It is a program of Go, and its TLS is not traced.
    Go(GoRefusal),
    /// It holds rustls, which is not traced.
    Rustls {
        /// The versions whose files it names; none if it names no files, and more than one if it has several copies.
        versions: Vec<String>,
        /// Why it is not traced.
        why: RustlsRefusal,
    },
    /// It holds OpenSSL, BoringSSL or AWS-LC, has no names of its functions, and these are not found without.
    Stripped {
        /// Which of them it is, if that is known.
        family: Option<Family>,
        /// Why they are not found.
        why: StrippedRefusal,
    },
    /// It holds NSS's libssl3, and the functions of connections with TLS are not found.
    NssTable,
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
            Self::NoSymbols => f.write_str(
                "its TLS library has been stripped of the names of its functions, and no debug file with them is installed",
            ),
            Self::Nameless { family, version } => {
                write!(f, "its {}", family.title())?;
                if let Some(version) = version {
                    write!(f, " {version}")?;
                }
                f.write_str(
                    " has been stripped of the names of its functions, and no debug file with them is installed; \
                     a build with symbols is traced",
                )
            }
            Self::OneDirection => f.write_str("it has TLS functions for one direction only"),
            Self::NotInCode => f.write_str("its TLS functions lie outside its executable bytes"),
            Self::Go(why) => write!(f, "{why}"),
            Self::Rustls { versions, why } => {
                f.write_str("its rustls")?;
                for (index, version) in versions.iter().enumerate() {
                    write!(f, "{} {version}", if index == 0 { "" } else { "," })?;
                }
                write!(f, " {why}")
            }
            Self::Stripped { family, why } => {
                let title = family.map_or("TLS library", Family::title);
                write!(
                    f,
                    "its {title} has been stripped of the names of its functions, and {why}; a debug file would name them"
                )
            }
            Self::NssTable => {
                f.write_str("the table of functions of NSS's connections with TLS is not found for certain")
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

/// Says why rustls is not traced: it finishes a sentence that begins with the library and its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RustlsRefusal {
    /// It has no names of its functions, and these are not found for certain without.
    NoSymbols,
    /// Its code for this machine is not analysed.
    MachineUnsupported,
    /// There are several copies of it, and nothing distinguishes their functions.
    SeveralVersions,
    /// Its functions lie outside the executable bytes.
    NotInCode,
    /// The code of what takes the content of the peer's records does not prove where the bytes are.
    ReadNotProven(Cause),
    /// Nor does that of what sends.
    WriteNotProven(Cause),
    /// Nor does that of what makes the objects that encrypt: it would not be known where connections begin.
    BeginningNotProven(Cause),
}

impl fmt::Display for RustlsRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSymbols => f.write_str(
                "has been stripped of the names of its functions, and these are not found for certain without",
            ),
            Self::MachineUnsupported => f.write_str("is not analysed on this machine"),
            Self::SeveralVersions => f.write_str("cannot be traced: there are several versions of it"),
            Self::NotInCode => f.write_str("has its functions outside the executable bytes"),
            Self::ReadNotProven(cause) => write!(f, "has no proven tap for what it receives: {cause}"),
            Self::WriteNotProven(cause) => write!(f, "has no proven tap for what it sends: {cause}"),
            Self::BeginningNotProven(cause) => {
                write!(f, "does not prove where its connections begin: {cause}")
            }
        }
    }
}

/// Says why OpenSSL, BoringSSL or AWS-LC without names is not traced.
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
            Reason::LibraryUnsupported(OtherLibrary::Java).to_string(),
            "Java's own TLS (JSSE) is not supported yet"
        );
        let stripped = |family| Reason::Stripped {
            family,
            why: StrippedRefusal::EndUnknown,
        };
        for (family, title) in [(Some(Family::AwsLc), "AWS-LC"), (None, "TLS library")] {
            assert_eq!(
                stripped(family).to_string(),
                format!(
                    "its {title} has been stripped of the names of its functions, and the function that ends a connection is \
                     not found; a debug file would name them"
                )
            );
        }
        let nameless = |family, version: Option<&str>| Reason::Nameless {
            family,
            version: version.map(str::to_owned),
        };
        assert_eq!(
            nameless(Family::WolfSsl, Some("5.5.4")).to_string(),
            "its wolfSSL 5.5.4 has been stripped of the names of its functions, and no debug file with them is \
             installed; a build with symbols is traced"
        );
        assert!(
            nameless(Family::S2n, None)
                .to_string()
                .starts_with("its s2n-tls has been stripped")
        );
        let of = |versions: &[&str], why| Reason::Rustls {
            versions: versions.iter().map(|version| (*version).to_owned()).collect(),
            why,
        };
        assert_eq!(
            of(&["0.23.46"], RustlsRefusal::MachineUnsupported).to_string(),
            "its rustls 0.23.46 is not analysed on this machine"
        );
        assert_eq!(
            of(&["0.21.1", "0.23.2"], RustlsRefusal::SeveralVersions).to_string(),
            "its rustls 0.21.1, 0.23.2 cannot be traced: there are several versions of it"
        );
    }
}
