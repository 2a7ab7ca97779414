//! What the peers report: each head, body and trailer section as the side that received it decoded it.
//!
//! In: the `http` crate's types. Out: plain data by stream, which is the truth that http-decode is held against.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use h2::StreamId;
use http::HeaderMap;

use crate::fields::is_sensitive;

/// Everything that was received, by stream.
pub(crate) type Streams = BTreeMap<u64, Heard>;

/// What was received on one stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) request: Option<Request>,
    /// Absent where the receiver did not see the end.
    pub(crate) request_end: Option<End>,
    pub(crate) informational: Vec<Response>,
    pub(crate) response: Option<Response>,
    /// Absent where the receiver did not see the end.
    pub(crate) response_end: Option<End>,
}

impl Heard {
    /// Says what is particular about it.
    pub(crate) fn particulars(&self) -> impl Iterator<Item = &'static str> {
        let trailers = |end: &Option<End>| end.as_ref().is_some_and(|end| !end.trailers.is_empty());
        let mut head = self.request.iter().flat_map(|request| &request.fields);
        let particulars = [
            (!self.informational.is_empty(), "1xx"),
            (trailers(&self.request_end), "request trailers"),
            (trailers(&self.response_end), "response trailers"),
            (head.any(|field| field.never_indexed), "never indexed"),
        ];
        particulars.into_iter().filter_map(|(has, name)| has.then_some(name))
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

/// Shows a field, and at most the beginning of its value.
pub(crate) fn show(f: &mut fmt::Formatter<'_>, name: &str, value: &[u8]) -> fmt::Result {
    let shown = value.iter().take(40).copied().collect::<Vec<u8>>();
    write!(f, "{name}: {} bytes, {}", value.len(), shown.escape_ascii())
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

/// Where both peers write down what they received.
#[derive(Clone, Default)]
pub(crate) struct Record {
    streams: Rc<RefCell<Streams>>,
    promising: Rc<Cell<bool>>,
    served: Rc<Cell<usize>>,
}

impl Record {
    pub(crate) fn stream(&self, id: StreamId) -> RefMut<'_, Heard> {
        RefMut::map(self.streams.borrow_mut(), |streams| {
            streams.entry(u64::from(id.as_u32())).or_default()
        })
    }

    /// Returns whether a promise is on its way.
    pub(crate) fn is_promising(&self) -> bool {
        self.promising.get()
    }

    pub(crate) fn set_promising(&self, promising: bool) {
        self.promising.set(promising);
    }

    /// Counts the requests that the server is done with.
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
