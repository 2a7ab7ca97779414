//! The heads of an exchange, as browsers and curl send them to a gateway and nginx answers them.

/// A field: name and value.
pub type Field = (&'static str, String);

/// The heads of one exchange.
pub struct Exchange {
    /// Path and query.
    pub path: String,
    /// Fields of the request, without its host.
    pub request: Vec<Field>,
    /// Fields of the response.
    pub response: Vec<Field>,
}

/// Who sends the requests.
#[derive(Clone, Copy)]
pub enum Client {
    /// 15 fields, cookies among them.
    Browser,
    /// Three fields.
    Curl,
}

/// Bytes of each response body.
pub const BODY_BYTES: usize = 1024;

/// The host of each request.
pub const HOST: &str = "www.example.com";

impl Client {
    /// Returns the name of the client.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Curl => "curl",
        }
    }

    /// Makes the exchange with this number.
    pub fn exchange(self, id: u64) -> Exchange {
        let mut response = fields(&[
            ("Server", "nginx/1.22.1"),
            ("Date", "Sat, 21 Nov 2026 07:45:00 GMT"),
            ("Content-Type", "application/javascript"),
        ]);
        response.push(("Content-Length", BODY_BYTES.to_string()));
        match self {
            Self::Browser => {
                let mut request = fields(&BROWSER);
                request.push(("X-Request-Id", format!("{id:032x}")));
                response.extend(fields(&[
                    ("Last-Modified", "Fri, 20 Nov 2026 10:11:12 GMT"),
                    ("ETag", "\"67a1b2c3-400\""),
                    ("Cache-Control", "max-age=3600"),
                    ("Accept-Ranges", "bytes"),
                ]));
                response.push(("X-Request-Id", format!("{id:032x}")));
                Exchange {
                    path: format!("/assets/app/main.{id:08x}.js?v=20261121&lang=en"),
                    request,
                    response,
                }
            }
            Self::Curl => Exchange {
                path: format!("/{id:08x}"),
                request: fields(&[("User-Agent", "curl/7.88.1"), ("Accept", "*/*")]),
                response,
            },
        }
    }
}

impl Exchange {
    /// Returns the request head as HTTP/1.1 sends it.
    pub fn request_text(&self) -> String {
        format!("GET {} HTTP/1.1\r\nHost: {HOST}\r\n{}", self.path, text(&self.request))
    }

    /// Returns the response head as HTTP/1.1 sends it.
    pub fn response_text(&self) -> String {
        format!("HTTP/1.1 200 OK\r\n{}", text(&self.response))
    }
}

fn text(fields: &[Field]) -> String {
    let mut text: String = fields
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    text.push_str("\r\n");
    text
}

fn fields(fields: &[(&'static str, &str)]) -> Vec<Field> {
    fields
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect()
}

const BROWSER: [(&str, &str); 13] = [
    (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    ),
    (
        "Accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    ),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept-Language", "en-US,en;q=0.9,de;q=0.8"),
    ("Cache-Control", "no-cache"),
    ("Cookie", "session=0123456789abcdef0123456789abcdef; theme=dark"),
    ("Referer", "https://www.example.com/assets/app/"),
    ("Sec-CH-UA-Platform", "\"Linux\""),
    ("Sec-Fetch-Dest", "script"),
    ("Sec-Fetch-Mode", "no-cors"),
    ("Sec-Fetch-Site", "same-origin"),
    ("X-Forwarded-For", "203.0.113.7"),
    ("X-Forwarded-Proto", "https"),
];
