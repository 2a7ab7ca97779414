//! Reads machine code: which structure fields a function returns, what it calls, and where a probe may sit in it.

pub(crate) mod accessor;
pub(crate) mod site;
pub(crate) mod walk;
pub(crate) mod x86_64;
