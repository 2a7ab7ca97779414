//! What differs between versions of rustls: the feature `v21`, `v22` or `v23` chooses one.

use std::sync::Arc;

pub use tokio_rustls::rustls;

use crate::common::{self, Failure};

#[cfg(feature = "v21")]
mod version {
    pub use tokio_rustls::rustls::{
        Certificate, PrivateKey as Key, ServerName as Name,
        client::{ServerCertVerified, ServerCertVerifier},
    };
}
#[cfg(not(feature = "v21"))]
mod version {
    pub use tokio_rustls::rustls::{
        DigitallySignedStruct, Error, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    };

    pub type Name = ServerName<'static>;
}
use version::*;

/// Makes the configuration of a server.
pub fn server(certificate: &str, key: &str, offers_http2: bool) -> Result<Arc<rustls::ServerConfig>, Failure> {
    let (certificate, key) = (common::der(certificate)?, common::der(key)?);
    #[cfg(feature = "v21")]
    let mut config = rustls::ServerConfig::builder()
        .with_safe_defaults()
        .with_no_client_auth()
        .with_single_cert(vec![Certificate(certificate)], Key(key))?;
    #[cfg(not(feature = "v21"))]
    let mut config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(
        vec![CertificateDer::from(certificate)],
        PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key)),
    )?;
    if offers_http2 {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    Ok(Arc::new(config))
}

/// Makes the configuration of a client, which trusts every server.
pub fn client(protocols: &[&[u8]]) -> Result<Arc<rustls::ClientConfig>, Failure> {
    let builder = rustls::ClientConfig::builder();
    #[cfg(feature = "v21")]
    let builder = builder
        .with_safe_defaults()
        .with_custom_certificate_verifier(Arc::new(Trusting));
    #[cfg(not(feature = "v21"))]
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Trusting));
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}

/// Returns the name of the server.
pub fn name() -> Result<Name, Failure> {
    Ok(Name::try_from("localhost")?)
}

/// Trusts every server.
#[derive(Debug)]
struct Trusting;

#[cfg(feature = "v21")]
impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &Certificate,
        _: &[Certificate],
        _: &Name,
        _: &mut dyn Iterator<Item = &[u8]>,
        _: &[u8],
        _: std::time::SystemTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
}

#[cfg(not(feature = "v21"))]
impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
