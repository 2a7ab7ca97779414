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
    /// Mbed TLS.
    MbedTls,
    /// wolfSSL.
    WolfSsl,
    /// Amazon's s2n-tls.
    S2n,
    /// Mozilla's NSS.
    Nss,
    /// Go's `crypto/tls`.
    Go,
    /// rustls.
    Rustls,
}

impl Family {
    /// Lists every library.
    pub const ALL: [Self; 11] = [
        Self::OpenSsl,
        Self::LibreSsl,
        Self::BoringSsl,
        Self::AwsLc,
        Self::GnuTls,
        Self::MbedTls,
        Self::WolfSsl,
        Self::S2n,
        Self::Nss,
        Self::Go,
        Self::Rustls,
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
            Self::MbedTls => "mbedtls",
            Self::WolfSsl => "wolfssl",
            Self::S2n => "s2n",
            Self::Nss => "nss",
            Self::Go => "go",
            Self::Rustls => "rustls",
        }
    }

    /// Returns the name its authors use.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::OpenSsl => "OpenSSL",
            Self::LibreSsl => "LibreSSL",
            Self::BoringSsl => "BoringSSL",
            Self::AwsLc => "AWS-LC",
            Self::GnuTls => "GnuTLS",
            Self::MbedTls => "Mbed TLS",
            Self::WolfSsl => "wolfSSL",
            Self::S2n => "s2n-tls",
            Self::Nss => "NSS",
            Self::Go => "Go's crypto/tls",
            Self::Rustls => "rustls",
        }
    }
}
