//! What the peers report: each head, body and trailer section, as the side that received it decoded it.
//!
//! This is the truth that the outputs of http-decode are compared with.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use h2::StreamId;
use http::HeaderMap;

use crate::fields::{is_sensitive, show};

/// Everything that was received, by stream.
pub(crate) type Streams = BTreeMap<u64, Received>;

/// What was received on one stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    pub(crate) request: Option<Request>,
    /// Absent if the receiver did not see the end.
    pub(crate) request_end: Option<End>,
    pub(crate) informational: Vec<Response>,
    pub(crate) response: Option<Response>,
    /// Absent if the receiver did not see the end.
    pub(crate) response_end: Option<End>,
}

impl Received {
    /// Returns the features that occur on it.
    pub(crate) fn features(&self) -> impl Iterator<Item = &'static str> {
        let trailers = |end: &Option<End>| end.as_ref().is_some_and(|end| !end.trailers.is_empty());
        let mut head = self.request.iter().flat_map(|request| &request.fields);
        let features = [
            (!self.informational.is_empty(), "1xx"),
            (trailers(&self.request_end), "request trailers"),
            (trailers(&self.response_end), "response trailers"),
            (head.any(|field| field.never_indexed), "never indexed"),
        ];
        features.into_iter().filter_map(|(has, name)| has.then_some(name))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) scheme: String,
    pub(crate) authority: String,
    pub(crate) path: String,
    pub(crate) fields: Vec<Field>,
}

#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) fields: Vec<Field>,
}

/// Body bytes in all, and the trailers.
#[derive(Clone, Debug, Default)]
pub(crate) struct End {
    pub(crate) bytes: u64,
    pub(crate) trailers: Vec<Field>,
}

/// A field, in wire order: h2 sends a map in its order, and keeps the order in which it received one.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) value: Vec<u8>,
    pub(crate) never_indexed: bool,
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, &self.name, &self.value)
    }
}

pub(crate) fn request<T>(request: &http::Request<T>) -> Request {
    let uri = request.uri();
    Request {
        method: request.method().to_string(),
        scheme: uri.scheme_str().expect("a scheme was sent").to_owned(),
        authority: uri.authority().expect("an authority was sent").to_string(),
        path: uri.path_and_query().expect("a path was sent").to_string(),
        fields: fields(request.headers()),
    }
}

pub(crate) fn response<T>(response: &http::Response<T>) -> Response {
    Response {
        status: response.status().as_u16(),
        fields: fields(response.headers()),
    }
}

pub(crate) fn fields(map: &HeaderMap) -> Vec<Field> {
    let field = |(name, value): (&http::HeaderName, &http::HeaderValue)| Field {
        name: name.to_string(),
        value: value.as_bytes().to_vec(),
        never_indexed: is_sensitive(value.as_bytes()),
    };
    map.iter().map(field).collect()
}

/// The record of what both peers received.
#[derive(Clone, Default)]
pub(crate) struct Record {
    streams: Rc<RefCell<Streams>>,
    promising: Rc<Cell<bool>>,
    served: Rc<Cell<usize>>,
}

impl Record {
    pub(crate) fn stream(&self, id: StreamId) -> RefMut<'_, Received> {
        RefMut::map(self.streams.borrow_mut(), |streams| {
            streams.entry(u64::from(id.as_u32())).or_default()
        })
    }

    /// Returns whether a promise is in flight.
    pub(crate) fn is_promising(&self) -> bool {
        self.promising.get()
    }

    pub(crate) fn set_promising(&self, promising: bool) {
        self.promising.set(promising);
    }

    /// Returns the number of requests that the server has finished.
    pub(crate) fn served(&self) -> usize {
        self.served.get()
    }

    pub(crate) fn count_served(&self) {
        self.served.set(self.served.get() + 1);
    }

    pub(crate) fn take(&self) -> Streams {
        self.streams.take()
    }
}
