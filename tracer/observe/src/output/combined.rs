//! The access log in NCSA combined format, which the log analysers of web servers read:
//! `host - - [time] "request" status bytes "referer" "user agent"`.
//!
//! A line is written when its exchange has ended, because it has the number of bytes. Everything else has no place in an
//! access log and is left out; the totals on stderr count losses. As in nginx, bytes that are not printable ASCII, quotes
//! and backslashes are written as `\xHH`.

use std::io::Write as _;

use super::{Error, Lines, Sink, Style, Written, waiting::Waiting, write_each};
use crate::{
    limits::MAX_WAITING_BYTES,
    redact::{ConnectionLine, ExchangeLine, Line, Printable, Redacted, RequestLine, Time},
};

/// Writes an access log.
pub struct Combined<L: Lines> {
    lines: L,
    style: Style,
    /// The line in progress, so that it is written as a whole.
    out: Vec<u8>,
    /// Exchanges that have not ended. At the bound, that which has waited longest is written with what is known of it.
    waiting: Waiting,
}

impl<L: Lines> Combined<L> {
    /// Creates a sink that writes to `lines`.
    pub fn new(lines: L, style: Style) -> Self {
        Self {
            lines,
            style,
            out: Vec::new(),
            waiting: Waiting::new(MAX_WAITING_BYTES),
        }
    }

    fn exchange(&mut self, line: &ExchangeLine<'_>) -> Result<Written, Error> {
        let ExchangeLine {
            time,
            side,
            connection,
            protocol,
            request,
            response,
            encoding,
            ..
        } = line;
        let escape = Escape {
            latin1: encoding.is_some(),
        };
        self.out.clear();
        match host(connection, side) {
            Some(host) => escape.word(host, &mut self.out),
            None => self.out.push(b'-'),
        }
        self.time(time)?;
        self.request(request.as_ref(), protocol, escape)?;
        let status = response.as_ref().and_then(|response| response.status);
        let bytes = response.as_ref().and_then(|response| response.body_bytes);
        write!(self.out, " {} {}", known(status), known(bytes))?;
        for name in ["referer", "user-agent"] {
            let value = request.as_ref().and_then(|request| field(request, name));
            self.out.extend_from_slice(b" \"");
            escape.quoted(value.unwrap_or("-"), &mut self.out);
            self.out.push(b'"');
        }
        self.out.push(b'\n');
        Ok(self.lines.line(&self.out)?)
    }

    fn time(&mut self, time: &Time) -> Result<(), Error> {
        let local = self.style.local(time);
        let (sign, hours, minutes) = local.offset();
        let mut parts = local.date().split('-');
        let [year, month, day] = std::array::from_fn(|_| parts.next().unwrap_or_default());
        let month = month
            .parse()
            .ok()
            .and_then(|month: usize| MONTHS.get(month.checked_sub(1)?));
        let seconds = local.clock().get(..8).unwrap_or_default();
        let month = month.copied().unwrap_or_default();
        Ok(write!(
            self.out,
            " - - [{day}/{month}/{year}:{seconds} {sign}{hours:02}{minutes:02}]"
        )?)
    }

    fn request(&mut self, request: Option<&RequestLine<'_>>, protocol: &str, escape: Escape) -> Result<(), Error> {
        let Some(RequestLine {
            method,
            authority,
            path,
            ..
        }) = request
        else {
            return Ok(self.out.write_all(b" \"-\"")?);
        };
        self.out.extend_from_slice(b" \"");
        escape.quoted(method.as_deref().unwrap_or("-"), &mut self.out);
        self.out.push(b' ');
        // The target of CONNECT is an authority, unless it is an extended one.
        let target = match method.as_deref() {
            Some("CONNECT") => path.as_ref().or(authority.as_ref()),
            Some(_) | None => path.as_ref(),
        };
        escape.quoted(target.map_or("-", |target| target), &mut self.out);
        let version = match protocol {
            "http/2" => "HTTP/2.0",
            "http/1.0" => "HTTP/1.0",
            _ => "HTTP/1.1",
        };
        Ok(write!(self.out, " {version}\"")?)
    }

