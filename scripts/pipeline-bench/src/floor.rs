//! The floor: httparse over the heads of an exchange as HTTP/1.1 has them, and serde_json over what it returns.

use serde::Serialize;

use crate::heads::Exchange;

/// The text of both heads.
pub type Heads = [String; 2];

#[derive(Serialize)]
struct Line<'a> {
    method: &'a str,
    path: &'a str,
    request: &'a [(&'a str, &'a str)],
    status: u16,
    response: &'a [(&'a str, &'a str)],
}

/// Returns the heads of exchanges.
pub fn heads(exchanges: &[Exchange]) -> Vec<Heads> {
    exchanges
        .iter()
        .map(|exchange| [exchange.request_text(), exchange.response_text()])
        .collect()
}

/// Parses the heads of each exchange, and writes them as a line of JSON.
// Profilers count its instructions.
#[inline(never)]
pub fn run(exchanges: &[Heads], out: &mut Vec<u8>) {
    let (mut asked, mut answered) = (Vec::new(), Vec::new());
    for [request_text, response_text] in exchanges {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        request.parse(request_text.as_bytes()).expect("a head");
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        response.parse(response_text.as_bytes()).expect("a head");
        asked.clear();
        asked.extend(request.headers.iter().map(field));
        answered.clear();
        answered.extend(response.headers.iter().map(field));
        let line = Line {
            method: request.method.unwrap_or_default(),
            path: request.path.unwrap_or_default(),
            request: &asked,
            status: response.code.unwrap_or_default(),
            response: &answered,
        };
        serde_json::to_writer(&mut *out, &line).expect("a line");
        out.push(b'\n');
    }
}

fn field<'a>(header: &httparse::Header<'a>) -> (&'a str, &'a str) {
    (header.name, str::from_utf8(header.value).expect("ASCII"))
}
