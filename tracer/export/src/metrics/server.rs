//! The HTTP server that answers Prometheus.
//!
//! It has a thread of its own. What a client may cost is bounded: the size of its request, the number of connections, and how
//! long each may take, so that one that reads slowly or sends nothing is cut off.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderName},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener as AsyncListener, TcpStream},
    runtime::{Builder, Runtime},
    sync::oneshot,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{exposition::Exposition, state::Shared};
use crate::limits::{MAX_READER_HEAD_BYTES, MAX_READERS};

/// How long a connection may take, for one request.
const CONNECTION_TIME: Duration = Duration::from_secs(10);

/// The pause after a connection could not be accepted, such as for lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A running server. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    /// Ends the thread when it is dropped.
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on an address, and answers from now on.
    pub(super) fn start(address: SocketAddr, shared: Arc<Shared>) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("metrics".to_owned());
        let thread = thread.spawn(move || run(&runtime, listener, &shared, stopped))?;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Returns the address that it listens on.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It waits for nobody: connections are cut.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn run(runtime: &Runtime, listener: TcpListener, shared: &Arc<Shared>, stopped: oneshot::Receiver<Infallible>) {
    runtime.block_on(async {
        // It was made non-blocking, so this fails only if the runtime has no driver.
        if let Ok(listener) = AsyncListener::from_std(listener) {
            tokio::select! {
                () = accept(&listener, shared) => {}
                _ = stopped => {}
            }
        }
    });
}

#[expect(clippy::infinite_loop, reason = "the caller stops it")]
async fn accept(listener: &AsyncListener, shared: &Arc<Shared>) {
    let mut readers = JoinSet::new();
    loop {
        while readers.try_join_next().is_some() {}
        if readers.len() >= MAX_READERS {
            drop(readers.join_next().await);
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                readers.spawn(serve(stream, Arc::clone(shared)));
            }
            Err(_exhausted) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(|request| {
        let answer = answer(&request, &shared);
        async { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .header_read_timeout(None)
        .max_buf_size(MAX_READER_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    // Whatever goes wrong on it is between the client and its connection.
    drop(timeout(CONNECTION_TIME, connection).await);
}

fn answer(request: &Request<Incoming>, shared: &Shared) -> Response<String> {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let text = "only GET and HEAD are answered\n".to_owned();
        return with(StatusCode::METHOD_NOT_ALLOWED, (ALLOW, "GET, HEAD"), text);
    }
    match request.uri().path() {
        "/metrics" => metrics(request, shared),
        "/healthz" if shared.is_alive() => plain(StatusCode::OK, "ok\n"),
        "/healthz" => plain(StatusCode::SERVICE_UNAVAILABLE, "stalled\n"),
        _ => plain(StatusCode::NOT_FOUND, "there are /metrics and /healthz\n"),
    }
}

fn metrics(request: &Request<Incoming>, shared: &Shared) -> Response<String> {
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let exposition = Exposition::of(accept.unwrap_or_default());
    match exposition.format(shared.snapshot()) {
        Ok(text) => with(StatusCode::OK, (CONTENT_TYPE, exposition.content_type()), text),
        Err(_unprintable) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be printed\n"),
    }
}

fn plain(status: StatusCode, text: &str) -> Response<String> {
    with(status, (CONTENT_TYPE, "text/plain; charset=utf-8"), text.to_owned())
}

fn with(status: StatusCode, (name, value): (HeaderName, &'static str), text: String) -> Response<String> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let value = hyper::header::HeaderValue::from_static(value);
    response.headers_mut().insert(name, value);
    response
}
