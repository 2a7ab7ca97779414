//! Addresses of every exchange, each held against what the traced program itself says.
//!
//! Each program is traced by its pid and nothing else. Connections go to 127.0.0.1 and to `::1`; both have to exist.

pub(crate) mod claims;
mod mine;
mod nginx;
mod haproxy;
mod apache;
mod curl;
mod asyncio;
mod node;
mod unix;
mod sockets;
mod without_btf;
