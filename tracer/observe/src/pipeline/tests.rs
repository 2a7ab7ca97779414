//! Tests of when lines are written.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tracer_ebpf::{AddressSource, ConnectionRecord, DataRecord, Direction, Kind, RecordFlags, RecordHeader};
use zerocopy::{FromZeros as _, IntoBytes as _};

use super::*;
use crate::{
    correlate::ActiveRequests,
    filter::FilterArgs,
    output::{Format, Lines, Style, Written},
    redact::Rules,
};

/// Counts lines, and those among them that were flushed.
#[derive(Clone, Default)]
struct Counting(Arc<Mutex<(usize, usize)>>);

impl Counting {
    fn counts(&self) -> MutexGuard<'_, (usize, usize)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines for Counting {
    fn line(&mut self, _: &[u8]) -> io::Result<Written> {
        self.counts().0 += 1;
        Ok(Written::Yes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut counts = self.counts();
        counts.1 = counts.0;
        Ok(())
    }

    fn finish(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

fn pipeline(lines: impl Lines + Send + 'static) -> Pipeline {
    filtered(lines, FilterArgs::default())
}

fn filtered(lines: impl Lines + Send + 'static, filter: FilterArgs) -> Pipeline {
    with_sink(Format::Json.open(lines, Style::default()), filter)
}

fn with_sink(sink: Box<dyn Sink + Send>, filter: FilterArgs) -> Pipeline {
    let options = Options {
        decode: http_decode::Settings::default(),
        redactor: Redactor::new(Rules::default()),
        filter: Filter::new(filter),
        policy: None,
        sink,
        limit: None,
        connections: false,
        hops: false,
        verbose: false,
    };
    Pipeline::new(&Header::default(), options)
}

fn header(kind: Kind, direction: Direction, ts_ns: u64) -> RecordHeader {
    RecordHeader {
        ts_ns,
        kind,
        direction,
        flags: RecordFlags::FROM_START,
        tgid: 7,
        ..RecordHeader::new_zeroed()
    }
}

/// Adds the addresses of the connection.
fn facts(batch: &mut Batch) {
    let mut record = ConnectionRecord::new_zeroed();
    record.header = header(Kind::CONNECTION, Direction::READ, 0);
    record.source = AddressSource::CUSTOM_BIO;
    batch.push(record.as_bytes());
}

fn data(batch: &mut Batch, direction: Direction, position: u64, ts_ns: u64, bytes: &[u8]) {
    let mut record = DataRecord::new_zeroed();
    record.header = header(Kind::DATA, direction, ts_ns);
    (record.position, record.call_position) = (position, position);
    record.began_ns = ts_ns;
    record.captured = bytes.len().try_into().unwrap();
    record.call_length = record.captured.into();
    batch.push_parts(record.as_bytes(), bytes);
}

/// Notes how many requests were active, each time that it gets to know.
struct Active(Arc<Mutex<Vec<u64>>>);

impl Sink for Active {
    fn write(&mut self, _: &Redacted<Line<'_>>) -> Result<Written, output::Error> {
        Ok(Written::Yes)
    }

    fn wants_active(&self) -> bool {
        true
    }

    fn note_active(&mut self, active: &[ActiveRequests]) {
        let sum = active.iter().map(|requests| requests.count).sum();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sum);
    }

    fn flush(&mut self) -> Result<(), output::Error> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), output::Error> {
        Ok(())
    }
}

/// Notes how many fields each request has, of which it may want none.
struct Fields {
    wanted: bool,
    counts: Arc<Mutex<Vec<usize>>>,
}

impl Sink for Fields {
    fn write(&mut self, line: &Redacted<Line<'_>>) -> Result<Written, output::Error> {
        if let Line::Exchange(line) = &**line
            && let Some(request) = &line.request
        {
            assert_eq!(request.authority.as_deref(), Some("a.test"));
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            counts.push(request.headers.len());
        }
        Ok(Written::Yes)
    }

    fn wants_fields(&self) -> bool {
        self.wanted
    }

    fn flush(&mut self) -> Result<(), output::Error> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), output::Error> {
        Ok(())
    }
}

#[test]
fn fields_are_printed_if_the_sink_or_the_filter_wants_them() {
    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        filter: FilterArgs,
    }
    for (wanted, words, expected) in [
        (true, &[][..], 1),
        (false, &[][..], 0),
        (false, &["--path", "x"], 0),
        (false, &["--header", "host: a"], 1),
    ] {
        let counts = Arc::default();
        let sink = Fields {
            wanted,
            counts: Arc::clone(&counts),
        };
        let words = [&["tlscope"], words].concat();
        let command = <Command as clap::Parser>::try_parse_from(&words).unwrap();
        let mut pipeline = with_sink(Box::new(sink), command.filter);
        let mut batch = Batch::new(10);
        facts(&mut batch);
        exchange(&mut batch, 0, 5);
        pipeline.batch(batch).unwrap();
        pipeline.conclude().unwrap();
        assert_eq!(*counts.lock().unwrap(), [expected], "{words:?}");
    }
}

