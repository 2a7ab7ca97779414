//! A key and a certificate for a test.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::run;

/// The paths of a key and its self-signed certificate.
#[derive(Debug)]
pub struct Certificate {
    /// The path of the key.
    pub key: PathBuf,
    /// The path of the certificate, for 127.0.0.1 and localhost.
    pub certificate: PathBuf,
}

impl Certificate {
    /// Makes both in a directory.
    pub fn make(directory: &Path) -> Result<Self> {
        let (key, certificate) = (directory.join("key.pem"), directory.join("cert.pem"));
        let mut openssl = Command::new("openssl");
        openssl.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ]);
        openssl.args([
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=IP:127.0.0.1,DNS:localhost",
        ]);
        openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
        run::succeed(&mut openssl)?;
        Ok(Self { key, certificate })
    }
}
