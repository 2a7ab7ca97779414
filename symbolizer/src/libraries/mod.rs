//! The TLS libraries that are understood, a room for each.
//!
//! A room has a table of the library's functions and a finder, which turns an image into a plan; `rooms` lists them.
//! The rest is shared: `function` is how a table describes a function, `hooks` makes hooks of those that are found,
//! `exit` makes those that need no
//! return probe, `coverage` says whether they are enough, and `traces` recognises libraries that have no room by the marks they
//! leave.

pub(crate) mod coverage;
pub(crate) mod exit;
pub(crate) mod family;
pub(crate) mod found;
pub(crate) mod function;
pub(crate) mod gnutls;
pub(crate) mod go;
pub(crate) mod hooks;
pub(crate) mod layout;
pub(crate) mod library;
pub(crate) mod linkage;
pub(crate) mod named;
pub(crate) mod nss;
pub(crate) mod openssl;
pub(crate) mod rooms;
pub(crate) mod rustls;
mod surroundings;
pub(crate) mod traces;
pub(crate) mod version;
