//! HTTP/1.1 and HTTP/2 by hyper over `tokio_rustls`.

use std::sync::Arc;

use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Bytes, body::Incoming, client::conn, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::{
    common::{self, ANSWER, Failure, ID},
    tls::{self, rustls},
};

fn run<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_io().build()?.block_on(future)
}

/// Answers every request.
pub fn serve(config: Arc<rustls::ServerConfig>) -> Result<(), Failure> {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        common::say(&format!("port {}", listener.local_addr()?.port()));
        let acceptor = TlsAcceptor::from(config);
        loop {
            let (socket, _) = listener.accept().await?;
            tokio::spawn(answer_all(acceptor.clone(), socket));
        }
    })
}

async fn answer_all(acceptor: TlsAcceptor, socket: TcpStream) -> Result<(), Failure> {
    let (local, remote) = (socket.local_addr()?, socket.peer_addr()?);
    let stream = acceptor.accept(socket).await?;
    let service = service_fn(|request: Request<Incoming>| async move {
        let id = request.headers().get(ID).cloned();
        request.into_body().collect().await?;
        let mut response = Response::new(Full::new(Bytes::from_static(ANSWER.as_bytes())));
        if let Some(id) = id {
            common::log("served", id.to_str().unwrap_or_default(), local, remote);
            response.headers_mut().insert(ID, id);
        }
        Ok::<_, hyper::Error>(response)
    });
    auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await
}

/// Asks over each connection from a task of its own.
pub fn ask(address: &str, connections: usize, requests: usize, is_h2: bool) -> Result<(), Failure> {
    let config = tls::client(if is_h2 { &[b"h2"] } else { &[b"http/1.1"] })?;
    run(async {
        let tasks: Vec<_> = (0..connections)
            .map(|connection| {
                let connector = TlsConnector::from(Arc::clone(&config));
                tokio::spawn(ask_over_one(connector, address.to_owned(), connection, requests, is_h2))
            })
            .collect();
        for task in tasks {
            task.await??;
        }
        Ok(())
    })
}

async fn ask_over_one(
    connector: TlsConnector,
    address: String,
    connection: usize,
    requests: usize,
    is_h2: bool,
) -> Result<(), Failure> {
    let socket = TcpStream::connect(address).await?;
    let (local, remote) = (socket.local_addr()?, socket.peer_addr()?);
    let stream = TokioIo::new(connector.connect(tls::name()?, socket).await?);
    let mut sender = if is_h2 {
        let (sender, driver) = conn::http2::handshake(TokioExecutor::new(), stream).await?;
        tokio::spawn(driver);
        Sender::Http2(sender)
    } else {
        let (sender, driver) = conn::http1::handshake(stream).await?;
        tokio::spawn(driver);
        Sender::Http1(sender)
    };
    for request in 0..requests {
        let id = format!("a{connection}-{request}");
        let asked = Request::post(format!("https://localhost/{request}"))
            .header("host", "localhost")
            .header(ID, &id)
            .body(Body::from("body"))?;
        let response = sender.send(asked).await?;
        let (status, answered) = (response.status(), response.headers().get(ID).cloned());
        let body = response.into_body().collect().await?.to_bytes();
        if status != 200 || answered.is_none_or(|answered| answered != id.as_str()) || body != ANSWER {
            return Err(format!("{id} was answered with {status}").into());
        }
        common::log("asked", &id, local, remote);
    }
    Ok(())
}

type Body = Full<Bytes>;

enum Sender {
    Http1(conn::http1::SendRequest<Body>),
    Http2(conn::http2::SendRequest<Body>),
}

impl Sender {
    async fn send(&mut self, request: Request<Body>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Http2(sender) => sender.send_request(request).await,
        }
    }
}
