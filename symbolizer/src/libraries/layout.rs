//! The way from an `SSL*` to a descriptor and to what was negotiated, or why it is not known.

use std::fmt;

use crate::elf::address::Vaddr;

/// Gives the byte offsets that lead from an `SSL*` to a file descriptor.
///
/// They are the same on x86-64 and aarch64. A descriptor of a BIO that is no socket is meaningless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// From an `SSL` to the pointer to the BIO it reads from.
    pub rbio: u16,
    /// From an `SSL` to the pointer to the BIO it writes to.
    pub wbio: u16,
    /// From a BIO to the pointer to its method, whose first word is the type.
    pub bio_method: u16,
    /// From a BIO to its number, the descriptor of a socket BIO.
    pub bio_num: u16,
    /// What says so.
    pub origin: Origin,
}

/// Says how a connection of Go leads to a descriptor: it begins with a table of methods and a pointer to the connection
/// below, which begins with a pointer to what holds the descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetConn {
    /// The code of `net.(*TCPConn).Read`, before the loader moves the image: only a table of methods that leads there is
    /// that of a TCP socket.
    pub read: Vaddr,
    /// From a table of methods to the one that reads.
    pub method: u16,
    /// From what holds the descriptor to it.
    pub descriptor: u16,
    /// The flag of an embedded field, in the byte that its name begins with: structures are described by their fields, so that
    /// a connection can be found behind others that embed it. Absent where the description has another form.
    pub embedded: Option<u16>,
    /// Bytes of the call at which writes are tapped, if it leaves a return address on the stack.
    pub call: Option<u16>,
}

/// Says how what a connection writes is sent, by a library of which nothing else leads to the socket: within a call of the
/// function that hands it over to be sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sending {
    /// From the stack pointer at the tap of what is written to the return address of that call, in bytes.
    pub frame: Option<u16>,
    /// From an `SSL` to the pointer to the BIO it writes to.
    pub wbio: Option<u16>,
    /// Whether a thread sends within its calls of the library, and all these calls are seen to end: what it sends then is
    /// the connection's.
    pub within_calls: bool,
}

/// Gives the byte offsets that lead from a `BIO*` to a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BioLayout {
    /// To the pointer to its method, whose first word is the type.
    pub method: u16,
    /// To its number, the descriptor of a socket BIO.
    pub num: u16,
}

/// Gives the byte offsets to what a TLS connection has negotiated, each if the library's accessors say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// From an `SSL` to the protocol version, an `int`.
    pub version: Option<u16>,
    /// From an `SSL` to what became of early data, an `int`.
    pub early_data: Option<u16>,
    /// From an `SSL` to the pointer to its session.
    pub session: Option<u16>,
    /// From a session to the pointer to its cipher.
    pub session_cipher: Option<u16>,
    /// From a cipher to the pointer to its name.
    pub cipher_name: Option<u16>,
    /// From an `SSL` to the pointer to the application protocol, which no zero byte ends.
    pub alpn: Option<u16>,
    /// From an `SSL` to the length of that protocol, 32 bits of it.
    pub alpn_length: Option<u16>,
    /// From an `SSL` to the pointer to the server name.
    pub server_name: Option<u16>,
    /// From a session to the pointer to the server name, for sessions that were resumed without one of their own.
    pub session_server_name: Option<u16>,
}

/// Says where a [`Layout`] comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The library's own accessors; the table does not have its version.
    Accessors,
    /// The table of versions, which no accessor contradicts.
    Table,
    /// Both, and they agree.
    Both,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accessors => "the library's own code",
            Self::Table => "the table of versions",
            Self::Both => "the library's own code and the table of versions",
        })
    }
}

/// Says why the layout of a library is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayoutUnknown {
    /// Its connections have no BIOs.
    NoBios,
    /// Neither the image nor its crypto library states a version.
    VersionUnknown,
    /// The image states several versions.
    SeveralVersions,
    /// The image holds several copies of the library.
    SeveralCopies,
    /// The library's accessors have no names.
    Stripped,
    /// The library states no version as a matter of policy.
    VersionNeverStated,
    /// The version is not among those whose source was read.
    VersionNotInTable,
    /// The library has symbols newer than the version that is stated for it.
    VersionContradicted,
    /// The library's accessors load other fields than the table says.
    AccessorsDisagree,
    /// The version alone does not decide, and the library's accessors could not be read.
    AccessorsUnreadable,
}

impl fmt::Display for LayoutUnknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoBios => "the library's connections have no BIOs",
            Self::VersionUnknown => "no version of the library is stated",
            Self::SeveralVersions => "several versions of the library are stated",
            Self::SeveralCopies => "there are several copies of the library",
            Self::Stripped => "its functions have no names",
            Self::VersionNeverStated => "the library never states its version",
            Self::VersionNotInTable => "the structures of this version have not been examined",
            Self::VersionContradicted => "the library has symbols newer than its stated version",
            Self::AccessorsDisagree => "the library's own code contradicts the table of its versions",
            Self::AccessorsUnreadable => "the library's own code does not confirm the table of its versions",
        })
    }
}
