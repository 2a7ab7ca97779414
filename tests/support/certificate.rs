//! A key and a certificate for a test.

use std::{
    fs,
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
        Self::make_with(directory, &[])
    }

    /// Makes both, of which the certificate is not that of an authority, as some clients demand of a server.
    pub fn make_of_server(directory: &Path) -> Result<Self> {
        // The configuration of the machine would make it one of an authority.
        let config = directory.join("openssl.cnf");
        fs::write(&config, "[req]\ndistinguished_name = name\n[name]\n")?;
        let config = config.to_string_lossy();
        Self::make_with(
            directory,
            &["-config", &config, "-addext", "basicConstraints=critical,CA:FALSE"],
        )
    }

    fn make_with(directory: &Path, options: &[&str]) -> Result<Self> {
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
        openssl
            .args(options)
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate);
        run::succeed(&mut openssl)?;
        Ok(Self { key, certificate })
    }
}
