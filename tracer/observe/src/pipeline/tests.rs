//! Tests of when lines are written.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tracer_ebpf::{AddressSource, ConnectionRecord, DataRecord, Direction, Kind, RecordFlags, RecordHeader};
use zerocopy::{FromZeros as _, IntoBytes as _};

use super::*;
use crate::{
    filter::FilterArgs,
    output::{Format, Lines, Written},
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

fn pipeline(lines: Counting) -> Pipeline {
    let options = Options {
        decode: http_decode::Settings::default(),
        redactor: Redactor::new(Rules::default()),
        filter: Filter::new(FilterArgs::default()),
        sink: Format::Json.open(lines),
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
    record.captured = bytes.len().try_into().unwrap();
    record.call_length = record.captured.into();
    batch.push_parts(record.as_bytes(), bytes);
}

#[test]
fn the_line_of_a_response_is_flushed_with_its_batch() {
    const REQUEST: &[u8] = b"GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n";
    const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let lines = Counting::default();
    let mut pipeline = pipeline(lines.clone());
    for number in 0..10 {
        let now_ns = 1000 * (number + 1);
        let mut batch = Batch::new(now_ns);
        if number == 0 {
            facts(&mut batch);
        }
        let [asked, answered] = [REQUEST, RESPONSE].map(|bytes| number * bytes.len() as u64);
        data(&mut batch, Direction::READ, asked, now_ns - 2, REQUEST);
        data(&mut batch, Direction::WRITE, answered, now_ns - 1, RESPONSE);
        pipeline.batch(batch).unwrap();
        let written = usize::try_from(number).unwrap() + 1;
        assert_eq!(*lines.counts(), (written, written));
    }
}
