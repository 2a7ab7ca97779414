//! The functions of the OpenSSL interface that a plan may hold.
//!
//! In: a symbol name. Out: the [`Role`] of the function it names. Refused: every other name, above all
//! `SSL_peek`, which hands out bytes that `SSL_read` hands out again.

/// Says what a function does for its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// `SSL_read`: hands out plaintext, count returned.
    Read,
    /// `SSL_write`: takes plaintext, count returned.
    Write,
    /// `SSL_read_ex`: hands out plaintext, count stored through its fourth argument.
    ReadEx,
    /// `SSL_write_ex`: takes plaintext, count stored through its fourth argument.
    WriteEx,
    /// `SSL_write_ex2`: takes plaintext, count stored through its fifth argument (OpenSSL 3.3).
    WriteEx2,
    /// `SSL_set_fd`: names the descriptor of both directions.
    SetFd,
    /// `SSL_set_rfd`: names the descriptor read from.
    SetRfd,
    /// `SSL_set_wfd`: names the descriptor written to.
    SetWfd,
    /// `SSL_set_bio`: names the BIOs of both directions.
    SetBio,
    /// `SSL_set0_rbio`: names the BIO read from.
    SetRbio,
    /// `SSL_set0_wbio`: names the BIO written to.
    SetWbio,
    /// `SSL_free`: ends a connection's state.
    Free,
    /// `SSL_clear`: resets a connection's state for another connection.
    Clear,
    /// `SSL_do_handshake`: agrees on keys.
    Handshake,
    /// `SSL_sendfile`: has the kernel send from a file, count returned (OpenSSL 3.0).
    Sendfile,
    /// `SSL_write_early_data`: takes plaintext before it is known whether the peer accepts it, and calls what writes.
    WriteEarly,
    /// `SSL_read_early_data`: hands out plaintext that was accepted, and calls what reads; only servers call it.
    ReadEarly,
    /// `BIO_write`, of the crypto library: takes ciphertext from the TLS library.
    BioWrite,
}

impl Role {
    /// Lists every role.
    pub const ALL: [Self; 18] = [
        Self::Read,
        Self::Write,
        Self::ReadEx,
        Self::WriteEx,
        Self::WriteEx2,
        Self::SetFd,
        Self::SetRfd,
        Self::SetWfd,
        Self::SetBio,
        Self::SetRbio,
        Self::SetWbio,
        Self::Free,
        Self::Clear,
        Self::Handshake,
        Self::Sendfile,
        Self::WriteEarly,
        Self::ReadEarly,
        Self::BioWrite,
    ];

    /// Returns the name of the function.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Read => "SSL_read",
            Self::Write => "SSL_write",
            Self::ReadEx => "SSL_read_ex",
            Self::WriteEx => "SSL_write_ex",
            Self::WriteEx2 => "SSL_write_ex2",
            Self::SetFd => "SSL_set_fd",
            Self::SetRfd => "SSL_set_rfd",
            Self::SetWfd => "SSL_set_wfd",
            Self::SetBio => "SSL_set_bio",
            Self::SetRbio => "SSL_set0_rbio",
            Self::SetWbio => "SSL_set0_wbio",
            Self::Free => "SSL_free",
            Self::Clear => "SSL_clear",
            Self::Handshake => "SSL_do_handshake",
            Self::Sendfile => "SSL_sendfile",
            Self::WriteEarly => "SSL_write_early_data",
            Self::ReadEarly => "SSL_read_early_data",
            Self::BioWrite => "BIO_write",
        }
    }

    pub(crate) fn of_symbol(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.symbol().as_bytes() == name)
    }

    /// Says whether the function hands plaintext to its caller.
    #[must_use]
    pub const fn reads(self) -> bool {
        matches!(self, Self::Read | Self::ReadEx)
    }

    /// Says whether the function takes plaintext from its caller.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self, Self::Write | Self::WriteEx | Self::WriteEx2)
    }

    /// Says whether what the function returns matters: a return probe stands beside its probe.
    #[must_use]
    pub const fn has_result(self) -> bool {
        self.reads()
            || self.writes()
            || matches!(
                self,
                Self::SetFd | Self::SetRfd | Self::SetWfd | Self::Handshake | Self::Sendfile | Self::WriteEarly
            )
    }

    /// Returns how many arguments the function has.
    pub(crate) const fn arguments(self) -> usize {
        match self {
            Self::Free | Self::Clear | Self::Handshake | Self::Sendfile | Self::WriteEarly | Self::ReadEarly => 1,
            Self::SetFd | Self::SetRfd | Self::SetWfd | Self::SetRbio | Self::SetWbio => 2,
            Self::Read | Self::Write | Self::SetBio | Self::BioWrite => 3,
            Self::ReadEx | Self::WriteEx => 4,
            Self::WriteEx2 => 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_is_found_by_its_symbol() {
        for role in Role::ALL {
            assert_eq!(Role::of_symbol(role.symbol().as_bytes()), Some(role));
        }
    }

    #[test]
    fn peeking_has_no_role() {
        assert_eq!(Role::of_symbol(b"SSL_peek"), None);
        assert_eq!(Role::of_symbol(b"SSL_peek_ex"), None);
    }
}
