//! TLS sessions in a log of nginx.

use std::{collections::HashMap, fs, path::Path};

use anyhow::{Context as _, Result, bail};

/// The format of a line.
pub(crate) const FORMAT: &str =
    "$remote_addr $remote_port $ssl_protocol $ssl_cipher $ssl_alpn_protocol $ssl_server_name";

/// The negotiated parameters of a TLS connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// The TLS version, such as `TLSv1.3`.
    pub version: String,
    /// The cipher suite.
    pub cipher: String,
    /// The protocol negotiated by ALPN.
    pub alpn: Option<String>,
    /// The server name that the client sent.
    pub server_name: Option<String>,
}

/// Reads a log. Maps client addresses to sessions.
pub(crate) fn read(path: &Path) -> Result<HashMap<String, Session>> {
    let text = fs::read_to_string(path)?;
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let parse = |line: &str| parse(line).with_context(|| format!("cannot parse the line of the session log: {line}"));
    whole.lines().map(parse).collect()
}

fn parse(line: &str) -> Result<(String, Session)> {
    let words: Vec<_> = line.split(' ').collect();
    let [host, port, version, cipher, alpn, server_name] = *words else {
        bail!("it has {} words", words.len());
    };
    let unless_absent = |word: &str| (word != "-").then(|| word.to_owned());
    let session = Session {
        version: version.to_owned(),
        cipher: cipher.to_owned(),
        alpn: unless_absent(alpn),
        server_name: unless_absent(server_name),
    };
    Ok((format!("{host}:{port}"), session))
}
