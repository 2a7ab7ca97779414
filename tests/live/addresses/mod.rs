//! Addresses of exchanges, compared with those that the traced program or its peer logs.
//!
//! Connections go to 127.0.0.1 and `::1`. The machine must have both.

pub(crate) mod claims;
mod socket_bio;
mod nginx;
mod haproxy;
mod apache;
mod curl;
mod asyncio;
mod node;
mod unix;
mod sockets;
mod without_btf;
