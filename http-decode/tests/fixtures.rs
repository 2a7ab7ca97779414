//! Plays the conversations of `fixtures/http1`, whose README describes the format.
#![cfg(test)]

use std::fs;
use std::path::Path;

use http_decode::{
    Chunk, Connection, Direction, End, Ended, Exchange, Fields, Gap, GapCause, Malformed, Output, Reason, ServerEvents,
    Settings, Timestamp, Unredacted,
};
use serde_json::{Value, json};

#[test]
fn every_fixture_gives_its_expected_outputs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/http1");
    let mut failures = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            count += 1;
            let fixture: Value = serde_json::from_slice(&fs::read(&path).unwrap()).expect("a fixture is JSON");
            for step in [usize::MAX, 1] {
                let outputs = Tape::new(step).play(&fixture["do"]);
                if let Some(difference) = differ(&fixture["expect"], &Value::Array(outputs.clone())) {
                    let cut = if step == 1 { ", byte by byte" } else { "" };
                    let outputs = outputs.iter().map(Value::to_string).collect::<Vec<_>>().join("\n  ");
                    failures.push(format!("{}{cut}: {difference}\n  {outputs}", path.display()));
                }
            }
        }
    }
    assert!(count >= 30, "only {count} fixtures");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A connection, fed with the steps of a fixture.
struct Tape {
    connection: Connection,
    positions: [u64; 2],
    now: u64,
    step: usize,
    outputs: Vec<Value>,
}

impl Tape {
    fn new(step: usize) -> Self {
        let connection = Connection::new(Settings::default());
        Self {
            connection,
            positions: [0; 2],
            now: 0,
            step,
            outputs: Vec::new(),
        }
    }

    fn play(mut self, steps: &Value) -> Vec<Value> {
        for step in steps.as_array().unwrap() {
            self.now += 1;
            self.take(step);
            self.poll();
        }
        self.outputs
    }

    fn take(&mut self, step: &Value) {
        let now = Timestamp(self.now);
        match step[0].as_str().unwrap() {
            "from-start" => self.connection.mark_from_start(),
            "read" => self.call(Direction::Read, step),
            "write" => self.call(Direction::Write, step),
            "lost" => drop(self.advance(direction(&step[1]), step[2].as_u64().unwrap())),
            "over-limit" => {
                let direction = direction(&step[1]);
                let bytes = step[2].as_u64().unwrap();
                let position = self.advance(direction, bytes);
                self.connection.gap(Gap {
                    direction,
                    position,
                    span: bytes,
                    cause: GapCause::OverLimit,
                    at: None,
                });
            }
            "settle" => self.connection.settle(now),
            "hold" => {
                self.now += 1_000_000_000;
                self.connection.tick(Timestamp(self.now));
            }
            "close" => self.connection.close(now, Ended::Closed, None),
            "reset" => self.connection.close(now, Ended::Reset, None),
            "finish" => self.connection.finish(now),
            other => panic!("no such step: {other}"),
        }
    }

    fn call(&mut self, direction: Direction, step: &Value) {
        let bytes = step[1]
            .as_str()
            .unwrap()
            .chars()
            .map(|byte| u8::try_from(byte).unwrap())
            .collect::<Vec<_>>();
        let position = step[2]
            .as_u64()
            .unwrap_or_else(|| self.advance(direction, bytes.len() as u64));
        let more = step[2].is_string();
        for (index, part) in bytes.chunks(self.step.min(bytes.len())).enumerate() {
            self.connection.push(
                direction,
                Chunk {
                    position: position + (index * self.step.min(bytes.len())) as u64,
                    at: Timestamp(self.now),
                    origin: 0,
                    call_start: index == 0 && !more,
                    bytes: part,
                },
            );
            self.poll();
        }
    }

    fn advance(&mut self, direction: Direction, count: u64) -> u64 {
        let position = &mut self.positions[usize::from(direction == Direction::Write)];
        *position += count;
        *position - count
    }

    fn poll(&mut self) {
        while let Some(output) = self.connection.poll() {
            self.outputs.push(output_to_json(&output));
        }
    }
}

