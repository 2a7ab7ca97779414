//! Loopback addresses and free ports.

use std::net::TcpListener;

use anyhow::{Context as _, Result};

use crate::wait;

/// The loopback address of IPv4.
pub const IPV4: &str = "127.0.0.1";

/// The loopback address of IPv6, in brackets.
pub const IPV6: &str = "[::1]";

/// Returns the loopback addresses of this machine, in the form used before a port.
pub fn hosts() -> Vec<&'static str> {
    let exists = |host: &&str| TcpListener::bind(format!("{host}:0")).is_ok();
    [IPV4, IPV6].into_iter().filter(exists).collect()
}

/// Returns a port that is free on all of them.
pub fn free_port() -> Result<u16> {
    wait::until("a port that is free on every loopback address", || {
        let first = TcpListener::bind((IPV4, 0)).context("no port is free")?;
        let port = first.local_addr()?.port();
        let mut others = hosts().into_iter().filter(|host| *host != IPV4);
        let free = others.all(|host| TcpListener::bind(format!("{host}:{port}")).is_ok());
        Ok(free.then_some(port))
    })
}
