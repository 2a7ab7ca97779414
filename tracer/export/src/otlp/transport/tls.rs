//! TLS to a collector.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        self, ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{
            CertificateDer, PrivateKeyDer, ServerName,
            pem::{self, PemObject as _},
        },
    },
};

use super::failure::Failure;
use crate::otlp::options::{Protocol, Url};

/// What a TLS connection to one collector needs.
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    /// Reads the certificates: those of the authorities of the machine, unless a file has others.
    pub(super) fn new(
        url: &Url,
        authorities: Option<&Path>,
        identity: Option<&(PathBuf, PathBuf)>,
    ) -> Result<Self, TlsError> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots(authorities)?);
        let mut config = match identity {
            Some((certificate, key)) => {
                let unreadable = |source| TlsError::File {
                    path: key.clone(),
                    source,
                };
                let key = PrivateKeyDer::from_pem_file(key).map_err(unreadable)?;
                config.with_client_auth_cert(certificates(certificate)?, key)?
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = match url.protocol {
            Protocol::Http => vec![b"http/1.1".to_vec()],
            Protocol::Grpc => vec![b"h2".to_vec()],
        };
        let name = ServerName::try_from(url.host.clone()).map_err(|_invalid| TlsError::Name(url.host.clone()))?;
        Ok(Self {
            connector: Arc::new(config).into(),
            name,
        })
    }

    /// Makes the handshake.
    pub(super) async fn connect(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, Failure> {
        Ok(self.connector.connect(self.name.clone(), stream).await?)
    }
}

fn roots(authorities: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let found = match authorities {
        Some(path) => certificates(path)?,
        // Those that cannot be read are as good as those that are not there.
        None => rustls_native_certs::load_native_certs().certs,
    };
    roots.add_parsable_certificates(found);
    if roots.is_empty() {
        return Err(TlsError::NoAuthorities);
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |source| TlsError::File {
        path: path.to_owned(),
        source,
    };
    let certificates = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
    certificates.collect::<Result<_, _>>().map_err(unreadable)
}

/// Why TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A file of certificates or a key.
    #[error("{} cannot be read as PEM", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// There is no certificate of an authority.
    #[error("there are no certificates of authorities; OTEL_EXPORTER_OTLP_CERTIFICATE names a file of them")]
    NoAuthorities,
    /// The host of the URL is not a name that certificates have.
    #[error("{0} is not the name of a host")]
    Name(String),
    /// The certificate and the key do not fit, or the like.
    #[error("TLS cannot be used")]
    Rustls(#[from] rustls::Error),
}
