//! HTTP/1.1: whole keep-alive connections, compared with bare httparse on the same heads.

use http_decode::{Chunk, Connection, Direction, Output, Settings, Timestamp};

use crate::rounds::{Rounds, each};

const EXCHANGES: u64 = 2000;

/// One exchange: its two heads, and the body of the response.
struct Exchange {
    request: String,
    response: String,
    body: Vec<u8>,
}

/// Compares both on heads like those of browsers and of curl.
pub fn run(rounds: &Rounds) {
    for (name, make) in [("browser", browser as fn(u64) -> Exchange), ("curl", curl)] {
        let exchanges: Vec<_> = (0..EXCHANGES).map(make).collect();
        let calls: Vec<[Vec<u8>; 2]> = exchanges
            .iter()
            .map(|exchange| {
                let response = [exchange.response.as_bytes(), &exchange.body].concat();
                [exchange.request.clone().into_bytes(), response]
            })
            .collect();
        let bytes: usize = calls.iter().flatten().map(Vec::len).sum();
        let [bare, decoded] = rounds.compare(|| parse(&exchanges), || decode(&calls));
        let heads = 2 * exchanges.len();
        println!(
            "http/1.1, {name} (heads of {} and {} bytes): httparse {:.0} ns a head, http-decode {:.0} ns, ratio {:.2}; {:.2} M heads/s, {:.2} GB/s",
            exchanges[0].request.len(),
            exchanges[0].response.len(),
            each(bare, heads),
            each(decoded, heads),
            decoded.as_secs_f64() / bare.as_secs_f64(),
            1e3 / each(decoded, heads),
            bytes as f64 / decoded.as_nanos() as f64,
        );
    }
}

fn parse(exchanges: &[Exchange]) -> usize {
    let mut fields = 0;
    for exchange in exchanges {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        request.parse(exchange.request.as_bytes()).expect("a head");
        fields += request.headers.len();
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        response.parse(exchange.response.as_bytes()).expect("a head");
        fields += response.headers.len();
    }
    fields
}

fn decode(calls: &[[Vec<u8>; 2]]) -> usize {
    let mut connection = Connection::new(Settings::default());
    let mut positions = [0, 0];
    let mut exchanges = 0;
    for (at, call) in (0..).zip(calls) {
        for (index, direction) in [Direction::Read, Direction::Write].into_iter().enumerate() {
            let bytes = &call[index];
            let chunk = Chunk {
                position: positions[index],
                at: Timestamp(at),
                origin: 1,
                call_start: true,
                bytes,
            };
            connection.push(direction, chunk);
            positions[index] += bytes.len() as u64;
            while let Some(output) = connection.poll() {
                exchanges += usize::from(matches!(output, Output::Exchange(_)));
            }
        }
    }
    assert_eq!(exchanges, calls.len(), "every exchange is decoded");
    exchanges
}

fn browser(id: u64) -> Exchange {
    let chunked = id % 4 == 0;
    let framing = if chunked {
        "Transfer-Encoding: chunked"
    } else {
        "Content-Length: 100"
    };
    let body = vec![b'x'; 100];
    Exchange {
        request: format!(
            "GET /assets/app/main.{id:08x}.js?v=20261121&lang=en HTTP/1.1\r\nHost: www.example.com\r\n\
             User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36\r\n\
             Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
             Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9,de;q=0.8\r\n\
             Cache-Control: no-cache\r\nConnection: keep-alive\r\n\
             Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\
             Referer: https://www.example.com/assets/app/\r\nSec-Fetch-Dest: script\r\nSec-Fetch-Mode: no-cors\r\n\
             Sec-Fetch-Site: same-origin\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n\
             X-Request-Id: {id:032x}\r\n\r\n"
        ),
        response: format!(
            "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 21 Nov 2026 07:45:00 GMT\r\n\
             Content-Type: application/javascript\r\n{framing}\r\nConnection: keep-alive\r\n\
             ETag: \"67a1b2c3-64\"\r\nCache-Control: max-age=3600\r\nX-Request-Id: {id:032x}\r\n\r\n"
        ),
        body: if chunked {
            [b"64\r\n", &body[..], b"\r\n0\r\n\r\n"].concat()
        } else {
            body
        },
    }
}

fn curl(id: u64) -> Exchange {
    Exchange {
        request: format!(
            "GET /{id:08x} HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n"
        ),
        response: format!(
            "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 21 Nov 2026 07:45:00 GMT\r\n\
             Content-Type: text/plain\r\nContent-Length: 100\r\nConnection: keep-alive\r\nX-Request-Id: {id:032x}\r\n\r\n"
        ),
        body: vec![b'x'; 100],
    }
}
