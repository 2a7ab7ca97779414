//! Carries requests to a collector, over HTTP/1.1 or as gRPC over HTTP/2, with TLS or without.

mod failure;
mod tls;
mod connection;
mod answer;
mod grpc;

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Version,
    header::{CONTENT_TYPE, HOST, TE, USER_AGENT},
};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use tokio::time::timeout;

pub(super) use answer::Answer;
pub(super) use tls::TlsError;

use self::{
    answer::Received,
    connection::Connection,
    failure::{Failure, describe},
    tls::Tls,
};
use super::options::{Protocol, Security, Target, Url};
use crate::limits::MAX_ANSWER_BYTES;

/// A client of one collector for one signal.
pub(super) struct Client {
    url: Url,
    /// The field of each request.
    headers: HeaderMap,
    tls: Option<Tls>,
    /// How long a request may take.
    timeout: Duration,
    connection: Option<Connection>,
}

impl Client {
    /// Prepares a client. It connects when there is something to send.
    pub(super) fn new(target: &Target) -> Result<Self, TlsError> {
        let Target {
            signal: _,
            url,
            headers: given,
            timeout,
            authorities,
            identity,
        } = target;
        let mut headers = HeaderMap::new();
        for header in given {
            headers.insert(header.name.clone(), header.value.clone());
        }
        headers.insert(USER_AGENT, HeaderValue::from_static(OWN_USER_AGENT));
        match url.protocol {
            Protocol::Http => headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf")),
            Protocol::Grpc => {
                headers.insert(TE, HeaderValue::from_static("trailers"));
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"))
            }
        };
        let tls = match url.security {
            Security::Tls => Some(Tls::new(url, authorities.as_deref(), identity.as_ref())?),
            Security::Plain => None,
        };
        Ok(Self {
            url: url.clone(),
            headers,
            tls,
            timeout: *timeout,
            connection: None,
        })
    }

    /// Returns the URL.
    pub(super) const fn url(&self) -> &Url {
        &self.url
    }

    /// Sends a request and returns what the collector answers by `until`, if not sooner.
    pub(super) async fn send(&mut self, body: Bytes, until: Option<Instant>) -> Answer {
        let left = until.map_or(self.timeout, |until| until.saturating_duration_since(Instant::now()));
        let answer = match timeout(self.timeout.min(left), self.exchange(body)).await {
            Ok(Ok(received)) => match self.url.protocol {
                Protocol::Http => received.http(),
                Protocol::Grpc => received.grpc(),
            },
            Ok(Err(failure)) if failure.is::<LengthLimitError>() => Answer::unknown(),
            Ok(Err(failure)) => Answer::later(describe(&failure)),
            Err(_elapsed) => Answer::later("no answer in time".to_owned()),
        };
        if !matches!(answer, Answer::Accepted { .. }) {
            // What the connection would say next may belong to this request.
            self.connection = None;
        }
        answer
    }

    async fn exchange(&mut self, body: Bytes) -> Result<Received, Failure> {
        let body = match self.url.protocol {
            Protocol::Http => body,
            Protocol::Grpc => grpc::frame(&body)?,
        };
        if let Some(connection) = &mut self.connection
            && !connection.is_ready().await
        {
            self.connection = None;
        }
        let connection = match &mut self.connection {
            Some(connection) => connection,
            unconnected => unconnected.insert(Connection::open(&self.url, self.tls.as_ref()).await?),
        };
        let request = request(&self.url, &self.headers, body)?;
        let (head, body) = connection.send(request).await?.into_parts();
        let collected = Limited::new(body, MAX_ANSWER_BYTES).collect().await?;
        Ok(Received {
            status: head.status,
            headers: head.headers,
            trailers: collected.trailers().cloned().unwrap_or_default(),
            body: collected.to_bytes(),
        })
    }
}

fn request(url: &Url, headers: &HeaderMap, body: Bytes) -> Result<Request<Full<Bytes>>, Failure> {
    let (version, uri) = match url.protocol {
        Protocol::Http if url.path.is_empty() => (Version::HTTP_11, "/".to_owned()),
        Protocol::Http => (Version::HTTP_11, url.path.clone()),
        Protocol::Grpc => (
            Version::HTTP_2,
            format!("{}://{}{}", url.scheme(), url.authority(), url.path),
        ),
    };
    let mut request = Request::builder()
        .method(Method::POST)
        .version(version)
        .uri(uri)
        .body(Full::new(body))?;
    *request.headers_mut() = headers.clone();
    if url.protocol == Protocol::Http {
        request.headers_mut().insert(HOST, url.authority().try_into()?);
    }
    Ok(request)
}

/// The user agent of exports, by which exchanges of them are known.
pub(super) const OWN_USER_AGENT: &str = concat!("tlscope/", env!("CARGO_PKG_VERSION"), " (OTLP)");
