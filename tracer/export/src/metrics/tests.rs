//! The sink and its server, as Prometheus sees them.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    thread,
};

use http_decode::{
    Direction, End, Ended, Exchange, Fields, Gap, GapCause, Protocol, Request, RequestHead, Response, ResponseHead,
    Side, Timestamp, Unredacted,
};
use tracer_observe::{
    correlate::{Connection, LibraryName, Observed, ObservedKind, Process},
    event::{Address, AddressSource},
    redact::{Redactor, Rules},
};

use super::*;
use crate::limits::{MAX_READERS, MAX_ROUTE_CHILDREN, MAX_ROUTE_NODES, MAX_ROWS, MAX_UPSTREAMS};

fn exchange(method: &str, path: &str, status: Option<u16>) -> Exchange {
    let head = RequestHead {
        method: Some(method.to_owned().into()),
        path: Some(Unredacted::new(path.as_bytes())),
        ..RequestHead::default()
    };
    let response = status.map(|status| Response {
        head: ResponseHead {
            status: Some(status),
            ..ResponseHead::default()
        },
        body_bytes: Some(0),
        trailers: Fields::default(),
    });
    Exchange {
        ordinal: 1,
        protocol: Protocol::Http11,
        stream: 1,
        side: Side::Server,
        origin: 2,
        request: Some(Request {
            head,
            body_bytes: Some(0),
            trailers: Fields::default(),
        }),
        informational: Vec::new(),
        response,
        began: Timestamp(1_000),
        head_at: Some(Timestamp(401_000)),
        events: None,
        ended_at: Some(Timestamp(401_000)),
        ended: Some(Ended::Complete),
    }
}

fn observed(kind: ObservedKind, process: &str, remote: SocketAddr) -> Observed {
    let connection = Connection {
        id: "7".to_owned(),
        process: Process {
            pid: 1,
            name: process.to_owned(),
        },
        tls: LibraryName::new("openssl"),
        local: Some(Address::from(SocketAddr::from((
            Ipv4Addr::LOCALHOST.to_ipv6_mapped(),
            8443,
        )))),
        remote: Some(Address::from(remote)),
        source: AddressSource::Bio,
        proxied: None,
        netns: None,
        server_name: None,
    };
    Observed {
        time: SystemTime::UNIX_EPOCH,
        connection: Arc::new(connection),
        kind,
    }
}

fn peer(number: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from(0x0a00_0000 + number).to_ipv6_mapped(), 443))
}

struct Tester(Metrics, Redactor);

impl Tester {
    fn start() -> Self {
        let metrics = Metrics::open("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(metrics, Redactor::new(Rules::default()))
    }

    fn write(&mut self, kind: ObservedKind) {
        self.write_of(kind, "nginx", peer(1));
    }

    fn write_of(&mut self, kind: ObservedKind, process: &str, remote: SocketAddr) {
        let observed = observed(kind, process, remote);
        let line = self.1.redact(&observed);
        assert_eq!(self.0.write(&line).unwrap(), Written::Yes);
    }

    fn exchange(&mut self, exchange: Exchange) {
        self.write(ObservedKind::Exchange(Box::new(exchange)));
    }

    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.0.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn scrape(&self) -> String {
        let answer = self.ask("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text\r\n\r\n");
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("# EOF\n"),
            "{answer}"
        );
        answer
    }
}

/// Returns the sum of the values of a metric over all sets of labels that contain `labels`.
fn sum(text: &str, name: &str, labels: &str) -> f64 {
    let lines = text
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(labels));
    let named = lines.filter(|line| matches!(line.as_bytes().get(name.len()), Some(b'{' | b' ')));
    named
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

fn assert_sum(text: &str, name: &str, labels: &str, expected: f64) {
    let found = sum(text, name, labels);
    assert!(
        (found - expected).abs() < 1e-9,
        "{name} {labels}: {found}, not {expected}: {text}"
    );
}

#[test]
fn active_requests_are_a_gauge_that_goes_down_to_zero() {
    let mut tester = Tester::start();
    assert!(tester.0.wants_active());
    let active = |method, count| ActiveRequests {
        process: Process {
            pid: 1,
            name: "nginx".to_owned(),
        },
        side: Side::Server,
        is_encrypted: true,
        method,
        server: None,
        count,
    };
    tester
        .0
        .note_active(&[active(Some("GET"), 2), active(None, 1), active(Some("ACL"), 1)]);
    let text = tester.scrape();
    let labels = |method| format!("{{process=\"nginx\",side=\"server\",method=\"{method}\"}}");
    assert_sum(&text, "tlscope_active_requests", &labels("GET"), 2.0);
    assert_sum(&text, "tlscope_active_requests", &labels("other"), 2.0);
    tester.0.note_active(&[active(Some("GET"), 1)]);
    let text = tester.scrape();
    assert_sum(&text, "tlscope_active_requests", &labels("GET"), 1.0);
    assert!(
        text.contains(&format!("tlscope_active_requests{} 0", labels("other"))),
        "{text}"
    );
}

