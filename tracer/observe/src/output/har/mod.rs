//! HTTP Archive (HAR) 1.2, one JSON document.
//!
//! An entry is written when its exchange has ended, because the document cannot add the end later. HAR has no place for
//! connections, which are left out, or for losses, which are added up in the comment of the document. Bodies are not
//! captured.

mod cookies;
mod entry;

use std::io::Write as _;

use serde::Serialize;

use self::entry::entry;
use super::{Error, Lines, Sink, Written, escape::write_json, waiting::Waiting, write_each};
use crate::{
    limits::MAX_WAITING_BYTES,
    redact::{ExchangeLine, HopLine, Line, Redacted},
};

/// Writes one HAR document.
pub struct Har<L: Lines> {
    lines: L,
    /// The entry in progress, so that it is written as a whole.
    out: Vec<u8>,
    entries: u64,
    gaps: u64,
    missing_bytes: u64,
    /// Gaps of unknown length.
    unknown_gaps: u64,
    /// Exchanges that have not ended.
    waiting: Waiting,
    /// Exchanges that were written before they had ended, at the bound of memory.
    unfinished: u64,
}

impl<L: Lines> Har<L> {
    /// Creates a sink that writes the document to `lines`, one entry at a time.
    pub fn new(lines: L) -> Self {
        Self {
            lines,
            out: Vec::new(),
            entries: 0,
            gaps: 0,
            missing_bytes: 0,
            unknown_gaps: 0,
            waiting: Waiting::new(MAX_WAITING_BYTES),
            unfinished: 0,
        }
    }

    /// Writes the beginning of the document before the first entry, and a comma before any other.
    fn separate(&mut self) -> Result<(), Error> {
        if self.entries == 0 {
            return self.begin();
        }
        Ok(self.out.write_all(b",\n")?)
    }

    fn entry(&mut self, line: &ExchangeLine<'_>, comment: Option<&'static str>) -> Result<Written, Error> {
        self.out.clear();
        self.separate()?;
        write_json(&mut self.out, &entry(line, comment))?;
        let written = self.lines.line(&self.out)?;
        self.entries += u64::from(written == Written::Yes);
        Ok(written)
    }

    fn exchange(&mut self, line: &ExchangeLine<'_>) -> Result<Written, Error> {
        if line.ended.is_none() {
            return self.wait(line.to_static());
        }
        self.entry(line, None)
    }

    /// Writes the exchanges of a hop one by one: HAR has no place for what joins them.
    fn hop(&mut self, hop: &HopLine<'_>) -> Result<Written, Error> {
        write_each(hop.exchanges(), |line| self.exchange(line))
    }

    /// Adds an exchange that has not ended. Those that the bound pushes out are written.
    fn wait(&mut self, line: ExchangeLine<'static>) -> Result<Written, Error> {
        self.waiting.add(line);
        let mut written = Written::Yes;
        while let Some(longest) = self.waiting.take_over_bound() {
            self.unfinished += 1;
            if self.entry(&longest, Some("not ended when it was written"))? == Written::Dropped {
                written = Written::Dropped;
            }
        }
        Ok(written)
    }

    fn comment(&self) -> Option<String> {
        let unknown = match self.unknown_gaps {
            0 => String::new(),
            gaps => format!(", and an unknown number in {gaps} of them"),
        };
        let losses = format!(
            "{} holes, {} bytes not captured{unknown}",
            self.gaps, self.missing_bytes
        );
        let unfinished = format!(
            "{} entries written before their end, for want of memory",
            self.unfinished
        );
        match (self.gaps > 0, self.unfinished > 0) {
            (true, true) => Some(format!("{losses}; {unfinished}")),
            (true, false) => Some(losses),
            (false, true) => Some(unfinished),
            (false, false) => None,
        }
    }

    fn begin(&mut self) -> Result<(), Error> {
        self.out.write_all(b"{\"log\":{\"version\":\"1.2\",\"creator\":")?;
        write_json(
            &mut self.out,
            &Creator {
                name: "tlscope",
                version: env!("CARGO_PKG_VERSION"),
            },
        )?;
        Ok(self.out.write_all(b",\"entries\":[\n")?)
    }
}

