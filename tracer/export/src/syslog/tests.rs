//! The sink, with servers that listen, go away and come back.

use std::{
    io::BufReader,
    net::{TcpListener, TcpStream, UdpSocket},
    os::unix::net::UnixDatagram,
    sync::{Mutex, mpsc},
    time::{Duration, SystemTime},
};

use tracer_observe::{
    health::{Health, State},
    redact::{Redactor, Rules},
};

use super::*;

const DEADLINE: Duration = Duration::from_mins(1);

fn quiet(_: &str) {}

thread_local! {
    /// It takes longer to make than a line.
    static REDACTOR: Redactor = Redactor::new(Rules::default());
}

fn line(dropped: u64) -> Redacted<Line<'static>> {
    let figures = Figures {
        dropped,
        ..Figures::default()
    };
    let health = Health {
        time: SystemTime::UNIX_EPOCH + Duration::from_nanos(1_123_456_789),
        subject: Subject::Output,
        state: State::Dropped,
        figures,
    };
    REDACTOR.with(|redactor| redactor.health(&health))
}

fn json(dropped: u64) -> String {
    let mut json = JsonLines::default();
    let line = json.format(&line(dropped)).unwrap().trim_ascii_end().to_owned();
    String::from_utf8(line).unwrap()
}

fn dropped(syslog: &mut Syslog) -> u64 {
    let mut health = Vec::new();
    syslog.add_health(&mut health);
    health.iter().map(|(_, figures)| figures.dropped).sum()
}

/// Reads a message with its length before it.
fn read_counted(stream: &mut impl io::BufRead) -> Option<String> {
    let mut length = Vec::new();
    stream.read_until(b' ', &mut length).ok()?;
    let length = str::from_utf8(&length).ok()?.trim().parse().ok()?;
    let mut message = vec![0; length];
    stream.read_exact(&mut message).ok()?;
    String::from_utf8(message).ok()
}

fn listen() -> (TcpListener, Destination) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let destination = Destination::Tcp(listener.local_addr().unwrap().to_string());
    (listener, destination)
}

#[test]
fn messages_on_a_stream_have_the_header_of_rfc_5424_and_the_json_as_it_is() {
    let (listener, destination) = listen();
    let mut syslog = Syslog::open(destination, quiet).unwrap();
    for number in 1..=1000 {
        syslog.write(&line(number)).unwrap();
    }
    let (stream, _) = listener.accept().unwrap();
    let mut stream = BufReader::new(stream);
    let header = "<132>1 1970-01-01T00:00:01.123456Z ";
    for number in 1..=1000 {
        let message = read_counted(&mut stream).unwrap();
        let rest = message.strip_prefix(header).unwrap();
        let (_host, rest) = rest.split_once(' ').unwrap();
        assert_eq!(
            rest,
            format!("tlscope {} health - {}", std::process::id(), json(number))
        );
    }
    assert_eq!(dropped(&mut syslog), 0);
    Box::new(syslog).finish().unwrap();
    assert_eq!(read_counted(&mut stream), None);
}

#[test]
fn a_server_that_comes_back_gets_what_waited_for_it() {
    let (listener, destination) = listen();
    let mut syslog = Syslog::open(destination, quiet).unwrap();
    syslog.write(&line(1)).unwrap();
    let (stream, _) = listener.accept().unwrap();
    let mut stream = BufReader::new(stream);
    assert!(read_counted(&mut stream).unwrap().ends_with(&json(1)));
    // It goes away, and listens again.
    drop(stream);
    for number in 2..=10 {
        syslog.write(&line(number)).unwrap();
    }
    let (stream, _) = listener.accept().unwrap();
    let mut stream = BufReader::new(stream);
    for number in 2..=10 {
        assert!(read_counted(&mut stream).unwrap().ends_with(&json(number)));
    }
    Box::new(syslog).finish().unwrap();
}

#[test]
fn lines_for_a_server_that_is_away_are_bounded_and_counted() {
    let (listener, destination) = listen();
    drop(listener);
    let mut syslog = Syslog::bounded(destination, 10_000, quiet).unwrap();
    for number in 0..1000 {
        syslog.write(&line(number)).unwrap();
    }
    let dropped = dropped(&mut syslog);
    assert!((900..1000).contains(&dropped), "{dropped}");
    syslog.queue.close(Instant::now());
    assert_eq!(
        u64::try_from(syslog.queue.wait(Instant::now())).unwrap(),
        1000 - dropped
    );
}