#[test]
fn exchanges_are_counted_by_their_labels() {
    let mut tester = Tester::start();
    tester.exchange(exchange("GET", "/users/7?token=hunter2", Some(200)));
    tester.exchange(exchange("GET", "/users/8", Some(200)));
    tester.exchange(exchange("POST", "/users", Some(502)));
    let asking = Exchange {
        side: Side::Client,
        ..exchange("GET", "/up", Some(200))
    };
    tester.exchange(asking);
    let text = tester.scrape();
    let labels = "{process=\"nginx\",side=\"server\",method=\"GET\",route=\"/users/{}\",status=\"2xx\"";
    assert_sum(&text, "tlscope_requests_total", labels, 2.0);
    assert_sum(&text, "tlscope_request_duration_seconds_count", labels, 2.0);
    assert_sum(&text, "tlscope_request_duration_seconds_sum", labels, 0.0008);
    assert_sum(
        &text,
        "tlscope_request_duration_seconds_bucket",
        "{le=\"0.00025\",process=\"nginx\",side=\"server\",method=\"GET\",route=\"/users/{}\"",
        0.0,
    );
    assert_sum(
        &text,
        "tlscope_request_duration_seconds_bucket",
        "{le=\"0.0005\",process=\"nginx\",side=\"server\",method=\"GET\",route=\"/users/{}\"",
        2.0,
    );
    assert_sum(&text, "tlscope_errors_total", "route=\"/users\",status=\"5xx\"", 1.0);
    assert_sum(
        &text,
        "tlscope_requests_total",
        "side=\"client\",method=\"GET\",route=\"/up\",upstream=\"10.0.0.1:443\"",
        1.0,
    );
    assert_sum(&text, "tlscope_requests_total", "", 4.0);
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn an_exchange_that_had_not_ended_is_counted_to_its_end() {
    let mut tester = Tester::start();
    let open = Exchange {
        ended: None,
        ended_at: None,
        ..exchange("GET", "/stream", Some(200))
    };
    tester.exchange(open);
    assert_sum(&tester.scrape(), "tlscope_open_requests", "", 1.0);
    tester.write(ObservedKind::End(Box::new(End {
        ordinal: 1,
        began: Timestamp(1_000),
        ended_at: Timestamp(2_000_001_000),
        ended: Ended::Closed,
        body_bytes: Some(9),
        trailers: Fields::default(),
        events: None,
    })));
    let text = tester.scrape();
    assert_sum(&text, "tlscope_open_requests", "", 0.0);
    assert_sum(&text, "tlscope_requests_total", "", 1.0);
    assert_sum(&text, "tlscope_errors_total", "route=\"/stream\"", 1.0);
    assert_sum(&text, "tlscope_request_duration_seconds_sum", "", 2.0);
}

#[test]
fn a_hundred_thousand_paths_have_few_labels_and_all_are_counted() {
    const ALL: u32 = 100_000;
    let mut tester = Tester::start();
    for number in 0..ALL {
        let word: String = number.to_string().bytes().map(|digit| char::from(digit + 49)).collect();
        tester.exchange(exchange("GET", &format!("/{word}"), Some(200)));
    }
    let text = tester.scrape();
    assert_sum(&text, "tlscope_requests_total", "", f64::from(ALL));
    let routes = text.matches("tlscope_requests_total{").count();
    assert_eq!(routes, MAX_ROUTE_CHILDREN + 1);
    assert_sum(&text, "tlscope_requests_total", "route=\"/{}\"", f64::from(ALL) - 48.0);
}

#[test]
fn no_traffic_makes_more_than_a_bounded_number_of_rows() {
    let mut tester = Tester::start();
    let methods = ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "BREW"];
    let mut count = 0.0;
    for number in 0..60_u32 {
        for (place, method) in methods.iter().enumerate() {
            for status in [200, 301, 500] {
                let name = char::from(b'a' + u8::try_from(number % 26).unwrap());
                let path = format!(
                    "/{name}{}",
                    name.to_string().repeat(usize::try_from(number / 26).unwrap())
                );
                let asking = Exchange {
                    side: Side::Client,
                    ..exchange(method, &path, Some(status))
                };
                let process = format!("process-{}", number % 40);
                let remote = peer(number * 8 + u32::try_from(place).unwrap());
                tester.write_of(ObservedKind::Exchange(Box::new(asking)), &process, remote);
                count += 1.0;
            }
        }
    }
    let text = tester.scrape();
    assert_sum(&text, "tlscope_requests_total", "", count);
    let rows = text.matches("tlscope_requests_total{").count();
    assert!(rows > MAX_ROWS && rows <= MAX_ROWS + 14, "{rows}");
    let over = count - f64::from(u32::try_from(MAX_ROWS).unwrap());
    assert!(
        sum(&text, "tlscope_other_requests_total", "label=\"all\"") >= over - 14.0,
        "{text}"
    );
    assert!(sum(&text, "tlscope_other_requests_total", "label=\"upstream\"") > 0.0);
    assert!(sum(&text, "tlscope_other_requests_total", "label=\"process\"") > 0.0);
    assert!(text.matches("upstream=\"10.").count() > 0 && MAX_UPSTREAMS < 480 && MAX_ROUTE_NODES > 60);
}

