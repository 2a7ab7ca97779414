//! Recognises TLS libraries, one room for each that is understood.

pub(crate) mod library;
pub(crate) mod openssl;
pub(crate) mod traces;
pub(crate) mod version;
