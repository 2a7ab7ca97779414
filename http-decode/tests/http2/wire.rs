//! HTTP/2 frames, written by hand. Header blocks are literals that are not inserted into the table, unless noted.

pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

pub(crate) fn settings() -> Vec<u8> {
    frame(4, 0, 0, &[0, 3, 0, 0, 0, 100])
}

/// The preface and SETTINGS of a client.
pub(crate) fn hello() -> Vec<u8> {
    [PREFACE, &settings()].concat()
}

pub(crate) fn headers(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(1, flags | END_HEADERS, stream, &block(fields))
}

pub(crate) fn data(stream: u32, flags: u8, content: &[u8]) -> Vec<u8> {
    frame(0, flags, stream, content)
}

pub(crate) fn reset(stream: u32) -> Vec<u8> {
    frame(3, 0, stream, &[0, 0, 0, 8])
}

pub(crate) fn goaway(last_stream: u32) -> Vec<u8> {
    frame(7, 0, 0, &[last_stream.to_be_bytes(), [0; 4]].concat())
}

pub(crate) fn promise(stream: u32, promised: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    let payload = [&promised.to_be_bytes()[..], &block(fields)].concat();
    frame(5, END_HEADERS, stream, &payload)
}

pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    headers(stream, END_STREAM, &request("GET", path))
}

pub(crate) fn request<'a>(method: &'a str, path: &'a str) -> [(&'a str, &'a str); 4] {
    [
        (":method", method),
        (":scheme", "https"),
        (":authority", "a.test"),
        (":path", path),
    ]
}

/// A response with a body.
pub(crate) fn ok(stream: u32, body: &str) -> Vec<u8> {
    let head = headers(stream, 0, &[(":status", "200"), ("server", "x")]);
    [head, data(stream, END_STREAM, body.as_bytes())].concat()
}

/// Fields as literals without indexing, names and all (RFC 7541 section 6.2.2).
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    literals(0x00, fields)
}

/// Fields as literals that are inserted into the table (RFC 7541 section 6.2.1).
pub(crate) fn indexed(fields: &[(&str, &str)]) -> Vec<u8> {
    literals(0x40, fields)
}

/// Fields as literals never to be indexed (RFC 7541 section 6.2.3).
pub(crate) fn never_indexed(fields: &[(&str, &str)]) -> Vec<u8> {
    literals(0x10, fields)
}

fn literals(first: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(first);
        for text in [name, value] {
            string(&mut block, text);
        }
    }
    block
}

fn string(block: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    if length < 127 {
        block.push(u8::try_from(length).unwrap());
    } else {
        block.push(127);
        length -= 127;
        while length >= 128 {
            block.push(u8::try_from(length % 128).unwrap() | 128);
            length /= 128;
        }
        block.push(u8::try_from(length).unwrap());
    }
    block.extend(text.as_bytes());
}

/// A reference to an entry of the table, the newest being 62 (RFC 7541 section 6.1).
pub(crate) fn entry(index: u8) -> u8 {
    0x80 + index
}