#[test]
fn losses_and_health_are_counted() {
    let mut tester = Tester::start();
    for span in [100, 50] {
        tester.write(ObservedKind::Gap(Gap {
            direction: Direction::Read,
            position: 4096,
            span,
            cause: GapCause::OverLimit,
            at: None,
        }));
    }
    let figures = |used, dropped| Figures {
        used: Some(used),
        capacity: Some(100),
        dropped,
    };
    for (used, dropped) in [(7, 2), (5, 3)] {
        tester.0.note_health(&Subject::Ring, &figures(used, dropped));
        tester.0.note_health(&Subject::Table("calls"), &figures(used, 0));
    }
    let nothing = Figures {
        dropped: 1,
        ..Figures::default()
    };
    tester.0.note_health(&Subject::Ring, &nothing);
    let text = tester.scrape();
    assert_sum(&text, "tlscope_losses_total", "cause=\"over_limit\"", 2.0);
    assert_sum(&text, "tlscope_lost_bytes_total", "cause=\"over_limit\"", 150.0);
    assert_sum(&text, "tlscope_ring_used_bytes", "", 5.0);
    assert_sum(&text, "tlscope_ring_capacity_bytes", "", 100.0);
    assert_sum(&text, "tlscope_dropped_total", "subject=\"ring\"", 6.0);
    assert_sum(&text, "tlscope_table_entries", "table=\"calls\"", 5.0);
    assert!(sum(&text, "process_resident_memory_bytes", "") > 1e5 && text.contains("tlscope_build_info{version="));
}

#[test]
fn the_records_of_functions_that_brought_some_are_shown() {
    let mut tester = Tester::start();
    let of = |function: &str, records| FunctionRecords {
        library: LibraryName::new("openssl"),
        function: function.into(),
        records,
    };
    tester.0.note_records(&[of("SSL_read", 3)]);
    tester
        .0
        .note_records(&[of("SSL_read", 5), of("SSL_set_fd", 0), of("SSL_write's \"record\"", 7)]);
    let text = tester.scrape();
    assert_sum(
        &text,
        "tlscope_records_total",
        "{library=\"openssl\",function=\"SSL_read\"}",
        5.0,
    );
    assert_sum(
        &text,
        "tlscope_records_total",
        "function=\"SSL_write's \\\"record\\\"\"}",
        7.0,
    );
    assert_sum(&text, "tlscope_records_total", "", 12.0);
    assert!(!text.contains("SSL_set_fd"), "{text}");
}

#[test]
fn the_server_answers_what_it_has_and_nothing_else() {
    let tester = Tester::start();
    let status = |request: &str| tester.ask(request).lines().next().unwrap_or_default().to_owned();
    assert_eq!(status("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 200 OK");
    assert_eq!(status("HEAD /metrics HTTP/1.0\r\n\r\n"), "HTTP/1.0 200 OK");
    assert_eq!(status("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 404 Not Found");
    assert_eq!(
        status("POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
        "HTTP/1.1 405 Method Not Allowed"
    );
    assert_eq!(status("nonsense\r\n\r\n"), "HTTP/1.1 400 Bad Request");
    let long = format!("GET /metrics HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    let mut stream = TcpStream::connect(tester.0.address()).unwrap();
    // It may be cut off while it still writes.
    drop(stream.write_all(long.as_bytes()));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    let plain = tester.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(
        plain.contains("text/plain; version=0.0.4") && !plain.contains("# EOF"),
        "{plain}"
    );
}

#[test]
fn clients_that_say_nothing_hold_up_neither_the_sink_nor_the_end() {
    let mut tester = Tester::start();
    let silent: Vec<_> = (0..MAX_READERS + 4)
        .map(|_| TcpStream::connect(tester.0.address()).unwrap())
        .collect();
    for _ in 0..1000 {
        tester.exchange(exchange("GET", "/x", Some(200)));
    }
    let Tester(metrics, _) = tester;
    let ending = thread::spawn(move || Box::new(metrics).finish().is_ok());
    assert!(ending.join().unwrap());
    drop(silent);
}

#[test]
fn an_address_that_is_taken_is_an_error() {
    let tester = Tester::start();
    assert!(Metrics::open(tester.0.address()).is_err());
}