impl<L: Lines> Sink for Har<L> {
    fn write(&mut self, line: &Redacted<Line<'_>>) -> Result<Written, Error> {
        match &**line {
            Line::Exchange(exchange) => self.exchange(exchange),
            Line::End(end) => match self.waiting.end(end) {
                Some(exchange) => self.entry(&exchange, None),
                None => Ok(Written::Yes),
            },
            Line::Hop(hop) => self.hop(hop),
            Line::Connection(_) | Line::Health(_) | Line::Hooks(_) | Line::Alert(_) | Line::Audit(_) => {
                Ok(Written::Yes)
            }
            Line::Loss(loss) => {
                self.gaps += 1;
                self.missing_bytes = self.missing_bytes.saturating_add(loss.bytes.unwrap_or(0));
                self.unknown_gaps += u64::from(loss.bytes.is_none());
                Ok(Written::Yes)
            }
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(self.lines.flush()?)
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        for line in self.waiting.take_all() {
            self.entry(&line, Some("goes on"))?;
        }
        self.out.clear();
        if self.entries == 0 {
            self.begin()?;
        }
        self.out.write_all(b"\n]")?;
        if let Some(comment) = self.comment() {
            self.out.write_all(b",\"comment\":")?;
            write_json(&mut self.out, &comment)?;
        }
        self.out.write_all(b"}}\n")?;
        Ok(self.lines.finish(&self.out)?)
    }
}

#[derive(Serialize)]
struct Creator {
    name: &'static str,
    version: &'static str,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::output::sample;
    use http_decode::Exchange;

