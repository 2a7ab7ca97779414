//! Reads ELF: headers, segments, symbol tables, relocations, and the names among them that somebody asks for.
//!
//! Nothing here knows a library. `image` alone names the `object` crate; addresses and file offsets are types of their
//! own, because a symbol states one and the kernel wants the other.

pub(crate) mod address;
pub(crate) mod debugdata;
pub(crate) mod dynamic;
pub(crate) mod identity;
pub(crate) mod image;
pub(crate) mod machine;
pub(crate) mod survey;
pub(crate) mod unread;
