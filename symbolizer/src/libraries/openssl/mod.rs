//! OpenSSL and the libraries that offer its interface under its names: LibreSSL, BoringSSL and AWS-LC.

pub(crate) mod crypto;
pub(crate) mod derived;
pub(crate) mod internal;
pub(crate) mod layout;
pub(crate) mod socket_method;
pub(crate) mod table;
