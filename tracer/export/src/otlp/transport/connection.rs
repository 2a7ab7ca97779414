//! A connection to a collector.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use super::{failure::Failure, tls::Tls};
use crate::otlp::options::{Protocol, Url};

/// A connection that is open, as far as it is known.
pub(super) enum Connection {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    /// Connects.
    pub(super) async fn open(url: &Url, tls: Option<&Tls>) -> Result<Self, Failure> {
        let stream = TcpStream::connect((url.host.as_str(), url.port)).await?;
        // A request is written as a whole.
        stream.set_nodelay(true)?;
        match tls {
            Some(tls) => Self::start(url.protocol, tls.connect(stream).await?).await,
            None => Self::start(url.protocol, stream).await,
        }
    }

    async fn start(
        protocol: Protocol,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Self, Failure> {
        let io = TokioIo::new(stream);
        // The tasks end with their connections. What is wrong with these, their requests tell.
        match protocol {
            Protocol::Http => {
                let (sender, connection) = http1::handshake(io).await?;
                drop(tokio::spawn(connection));
                Ok(Self::Http1(sender))
            }
            Protocol::Grpc => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
                drop(tokio::spawn(connection));
                Ok(Self::Http2(sender))
            }
        }
    }

    /// Waits until a request can be sent; returns false if none can any more.
    pub(super) async fn is_ready(&mut self) -> bool {
        match self {
            Self::Http1(sender) => sender.ready().await.is_ok(),
            Self::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    /// Sends a request, and returns the head of the response.
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        Ok(match self {
            Self::Http1(sender) => sender.send_request(request).await?,
            Self::Http2(sender) => sender.send_request(request).await?,
        })
    }
}
