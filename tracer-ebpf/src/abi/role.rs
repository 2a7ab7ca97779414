//! Roles: what probed functions do for their callers, in any TLS library.
//!
//! The symbolizer gives each hook a role, and the programs that run at its probes act by it.

use crate::Direction;

/// Defines the roles with their numbers and names.
macro_rules! roles {
    ($($(#[$about:meta])* $role:ident = $number:literal, $name:literal;)+) => {
        /// What a probed function does for its caller; [`crate::SiteOperands`] has where its operands are.
        ///
        /// 2 to 4 are not used again: in tapes up to version 3 they are reads and writes whose count an argument points to.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[repr(u8)]
        pub enum Role {
            $($(#[$about])* $role = $number,)+
        }

        impl Role {
            /// Lists every role.
            pub const ALL: &'static [Self] = &[$(Self::$role,)+];

            /// Returns the role of a number; `None` if no role has it.
            pub const fn of_number(number: u8) -> Option<Self> {
                Some(match number {
                    $($number => Self::$role,)+
                    _ => return None,
                })
            }

            /// Returns a short lower-case name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$role => $name,)+
                }
            }
        }
    };
}

roles! {
    /// Hands out plaintext.
    Read = 0, "read";
    /// Takes plaintext.
    Write = 1, "write";
    /// Sets the file descriptors of a connection.
    Descriptor = 5, "descriptor";
    /// Sets what a connection reads from and writes to, which need not be a file descriptor: one that was known
    /// holds no longer.
    Bio = 6, "bio";
    /// Ends a connection's state.
    End = 7, "end";
    /// Resets a connection's state for another connection.
    Clear = 8, "clear";
    /// Agrees on keys.
    Handshake = 9, "handshake";
    /// Takes ciphertext from the TLS library; its object is no connection.
    Ciphertext = 10, "ciphertext";
    /// Has the kernel send from a file: bytes pass that no program of this process has.
    Sendfile = 11, "sendfile";
    /// Takes plaintext before it is known whether the peer accepts it. Where there is no buffer among the operands, the
    /// function calls one that writes.
    EarlyWrite = 12, "early-write";
    /// Hands out plaintext that came before the handshake was complete; only servers call it. Where there is no buffer
    /// among the operands, the function calls one that reads.
    EarlyRead = 13, "early-read";
    /// Sends what functions that write have accepted before. What they do within its calls is not new.
    Flush = 14, "flush";
}

impl Role {
    /// Returns the number of the role.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Returns the direction of the bytes that calls move; `None` if they move none themselves.
    pub const fn moves(self) -> Option<Direction> {
        match self {
            Self::Read => Some(Direction::READ),
            Self::Write | Self::Sendfile => Some(Direction::WRITE),
            Self::Descriptor
            | Self::Bio
            | Self::End
            | Self::Clear
            | Self::Handshake
            | Self::Ciphertext
            | Self::EarlyWrite
            | Self::EarlyRead
            | Self::Flush => None,
        }
    }

    /// Returns whether plaintext of an established connection passes through the function.
    pub const fn carries_plaintext(self) -> bool {
        match self {
            Self::Read | Self::Write => true,
            Self::Descriptor
            | Self::Bio
            | Self::End
            | Self::Clear
            | Self::Handshake
            | Self::Ciphertext
            | Self::Sendfile
            | Self::EarlyWrite
            | Self::EarlyRead
            | Self::Flush => false,
        }
    }

    /// Returns whether a call marks its connection until it ends, so that its end matters also where it fails.
    pub const fn marks_connection(self) -> bool {
        match self {
            Self::EarlyWrite | Self::Flush => true,
            Self::Read
            | Self::Write
            | Self::Descriptor
            | Self::Bio
            | Self::End
            | Self::Clear
            | Self::Handshake
            | Self::Ciphertext
            | Self::Sendfile
            | Self::EarlyRead => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_found_by_its_number_and_no_other_number_is_one() {
        assert!(
            Role::ALL
                .iter()
                .all(|role| Role::of_number(role.number()) == Some(*role))
        );
        assert_eq!((0..=u8::MAX).filter_map(Role::of_number).count(), Role::ALL.len());
        assert!((2..5).all(|number| Role::of_number(number).is_none()));
    }
}
