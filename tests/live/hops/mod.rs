//! Hops of gateways, compared with what their client and their upstream servers know: every request has a unique probe in a
//! header that the gateway passes on.

mod trace;
mod upstream;
mod nginx;
mod mixed;
mod haproxy;
mod caddy;
mod apache;
mod node;
