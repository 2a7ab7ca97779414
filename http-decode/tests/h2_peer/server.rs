//! The server of a conversation.

use std::future::poll_fn;
use std::rc::Rc;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::Request;
use tokio::task::spawn_local;

use crate::fields::header_map;
use crate::peer::{ID, receive, send, send_some, until};
use crate::plan::{self, Manner, Plan};
use crate::received::{self, Record};
use crate::tap::Tap;

pub(crate) async fn run(plan: Rc<Plan>, pipe: Tap, record: Record) {
    let mut builder = Builder::new();
    builder
        .header_table_size(plan.server.header_table)
        .initial_window_size(plan.server.window)
        .initial_connection_window_size(1 << 24)
        .data_frame_budget(1 << 30);
    let mut connection = builder.handshake::<_, Bytes>(pipe).await.expect("a handshake");
    let mut handlers = Vec::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        let id: usize = request.headers()[ID]
            .to_str()
            .expect("a number")
            .parse()
            .expect("a number");
        let planned = plan.streams[id].clone();
        let record = record.clone();
        handlers.push(spawn_local(async move {
            serve(&planned, request, respond, &record).await;
            record.count_served();
        }));
        if plan.goaway && handlers.len() == plan.streams.len() {
            connection.graceful_shutdown();
        }
    }
    for handler in handlers {
        handler.await.expect("it does not panic");
    }
}

async fn serve(
    planned: &plan::Stream,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    record: &Record,
) {
    let id = respond.stream_id();
    record.stream(id).request = Some(received::request(&request));
    let mut body = request.into_body();
    match planned.manner {
        Manner::ClientResetsEarly => {
            poll_fn(|cx| respond.poll_reset(cx)).await.expect("a reset");
            return;
        }
        Manner::ServerResetsEarly => return respond.send_reset(Reason::REFUSED_STREAM),
        Manner::InTurn => record.stream(id).request_end = receive(&mut body).await,
        Manner::Bidirectional | Manner::Unread | Manner::ClientResetsLate | Manner::ServerResetsLate => {}
    }
    for interim in &planned.informational {
        respond.send_informational(head(interim)).expect("a 1xx response");
    }
    for (promise, response) in &planned.pushes {
        push(&mut respond, promise, response, record).await;
    }
    let response = &planned.response;
    if matches!(planned.manner, Manner::ClientResetsLate | Manner::ServerResetsLate) {
        let mut out = respond.send_response(head(response), false).expect("a response");
        send_some(&mut out, &response.body).expect("a body");
        return give_up(planned, &mut out, record).await;
    }
    let out = respond.send_response(head(response), response.body.is_empty());
    if planned.manner == Manner::Bidirectional {
        record.stream(id).request_end = receive(&mut body).await;
    }
    send(&mut out.expect("a response"), &response.body)
        .await
        .expect("a body");
}

/// Ends a response within its body.
async fn give_up(planned: &plan::Stream, out: &mut SendStream<Bytes>, record: &Record) {
    if planned.manner == Manner::ServerResetsLate {
        let id = out.stream_id();
        until(|| record.stream(id).response.is_some()).await;
        out.send_reset(Reason::INTERNAL_ERROR);
    } else {
        // If the client has finished everything else, the connection may end before the reset arrives.
        drop(poll_fn(|cx| out.poll_reset(cx)).await);
    }
}

/// Pushes a request with its response, once the client has every earlier promise and then this one: h2 may send
/// promises in another order than that of their streams, and a response before its promise.
async fn push(respond: &mut SendResponse<Bytes>, promise: &plan::Request, response: &plan::Response, record: &Record) {
    until(|| !record.is_promising()).await;
    record.set_promising(true);
    let mut request = Request::builder().method(promise.method).uri(&promise.uri);
    *request.headers_mut().expect("a valid request") = header_map(&promise.fields);
    let pushed = respond.push_request(request.body(()).expect("a valid request"));
    let mut pushed = pushed.expect("a promise");
    let id = pushed.stream_id();
    until(|| record.stream(id).request.is_some()).await;
    record.set_promising(false);
    let out = pushed.send_response(head(response), response.body.is_empty());
    send(&mut out.expect("a response"), &response.body)
        .await
        .expect("a body");
}

fn head(response: &plan::Response) -> http::Response<()> {
    let mut head = http::Response::new(());
    *head.status_mut() = http::StatusCode::from_u16(response.status).expect("a valid status");
    *head.headers_mut() = header_map(&response.fields);
    head
}
