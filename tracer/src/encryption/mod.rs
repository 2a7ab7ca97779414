//! Encrypted tapes, in the format of age (age-encryption.org/v1).
//!
//! A tape is encrypted as it is written, in chunks of 64 KiB, each with a tag, so that no plaintext gets to the disk, and what is
//! read is what was written. Of a tape that is cut short, all chunks that are whole can be read.

#[cfg(all(feature = "encryption", feature = "live"))]
mod recipients;
#[cfg(all(feature = "encryption", feature = "live"))]
mod writer;
#[cfg(feature = "encryption")]
mod identities;
#[cfg(feature = "encryption")]
mod reader;
#[cfg(not(feature = "encryption"))]
mod unavailable;

#[cfg(not(feature = "encryption"))]
pub(crate) use self::unavailable::{IdentityArgs, decrypted};
#[cfg(all(not(feature = "encryption"), feature = "live"))]
pub(crate) use self::unavailable::{RecipientArgs, Recipients, TapeFile};
#[cfg(feature = "encryption")]
pub(crate) use self::{identities::IdentityArgs, reader::decrypted};
#[cfg(all(feature = "encryption", feature = "live"))]
pub(crate) use self::{
    recipients::{RecipientArgs, Recipients},
    writer::TapeFile,
};
