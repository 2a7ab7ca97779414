//! The TLS libraries that have a room, and their close relatives.

/// Names a TLS library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// OpenSSL.
    OpenSsl,
    /// OpenBSD's LibreSSL.
    LibreSsl,
    /// Google's BoringSSL, which states no version.
    BoringSsl,
    /// Amazon's AWS-LC, a relative of BoringSSL.
    AwsLc,
    /// GnuTLS.
    GnuTls,
    /// Go's `crypto/tls`.
    Go,
}

impl Family {
    /// Lists every library.
    pub const ALL: [Self; 6] = [
        Self::OpenSsl,
        Self::LibreSsl,
        Self::BoringSsl,
        Self::AwsLc,
        Self::GnuTls,
        Self::Go,
    ];

    /// Returns its lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenSsl => "openssl",
            Self::LibreSsl => "libressl",
            Self::BoringSsl => "boringssl",
            Self::AwsLc => "aws-lc",
            Self::GnuTls => "gnutls",
            Self::Go => "go",
        }
    }
}