#[test]
fn active_requests_are_counted_once_a_second() {
    let counts = Arc::default();
    let mut pipeline = with_sink(Box::new(Active(Arc::clone(&counts))), FilterArgs::default());
    let mut at_ns = 5_000_000_000;
    let mut push = |direction, bytes: &[u8], pause_ms: u64| {
        at_ns += pause_ms * 1_000_000;
        let mut batch = Batch::new(at_ns);
        batch.complete_until_ns = at_ns;
        data(&mut batch, direction, 0, at_ns - 1, bytes);
        pipeline.batch(batch).unwrap();
    };
    push(Direction::READ, REQUEST, 0);
    push(Direction::WRITE, &RESPONSE[..RESPONSE.len() - 1], 999);
    push(Direction::WRITE, &[], 1);
    push(Direction::WRITE, RESPONSE, 1000);
    assert_eq!(*counts.lock().unwrap(), [1, 1, 0]);
}

const REQUEST: &[u8] = b"GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Adds the exchange of this number, from 0 on, which ends at `ts_ns`.
fn exchange(batch: &mut Batch, number: u64, ts_ns: u64) {
    let [asked, answered] = [REQUEST, RESPONSE].map(|bytes| number * bytes.len() as u64);
    data(batch, Direction::READ, asked, ts_ns - 1, REQUEST);
    data(batch, Direction::WRITE, answered, ts_ns, RESPONSE);
}

#[test]
fn the_rate_is_limited_by_the_times_of_records_in_one_batch_and_at_the_end() {
    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        filter: FilterArgs,
    }
    const SECOND: u64 = 1_000_000_000;
    let times = [SECOND, SECOND + 1, 2 * SECOND - 1, 2 * SECOND, 5 * SECOND];
    for complete_until_ns in [0, 9 * SECOND] {
        let command = <Command as clap::Parser>::try_parse_from(["tlscope", "--rate-limit", "1/s"]).unwrap();
        let lines = Counting::default();
        let mut pipeline = filtered(lines.clone(), command.filter);
        let mut batch = Batch::new(9 * SECOND);
        batch.complete_until_ns = complete_until_ns;
        facts(&mut batch);
        for (number, ts_ns) in (0..).zip(times) {
            exchange(&mut batch, number, ts_ns);
        }
        pipeline.batch(batch).unwrap();
        pipeline.conclude().unwrap();
        let summary = pipeline.summary();
        assert_eq!((summary.exchanges, summary.rate_limited), (3, Some(2)));
        // The health line has both that were left out.
        assert_eq!(lines.counts().0, 4);
    }
}

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_events_of_a_stream_are_timed_with_the_exchange_and_its_end() {
    const REQUEST: &[u8] = b"POST /mcp HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n";
    const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 17\r\n\r\n";
    const SECOND: u64 = 1_000_000_000;
    let kept = Kept::default();
    let mut pipeline = pipeline(kept.clone());
    let mut batch = Batch::new(1_000_000);
    facts(&mut batch);
    data(&mut batch, Direction::READ, 0, 1000, REQUEST);
    data(&mut batch, Direction::WRITE, 0, 2000, RESPONSE);
    let body = RESPONSE.len() as u64;
    data(&mut batch, Direction::WRITE, body, 5000, b": keep\n\n");
    pipeline.batch(batch).unwrap();
    pipeline.batch(Batch::new(2 * SECOND)).unwrap();
    let mut batch = Batch::new(3 * SECOND);
    data(
        &mut batch,
        Direction::WRITE,
        body + 8,
        2 * SECOND + 1000,
        b"data: a\n\n",
    );
    pipeline.batch(batch).unwrap();
    let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [exchange, end] = lines.as_slice() else {
        panic!("{text}")
    };
    assert_eq!(
        (&exchange["first_byte_us"], exchange.get("first_event_us")),
        (&4.into(), None)
    );
    assert_eq!(
        (&end["first_byte_us"], &end["first_event_us"], &end["duration_us"]),
        (&4.into(), &2_000_000.into(), &2_000_000.into())
    );
}

#[test]
fn the_line_of_a_response_is_flushed_with_its_batch() {
    let lines = Counting::default();
    let mut pipeline = pipeline(lines.clone());
    for number in 0..10 {
        let now_ns = 1000 * (number + 1);
        let mut batch = Batch::new(now_ns);
        if number == 0 {
            facts(&mut batch);
        }
        exchange(&mut batch, number, now_ns - 1);
        pipeline.batch(batch).unwrap();
        let written = usize::try_from(number).unwrap() + 1;
        assert_eq!(*lines.counts(), (written, written));
    }
}