    /// Writes an exchange, or waits for its end.
    fn exchange_or_wait(&mut self, exchange: &ExchangeLine<'_>) -> Result<Written, Error> {
        if exchange.ended.is_some() {
            return self.exchange(exchange);
        }
        self.waiting.add(exchange.to_static());
        let mut written = Written::Yes;
        while let Some(longest) = self.waiting.take_over_bound() {
            if self.exchange(&longest)? == Written::Dropped {
                written = Written::Dropped;
            }
        }
        Ok(written)
    }
}

impl<L: Lines> Sink for Combined<L> {
    fn write(&mut self, line: &Redacted<Line<'_>>) -> Result<Written, Error> {
        match &**line {
            Line::Exchange(exchange) => self.exchange_or_wait(exchange),
            Line::Hop(hop) => write_each(hop.exchanges(), |exchange| self.exchange_or_wait(exchange)),
            Line::End(end) => match self.waiting.end(end) {
                Some(exchange) => self.exchange(&exchange),
                None => Ok(Written::Yes),
            },
            Line::Loss(_)
            | Line::Connection(_)
            | Line::Health(_)
            | Line::Hooks(_)
            | Line::Alert(_)
            | Line::Audit(_) => Ok(Written::Yes),
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(self.lines.flush()?)
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        for line in self.waiting.take_all() {
            self.exchange(&line)?;
        }
        Ok(self.lines.finish(b"")?)
    }
}

/// Returns the host that asked, without its port: that of a PROXY protocol header if there is one, as in the access log of a
/// gateway that trusts it.
fn host<'a>(connection: &'a ConnectionLine<'_>, side: &str) -> Option<&'a str> {
    if let Some(proxied) = &connection.proxied {
        return Some(without_port(&proxied.source));
    }
    let asking = if side == "client" {
        &connection.local
    } else {
        &connection.remote
    };
    asking.as_deref().map(without_port)
}

fn without_port(address: &str) -> &str {
    if address.starts_with("unix:") {
        return address;
    }
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

fn field<'a>(request: &'a RequestLine<'_>, name: &str) -> Option<&'a str> {
    let mut fields = request.headers.iter();
    let (_, value) = fields.find(|(each, _)| each.as_deref() == Some(name))?;
    value.as_ref().map(|value: &Printable<'_>| &**value)
}

fn known(number: Option<impl ToString>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

/// Escapes texts.
#[derive(Clone, Copy)]
struct Escape {
    /// Whether each character stands for one byte.
    latin1: bool,
}

impl Escape {
    /// Writes a text that is between quotes.
    fn quoted(self, text: &str, out: &mut Vec<u8>) {
        self.write(text, out, |byte| {
            !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\')
        });
    }

    /// Writes a text that ends at a space.
    fn word(self, text: &str, out: &mut Vec<u8>) {
        self.write(text, out, |byte| {
            !matches!(byte, b'!'..=b'~') || matches!(byte, b'"' | b'\\')
        });
    }

    fn write(self, text: &str, out: &mut Vec<u8>, is_escaped: impl Fn(u8) -> bool) {
        let mut put = |byte: u8| {
            if is_escaped(byte) {
                let digit = |digit: u8| if digit < 10 { b'0' + digit } else { b'A' - 10 + digit };
                out.extend([b'\\', b'x', digit(byte >> 4), digit(byte & 15)]);
            } else {
                out.push(byte);
            }
        };
        for character in text.chars() {
            match u8::try_from(character) {
                Ok(byte) if self.latin1 => put(byte),
                Ok(_) | Err(_) => character.encode_utf8(&mut [0; 4]).bytes().for_each(&mut put),
            }
        }
    }
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

#[cfg(test)]
mod tests {
    use http_decode::{Exchange, Protocol, Side, Unredacted};

    use super::*;
    use crate::output::{Zone, sample};

    fn written(lines: &[Redacted<Line<'_>>]) -> String {
        let mut bytes = Vec::new();
        let style = Style {
            zone: Zone::new(|_| -12_600),
            ..Style::default()
        };
        let mut sink = Combined::new(&mut bytes, style);
        for line in lines {
            sink.write(line).unwrap();
        }
        Box::new(sink).finish().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn open(exchange: &mut Exchange) {
        (exchange.ended, exchange.ended_at) = (None, None);
    }

    #[test]
    fn an_exchange_is_a_line_of_an_access_log() {
        let line = sample::exchange_with(|exchange| {
            let request = exchange.request.as_mut().unwrap();
            request.head.fields = sample::fields([
                sample::field("user-agent", "curl/8 \"x\" \\ \u{202e}"),
                sample::field("referer", "https://b.test/?token=hunter2"),
            ]);
        });
        let expected = concat!(
            "127.0.0.1 - - [21/Nov/2026:04:15:00 -0330] \"GET /x?token=[redacted] HTTP/1.1\" 200 6 ",
            "\"https://b.test/?token=[redacted]\" \"curl/8 \\x22x\\x22 \\x5C \\xE2\\x80\\xAE\"\n"
        );
        assert_eq!(written(&[line]), expected);
    }

    #[test]
    fn what_is_unknown_is_a_dash() {
        let text = written(&[sample::half()]);
        assert_eq!(
            text,
            "127.0.0.1 - - [21/Nov/2026:04:15:00 -0330] \"-\" - - \"-\" \"-\"\n"
        );
    }

    #[test]
    fn an_exchange_is_written_at_its_end_and_other_lines_never() {
        let lines = [
            sample::exchange_with(open),
            sample::loss(),
            sample::summary(),
            sample::health(),
            sample::hooks(),
            sample::end(),
        ];
        let text = written(&lines);
        assert_eq!(text.lines().count(), 1);
        assert!(text.contains(" HTTP/1.1\" 200 9 "), "{text}");
    }

    #[test]
    fn an_exchange_over_the_bound_is_written_with_what_is_known() {
        let mut bytes = Vec::new();
        let mut sink = Combined::new(&mut bytes, Style::default());
        sink.waiting = Waiting::new(0);
        sink.write(&sample::exchange_with(open)).unwrap();
        sink.write(&sample::end()).unwrap();
        Box::new(sink).finish().unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!((text.lines().count(), text.contains("\" 200 6 ")), (1, true), "{text}");
    }

    #[test]
    fn bytes_that_are_not_text_are_written_as_they_were_sent() {
        let line = sample::exchange_with(|exchange| {
            exchange.protocol = Protocol::Http2;
            exchange.request.as_mut().unwrap().head.path = Some(Unredacted::new(b"/\xe9\n"));
        });
        assert!(written(&[line]).contains("\"GET /\\xE9\\x0A HTTP/2.0\""));
    }

    #[test]
    fn the_host_is_the_one_that_asked() {
        assert_eq!(without_port("[2001:db8::1]:443"), "2001:db8::1");
        assert_eq!(without_port("192.0.2.1:443"), "192.0.2.1");
        let client = sample::exchange_with(|exchange| exchange.side = Side::Client);
        let Line::Exchange(client) = &*client else {
            panic!("not an exchange")
        };
        let mut connection = client.connection.clone();
        connection.local = Some("192.0.2.7:1".into());
        assert_eq!(host(&connection, client.side), Some("192.0.2.7"));
        connection.local = Some("unix:/a b".into());
        let mut out = Vec::new();
        Escape { latin1: false }.word(host(&connection, client.side).unwrap(), &mut out);
        assert_eq!(out, b"unix:/a\\x20b");
        connection.proxied = Some(crate::redact::ProxiedLine {
            source: "198.51.100.1:5".to_owned(),
            destination: "198.51.100.2:443".to_owned(),
        });
        assert_eq!(host(&connection, client.side), Some("198.51.100.1"));
    }
}
