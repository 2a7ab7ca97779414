//! An exchange, parsed from a JSON line.

use serde_json::Value;

/// A line of type `exchange`.
#[derive(Clone, Debug)]
pub struct Exchange(pub Value);

impl Exchange {
    /// Returns the text at a JSON pointer, such as `/request/path`.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.0.pointer(pointer)?.as_str()
    }

    /// Returns the number at a JSON pointer.
    pub fn number(&self, pointer: &str) -> Option<u64> {
        self.0.pointer(pointer)?.as_u64()
    }

    /// Returns the first value of a header field of the request.
    pub fn request_header(&self, name: &str) -> Option<&str> {
        header(self.0.pointer("/request/headers")?, name)
    }

    /// Returns the first value of a header field of the response.
    pub fn response_header(&self, name: &str) -> Option<&str> {
        header(self.0.pointer("/response/headers")?, name)
    }

    /// Returns the fields at a JSON pointer, such as `/response/headers`, in order. Unknown names and values are
    /// `None`.
    pub fn fields(&self, pointer: &str) -> Vec<(Option<&str>, Option<&str>)> {
        let fields = self.0.pointer(pointer).and_then(Value::as_array);
        fields.map_or(Vec::new(), |fields| fields.iter().map(parts).collect())
    }

    /// Returns the `X-Request-ID` of the response, which is also in the log of the server.
    pub fn request_id(&self) -> Option<&str> {
        self.response_header("x-request-id")
    }

    /// Returns whether both request and response were seen.
    pub fn is_whole(&self) -> bool {
        self.0.get("request").is_some() && self.0.get("response").is_some()
    }
}

fn header<'a>(headers: &'a Value, name: &str) -> Option<&'a str> {
    let named = |field: &&Value| field.get(0).and_then(Value::as_str) == Some(name);
    headers.as_array()?.iter().find(named)?.get(1)?.as_str()
}

fn parts(field: &Value) -> (Option<&str>, Option<&str>) {
    let part = |place: usize| field.get(place).and_then(Value::as_str);
    (part(0), part(1))
}
