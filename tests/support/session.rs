//! TLS sessions as nginx's log has them.

use std::{collections::HashMap, fs, path::Path};

use anyhow::{Context as _, Result, bail};

/// The fields of a line, in nginx's words.
pub(crate) const FORMAT: &str =
    "$remote_addr $remote_port $ssl_protocol $ssl_cipher $ssl_alpn_protocol $ssl_server_name";

/// What the two ends of a TLS connection have agreed on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// `TLSv1.3` or the like.
    pub version: String,
    /// The cipher suite.
    pub cipher: String,
    /// The protocol agreed on by ALPN.
    pub alpn: Option<String>,
    /// The server name that the client asked for.
    pub server_name: Option<String>,
}

/// Reads a log; the sessions are known by their clients' addresses.
pub(crate) fn read(path: &Path) -> Result<HashMap<String, Session>> {
    let text = fs::read_to_string(path)?;
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let parse = |line: &str| parse(line).with_context(|| format!("not a line of the log of sessions: {line}"));
    whole.lines().map(parse).collect()
}

fn parse(line: &str) -> Result<(String, Session)> {
    let words: Vec<_> = line.split(' ').collect();
    let [host, port, version, cipher, alpn, server_name] = *words else {
        bail!("there are {} words", words.len());
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