    fn written(lines: &[Redacted<Line<'_>>]) -> Value {
        let mut bytes = Vec::new();
        let mut sink = Har::new(&mut bytes);
        for line in lines {
            sink.write(line).unwrap();
        }
        Box::new(sink).finish().unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn an_archive_without_entries_is_valid() {
        let log = written(&[])["log"].clone();
        assert_eq!((&log["version"], &log["entries"]), (&json!("1.2"), &json!([])));
    }

    #[test]
    fn the_exchanges_of_a_hop_are_entries() {
        let log = written(&[sample::hop()])["log"].clone();
        let entries = log["entries"].as_array().unwrap();
        let ids: Vec<_> = entries.iter().map(|entry| &entry["_id"]).collect();
        assert_eq!(ids, [&json!("7-1"), &json!("7-9")]);
    }

    #[test]
    fn an_entry_has_what_har_requires() {
        let entry = written(&[sample::exchange()])["log"]["entries"][0].clone();
        assert_eq!(entry["request"]["url"], "https://a.test/x?token=[redacted]");
        assert_eq!(
            entry["request"]["queryString"],
            json!([{"name": "token", "value": "[redacted]"}])
        );
        assert_eq!(entry["response"]["status"], 200);
        assert_eq!(entry["response"]["content"], json!({"size": 6, "mimeType": ""}));
        assert_eq!(entry["timings"], json!({"send": 0.0, "wait": 0.38, "receive": 0.032}));
        for member in ["startedDateTime", "time", "cache"] {
            assert!(!entry[member].is_null(), "{member}");
        }
    }

    /// Removes the end of an exchange.
    fn in_progress(exchange: &mut Exchange) {
        (exchange.ended, exchange.ended_at) = (None, None);
    }

    #[test]
    fn an_exchange_in_progress_waits_for_its_end() {
        let log = written(&[sample::exchange_with(in_progress), sample::half(), sample::end()])["log"].clone();
        let [ended, half] = log["entries"].as_array().unwrap().as_slice() else {
            panic!("{log}")
        };
        assert_eq!((&ended["_id"], &ended["_ended"]), (&json!("7-1"), &json!("closed")));
        assert_eq!(
            (&ended["time"], &ended["response"]["bodySize"]),
            (&json!(2000.0), &json!(9))
        );
        assert_eq!(ended["timings"], json!({"send": 0.0, "wait": 0.38, "receive": 1999.62}));
        assert_eq!(half["comment"], "request not known; goes on");
        assert_eq!(log["comment"], Value::Null);
    }

    #[test]
    fn an_exchange_in_progress_at_the_end_is_written_as_it_is() {
        let log = written(&[sample::exchange_with(in_progress)])["log"].clone();
        assert_eq!(log["entries"][0]["comment"], "goes on");
        assert_eq!(log["entries"][0]["time"], 0.38);
    }

    #[test]
    fn at_the_bound_the_exchange_that_has_waited_longest_is_written_as_it_is() {
        let mut bytes = Vec::new();
        let mut sink = Har::new(&mut bytes);
        sink.waiting = Waiting::new(4000);
        for ordinal in 1..=4 {
            let line = sample::exchange_with(|exchange| {
                in_progress(exchange);
                exchange.ordinal = ordinal;
            });
            sink.write(&line).unwrap();
        }
        Box::new(sink).finish().unwrap();
        let log = serde_json::from_slice::<Value>(&bytes).unwrap()["log"].clone();
        let comments: Vec<_> = log["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["comment"].clone())
            .collect();
        let early = comments
            .iter()
            .filter(|comment| **comment == "not ended when it was written")
            .count();
        assert!(early > 0 && early < 4 && comments.len() == 4, "{comments:?}");
        assert_eq!(
            log["comment"],
            format!("{early} entries written before their end, for want of memory")
        );
    }

    #[test]
    fn an_entry_has_every_member_that_har_requires() {
        let lines = [
            sample::exchange(),
            sample::half(),
            sample::exchange_with(|exchange| exchange.response = None),
        ];
        let document = written(&lines);
        let has = |value: &Value, members: &[&str]| {
            for member in members {
                assert!(!value[member].is_null(), "{member} is not in {value}");
            }
        };
        has(&document["log"], &["version", "creator", "entries"]);
        has(&document["log"]["creator"], &["name", "version"]);
        for entry in document["log"]["entries"].as_array().unwrap() {
            has(
                entry,
                &["startedDateTime", "time", "request", "response", "cache", "timings"],
            );
            has(
                &entry["request"],
                &[
                    "method",
                    "url",
                    "httpVersion",
                    "cookies",
                    "headers",
                    "queryString",
                    "headersSize",
                    "bodySize",
                ],
            );
            has(
                &entry["response"],
                &[
                    "status",
                    "statusText",
                    "httpVersion",
                    "cookies",
                    "headers",
                    "content",
                    "redirectURL",
                    "headersSize",
                    "bodySize",
                ],
            );
            has(&entry["response"]["content"], &["size", "mimeType"]);
            has(&entry["timings"], &["send", "wait", "receive"]);
            let parts = ["send", "wait", "receive"].map(|part| entry["timings"][part].as_f64().unwrap());
            assert!((parts.iter().sum::<f64>() - entry["time"].as_f64().unwrap()).abs() < 1e-9);
        }
    }

    #[test]
    fn an_entry_has_the_address_of_the_server_and_cookies_without_values() {
        let line = sample::exchange_with(|exchange| {
            let request = exchange.request.as_mut().unwrap();
            request.head.fields = sample::fields([sample::field("cookie", "sid=hunter2; b=1")]);
            let response = exchange.response.as_mut().unwrap();
            response.head.fields = sample::fields([sample::field("set-cookie", "sid=hunter2; Path=/; Secure")]);
        });
        let entry = written(&[line])["log"]["entries"][0].clone();
        assert_eq!(
            (&entry["serverIPAddress"], &entry["connection"]),
            (&json!("127.0.0.1"), &json!("7"))
        );
        let masked = "[redacted]";
        assert_eq!(
            entry["request"]["cookies"],
            json!([{"name": "sid", "value": masked}, {"name": "b", "value": masked}])
        );
        assert_eq!(
            entry["response"]["cookies"],
            json!([{"name": "sid", "value": masked, "path": "/", "httpOnly": false, "secure": true}])
        );
        let unknown = written(&[sample::exchange_with(|exchange| {
            exchange.side = http_decode::Side::Client;
        })]);
        assert_eq!(unknown["log"]["entries"][0]["serverIPAddress"], "127.0.0.1");
    }

    #[test]
    fn losses_are_added_up_and_ends_of_unknown_exchanges_left_out() {
        let log = written(&[
            sample::half(),
            sample::loss(),
            sample::exchange(),
            sample::end(),
            sample::loss(),
            sample::summary(),
        ])["log"]
            .clone();
        assert_eq!(log["entries"].as_array().map(Vec::len), Some(2));
        assert_eq!(log["entries"][1]["comment"], "request not known; goes on");
        assert_eq!(log["comment"], "2 holes, 200 bytes not captured");
    }
}
