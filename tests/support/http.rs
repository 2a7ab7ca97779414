//! Asks HTTP servers that are not traced.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use crate::wait;

/// Returns the body of the response to a GET of a path at an address. Fails unless the status is 200.
pub fn get(address: &str, path: &str, accept: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    // A server that hangs must not hang the test.
    stream.set_read_timeout(Some(Duration::from_secs(wait::DEADLINE.as_secs())))?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let (head, body) = response
        .split_once("\r\n\r\n")
        .context("the response has no end of its head")?;
    let status = head.split(' ').nth(1);
    ensure!(status == Some("200"), "{path}: {head}");
    Ok(body.to_owned())
}