/// Returns the first difference between `expected` and those parts of `actual` that it names.
fn differ(expected: &Value, actual: &Value) -> Option<String> {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(_)) => expected
            .iter()
            .find_map(|(key, value)| differ(value, &actual[key]).map(|difference| format!("{key}: {difference}"))),
        (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => expected
            .iter()
            .zip(actual)
            .find_map(|(expected, actual)| differ(expected, actual)),
        _ => (expected != actual).then(|| format!("expected {expected}, not {actual}")),
    }
}

fn direction(value: &Value) -> Direction {
    if value == "read" {
        Direction::Read
    } else {
        Direction::Write
    }
}

fn output_to_json(output: &Output) -> Value {
    match output {
        Output::Exchange(exchange) => exchange_to_json(exchange),
        Output::End(end) => {
            let End {
                ordinal,
                began: _,
                ended_at,
                ended,
                body_bytes,
                trailers,
                events,
            } = end.as_ref();
            json!({
                "end": ordinal, "ended_at": ended_at.0, "ended": ended.name(), "body_bytes": body_bytes,
                "trailers": fields_to_json(trailers), "events": events_to_json(events.as_ref()),
            })
        }
        Output::Gap(gap) => json!({
            "gap": gap.direction.name(), "position": gap.position, "bytes": gap.bytes(),
            "cause": gap.cause.name(),
        }),
        Output::Undecoded(direction, position, reason) => json!({
            "undecoded": direction.name(), "position": position, "reason": reason_name(*reason),
        }),
    }
}

fn exchange_to_json(exchange: &Exchange) -> Value {
    json!({
        "exchange": exchange.ordinal,
        "side": exchange.side.name(),
        "protocol": exchange.protocol.name(),
        "request": exchange.request.as_ref().map(|request| json!({
            "method": request.head.method,
            "scheme": request.head.scheme,
            "authority": request.head.authority().map(|authority| to_text(authority.expose())),
            "path": request.head.path.as_ref().map(bytes_to_text),
            "fields": fields_to_json(&request.head.fields),
            "malformed": request.head.malformed.map(Malformed::name),
            "body_bytes": request.body_bytes,
            "trailers": fields_to_json(&request.trailers),
        })),
        "informational": exchange.informational.iter().map(|head| json!({
            "status": head.status,
            "fields": fields_to_json(&head.fields),
        })).collect::<Vec<_>>(),
        "response": exchange.response.as_ref().map(|response| json!({
            "status": response.head.status,
            "fields": fields_to_json(&response.head.fields),
            "malformed": response.head.malformed.map(Malformed::name),
            "body_bytes": response.body_bytes,
            "trailers": fields_to_json(&response.trailers),
        })),
        "began": exchange.began.0,
        "head_at": exchange.head_at.map(|at| at.0),
        "ended_at": exchange.ended_at.map(|at| at.0),
        "ended": exchange.ended.map(Ended::name),
        "events": events_to_json(exchange.events.as_ref()),
    })
}

fn events_to_json(events: Option<&ServerEvents>) -> Value {
    events.map_or(Value::Null, |events| {
        let [byte, event] = [events.first_byte_at(), events.first_event_at()].map(|at| at.map(|at| at.0));
        json!({"first_byte_at": byte, "first_event_at": event})
    })
}

fn fields_to_json(fields: &Fields) -> Value {
    fields
        .iter()
        .map(|field| json!([field.name, field.value.map(|value| to_text(value.expose()))]))
        .collect()
}

fn bytes_to_text(value: &Unredacted) -> String {
    to_text(value.expose())
}

fn to_text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn reason_name(reason: Reason) -> &'static str {
    match reason {
        Reason::NotHttp => "not-http",
        Reason::Unrecognised => "unrecognised",
        Reason::Restarted => "restarted",
        Reason::MalformedFrame => "malformed-frame",
        Reason::HeadTooLarge => "head-too-large",
        Reason::MalformedHead => "malformed-head",
        Reason::MalformedBody => "malformed-body",
        Reason::TooManyPending => "too-many-pending",
        Reason::UnknownSide => "unknown-side",
    }
}