#[test]
fn lines_for_a_server_that_reads_nothing_hold_up_neither_the_sink_nor_the_end_and_are_told() {
    static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let (listener, destination) = listen();
    let name = destination.to_string();
    let say = |message: &str| TOLD.lock().unwrap().push(message.to_owned());
    let mut syslog = Syslog::bounded(destination, 64 << 20, say).unwrap();
    syslog.write(&line(0)).unwrap();
    let (stalled, _) = listener.accept().unwrap();
    // More than the kernel takes for a reader that reads nothing.
    for _ in 0..1000 {
        syslog.queue.push(vec![b'x'; 64 * 1024]);
    }
    let mut all = 0;
    while all < 1_000_000 && dropped(&mut syslog) == 0 {
        syslog.write(&line(all)).unwrap();
        all += 1;
    }
    assert!(all < 1_000_000);
    let (sender, ended) = mpsc::channel();
    thread::spawn(move || {
        drop(Box::new(syslog).finish());
        sender.send(())
    });
    ended.recv_timeout(DEADLINE).unwrap();
    drop(stalled);
    // A run that was ended by a signal is over before the second message.
    let told = TOLD.lock().unwrap().clone();
    let number_after = |message: &str| {
        let rest = told.iter().find_map(|told| told.strip_prefix(message)).unwrap();
        rest.parse::<u64>().unwrap()
    };
    let waiting = number_after(&format!("syslog: lines still being sent to {name}: "));
    let lost = number_after(&format!("syslog: lines not sent to {name}: "));
    assert!(lost > 0 && lost <= waiting, "{told:?}");
}

#[test]
fn each_datagram_is_a_message() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut syslog = Syslog::open(Destination::Udp(socket.local_addr().unwrap().to_string()), quiet).unwrap();
    syslog.write(&line(7)).unwrap();
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).unwrap();
    let message = str::from_utf8(&buffer[..length]).unwrap();
    assert!(
        message.starts_with("<132>1 1970-01-01T00:00:01.123456Z ") && message.ends_with(&json(7)),
        "{message}"
    );
    Box::new(syslog).finish().unwrap();
}

#[test]
fn the_log_of_this_machine_gets_the_header_of_its_programs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut syslog = Syslog::open(Destination::Unix(path), quiet).unwrap();
    syslog.write(&line(7)).unwrap();
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).unwrap();
    let message = str::from_utf8(&buffer[..length]).unwrap();
    assert_eq!(message, format!("<132>tlscope[{}]: {}", std::process::id(), json(7)));
    Box::new(syslog).finish().unwrap();
}

#[test]
fn a_message_that_is_too_long_for_a_datagram_is_counted_and_the_next_one_is_sent() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut syslog = Syslog::open(Destination::Udp(socket.local_addr().unwrap().to_string()), quiet).unwrap();
    syslog.queue.push(vec![b'x'; 70_000]);
    syslog.write(&line(7)).unwrap();
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).unwrap();
    assert!(str::from_utf8(&buffer[..length]).unwrap().ends_with(&json(7)));
    assert_eq!(dropped(&mut syslog), 1);
    Box::new(syslog).finish().unwrap();
}

#[test]
fn a_stream_that_is_cut_within_a_message_gets_it_again_as_a_whole() {
    let (listener, destination) = listen();
    let mut syslog = Syslog::bounded(destination, 64 << 20, quiet).unwrap();
    let all = 100_000;
    for number in 0..all {
        syslog.write(&line(number)).unwrap();
    }
    // The first server reads a little and resets the connection while the rest is on its way.
    let (first, _) = listener.accept().unwrap();
    let mut begin = BufReader::new(first.try_clone().unwrap());
    assert!(read_counted(&mut begin).unwrap().ends_with(&json(0)));
    drop(begin);
    let _reset = TcpStream::shutdown(&first, std::net::Shutdown::Read).is_err();
    drop(first);
    let connect = || BufReader::new(listener.accept().unwrap().0);
    let mut stream = connect();
    let mut last = None;
    while last != Some(all - 1) {
        // A message that is not whole would not parse, nor would those behind it. On a busy machine, this may read too slowly for
        // the sender, which then connects again.
        let Some(message) = read_counted(&mut stream) else {
            stream = connect();
            continue;
        };
        let number = message
            .rsplit("\"dropped\":")
            .next()
            .and_then(|rest| rest.trim_end_matches('}').parse::<u64>().ok());
        assert!(number > last, "{number:?} after {last:?}");
        last = number;
    }
    Box::new(syslog).finish().unwrap();
}
