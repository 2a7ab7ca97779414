//! The client of a conversation.

use std::future::poll_fn;
use std::rc::Rc;

use bytes::Bytes;
use h2::client::{Builder, PushPromises, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderValue, Request};
use tokio::task::{JoinHandle, spawn_local};

use crate::fields::header_map;
use crate::peer::{ID, pause, receive, send, send_some, until};
use crate::plan::{self, Body, Manner, Plan};
use crate::received::{self, End, Record};
use crate::tap::Tap;

pub(crate) async fn run(plan: Rc<Plan>, pipe: Tap, record: Record) {
    let mut builder = Builder::new();
    builder
        .header_table_size(plan.client.header_table)
        .initial_window_size(plan.client.window)
        .initial_connection_window_size(1 << 24)
        .data_frame_budget(1 << 30);
    let (sender, connection) = builder.handshake::<_, Bytes>(pipe).await.expect("a handshake");
    let connection = spawn_local(connection);
    let asking = (0..plan.streams.len()).map(|id| {
        let (planned, sender, record) = (plan.streams[id].clone(), sender.clone(), record.clone());
        spawn_local(async move { ask(id, &planned, sender, &record).await })
    });
    let asking: Vec<JoinHandle<()>> = asking.collect();
    for stream in asking {
        stream.await.expect("it does not panic");
    }
    // If the client closed earlier, the server might not read a last reset.
    until(|| record.served() == plan.streams.len()).await;
    drop(sender);
    // Its error, if there is one, is that the server was the first to close.
    drop(connection.await.expect("it does not panic"));
}

async fn ask(id: usize, planned: &plan::Stream, sender: SendRequest<Bytes>, record: &Record) {
    pause(planned.late).await;
    let mut sender = sender.ready().await.expect("an open connection");
    let body = &planned.request.body;
    let sent = sender.send_request(head(id, &planned.request), body.is_empty());
    let (mut response, mut out) = sent.expect("a request");
    drop(sender);
    let promised = receive_promised(response.push_promises(), planned.promises(), record.clone());
    let promised = spawn_local(promised);
    match planned.manner {
        Manner::ClientResetsEarly => {
            begin(&mut out, body);
            let id = response.stream_id();
            until(|| record.stream(id).request.is_some()).await;
            out.send_reset(Reason::CANCEL);
        }
        Manner::ClientResetsLate => {
            begin(&mut out, body);
            receive_head(response, record).await.expect("a response").data().await;
            out.send_reset(Reason::CANCEL);
        }
        // Where the server gives up, what either has sent by then still counts.
        Manner::InTurn
        | Manner::Bidirectional
        | Manner::Unread
        | Manner::ServerResetsEarly
        | Manner::ServerResetsLate => drop(tokio::join!(send(&mut out, body), receive_response(response, record))),
    }
    promised.await.expect("it does not panic");
}

fn begin(out: &mut SendStream<Bytes>, body: &Body) {
    if !body.is_empty() {
        send_some(out, body).expect("an open stream");
    }
}

fn head(id: usize, request: &plan::Request) -> Request<()> {
    let mut head = Request::builder().method(request.method).uri(&request.uri);
    let fields = head.headers_mut().expect("a valid request");
    *fields = header_map(&request.fields);
    fields.insert(ID, HeaderValue::from(id));
    head.body(()).expect("a valid request")
}

async fn receive_response(response: ResponseFuture, record: &Record) {
    let id = response.stream_id();
    if let Ok(mut body) = receive_head(response, record).await {
        let end = receive(&mut body).await;
        record.stream(id).response_end = end;
    }
}

/// Receives the 1xx responses and the final one, unless the stream is reset before.
async fn receive_head(mut response: ResponseFuture, record: &Record) -> Result<RecvStream, h2::Error> {
    let id = response.stream_id();
    while let Some(interim) = poll_fn(|cx| response.poll_informational(cx)).await {
        record.stream(id).informational.push(received::response(&interim?));
    }
    let response = response.await?;
    record.stream(id).response = Some(received::response(&response));
    Ok(response.into_body())
}

/// Receives this many promised streams; h2 does not wake a waiting task when no more will come.
async fn receive_promised(mut promises: PushPromises, count: usize, record: Record) {
    let mut streams = Vec::new();
    while streams.len() < count {
        let promise = promises.push_promise().await.expect("a promise").expect("a promise");
        let (request, response) = promise.into_parts();
        let (id, record) = (response.stream_id(), record.clone());
        record.stream(id).request = Some(received::request(&request));
        record.stream(id).request_end = Some(End::default());
        streams.push(spawn_local(async move {
            let response = response.await.expect("a response");
            record.stream(id).response = Some(received::response(&response));
            let end = receive(&mut response.into_body()).await;
            record.stream(id).response_end = end;
        }));
    }
    for stream in streams {
        stream.await.expect("it does not panic");
    }
}
