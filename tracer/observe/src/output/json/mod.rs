//! JSON lines, one object a line, as `schema.json` describes them.

mod writer;

use serde::Serialize;

use self::writer::Writer;
use super::{Error, Lines, Sink, Written};
use crate::redact::{Line, Redacted, VERSION};

/// The JSON Schema (draft 2020-12) of the lines. It forbids members that it does not describe.
pub const SCHEMA: &str = include_str!("../schema.json");

/// Writes one JSON object a line.
pub struct Json<L: Lines> {
    lines: L,
    json: JsonLines,
}

/// Formats lines as JSON.
#[derive(Debug, Default)]
pub struct JsonLines {
    /// Room for a line.
    buffer: Vec<u8>,
}

impl JsonLines {
    /// Returns a line as JSON, with a line feed.
    pub fn format(&mut self, line: &Redacted<Line<'_>>) -> Result<&[u8], Error> {
        loop {
            if let Some(length) = write_line(&mut self.buffer, line)? {
                return Ok(self.buffer.get(..length).unwrap_or_default());
            }
            let longer = (2 * self.buffer.len()).max(FIRST_BYTES);
            self.buffer.resize(longer, 0);
        }
    }
}

impl<L: Lines> Json<L> {
    /// Creates a sink that writes to `lines`.
    pub const fn new(lines: L) -> Self {
        Self {
            lines,
            json: JsonLines { buffer: Vec::new() },
        }
    }
}

impl<L: Lines> Sink for Json<L> {
    fn write(&mut self, line: &Redacted<Line<'_>>) -> Result<Written, Error> {
        Ok(self.lines.line(self.json.format(line)?)?)
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(self.lines.flush()?)
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        Ok(self.lines.finish(b"")?)
    }
}

/// Writes a line and returns its length, or `None` if it is longer than `out`.
fn write_line(out: &mut [u8], line: &Line<'_>) -> Result<Option<usize>, Error> {
    match line {
        Line::Exchange(line) => write(out, "exchange", line),
        Line::Hop(line) => write(out, "hop", line),
        Line::End(line) => write(out, "end", line),
        Line::Loss(line) => write(out, "loss", line),
        Line::Connection(line) => write(out, "connection", line),
        Line::Health(line) => write(out, "health", line),
        Line::Hooks(line) => write(out, "health", line),
        Line::Alert(line) => write(out, "alert", line),
        Line::Audit(line) => write(out, "audit", line),
    }
}

/// Writes an object that begins with the version and the type.
fn write(out: &mut [u8], kind: &'static str, line: &impl Serialize) -> Result<Option<usize>, Error> {
    let length = out.len();
    let mut writer = Writer::new(out);
    writer.begin_line(VERSION, kind);
    line.serialize(&mut writer)?;
    writer.put(b"\n");
    Ok(writer.room().map(|room| length - room))
}

/// Room for most lines.
const FIRST_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http_decode::{Direction, Ended, GapCause, Malformed, Protocol, Side};
    use serde_json::Value;

    use super::*;
    use crate::{
        audit,
        event::{AddressSource, RefusalCause},
        health::{Export, State},
        join::How,
        output::sample,
    };

    fn written(line: &Redacted<Line<'_>>) -> String {
        let mut bytes = Vec::new();
        let mut sink = Json::new(&mut bytes);
        sink.write(line).unwrap();
        Box::new(sink).finish().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_exchange_matches_the_contract() {
        let expected = concat!(
            r#"{"v":1,"type":"exchange","id":"7-1","time":"2026-11-21T07:45:00.123456789Z","pid":1,"tid":2,"#,
            r#""process":"nginx","tls":"openssl","side":"server","#,
            r#""connection":{"id":"7","local":"127.0.0.1:8443","remote":"127.0.0.1:50312","source":"bio"},"#,
            r#""protocol":"http/1.1","stream":1,"#,
            r#""request":{"method":"GET","scheme":"https","authority":"a.test","path":"/x?token=[redacted]","#,
            r#""headers":[["host","a.test"],["authorization","Bearer [redacted]"]],"complete":true,"body_bytes":0},"#,
            r#""informational":[{"status":103,"headers":[["link","</a.css>"]]}],"#,
            r#""response":{"status":200,"headers":[["server","nginx"],["x-request-id","abc"]],"complete":true,"#,
            r#""body_bytes":6,"trailers":[["grpc-status","0"]]},"#,
            r#""head_us":380,"duration_us":412,"ended":"complete","request_id":"abc","grpc_status":0}"#,
            "\n"
        );
        assert_eq!(written(&sample::exchange()), expected);
    }

    #[test]
    fn a_half_has_no_member_of_the_other_half() {
        let expected = concat!(
            r#"{"v":1,"type":"exchange","id":"7-2","time":"2026-11-21T07:45:00.123456789Z","pid":1,"tid":2,"#,
            r#""process":"nginx","tls":"openssl","side":"server","#,
            r#""connection":{"id":"7","local":"127.0.0.1:8443","remote":"127.0.0.1:50312","source":"bio"},"#,
            r#""protocol":"http/2","stream":3,"#,
            r#""response":{"headers":[["x-tenant",null],[null,"[redacted]"],[null,null],["x-name","\u00e9\u0001"]],"#,
            r#""complete":false,"unknown":4},"encoding":"latin1"}"#,
            "\n"
        );
        assert_eq!(written(&sample::half()), expected);
    }

    #[test]
    fn a_hop_has_both_lines_and_what_differs() {
        let exchange = |line: &Redacted<Line<'_>>| written(line).trim_end().to_owned();
        let text = exchange(&sample::hop());
        let downstream = exchange(&sample::exchange());
        let head = concat!(
            r#"{"v":1,"type":"hop","id":"7-1","time":"2026-11-21T07:45:00.123456789Z","pid":1,"process":"nginx","#,
            r#""gateway_us":202,"downstream":"#
        );
        let upstream = concat!(
            r#","upstreams":[{"joined":"request-id","reused":true,"upstream_first_byte_us":200,"#,
            r#""request_diff":{"added":[["x-request-id","abc"]],"#,
            r#""changed":[[":path","/x?token=[redacted]","/y?token=[redacted]"],"#,
            r#"["authorization","Bearer [redacted]","Bearer [redacted]"]],"complete":true},"#,
            r#""response_diff":{"added":[["x-request-id","abc"]],"removed":[["x-powered-by","app"]],"#,
            r#""changed":[[":status","201","200"],["server","app","nginx"]],"complete":true},"#,
            r#""exchange":{"v":1,"type":"exchange","id":"7-9","#
        );
        let rest = text
            .strip_prefix(head)
            .and_then(|text| text.strip_prefix(&downstream))
            .unwrap_or(&text);
        assert!(rest.starts_with(upstream), "{text}");
        assert!(!text.contains("hunter"), "{text}");
        let ambiguous: Value = serde_json::from_str(&written(&sample::ambiguous())).unwrap();
        assert_eq!(ambiguous["candidates"], serde_json::json!(["7-1", "8-1"]));
        assert!(ambiguous.get("downstream").is_none());
    }

    #[test]
    fn an_end_and_a_loss_match_the_contract() {
        assert_eq!(
            written(&sample::end()),
            concat!(
                r#"{"v":1,"type":"end","id":"7-1","response":{"body_bytes":9,"trailers":[["x-token","[redacted]"]]},"#,
                r#""duration_us":2000000,"ended":"closed"}"#,
                "\n"
            )
        );
        assert_eq!(
            written(&sample::loss()),
            concat!(
                r#"{"v":1,"type":"loss","time":"2026-11-21T07:45:00.123456789Z","pid":1,"process":"nginx","#,
                r#""connection":{"id":"7","reason":"custom-bio"},"#,
                r#""direction":"read","position":4096,"bytes":100,"cause":"over_limit"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn health_matches_the_contract() {
        assert_eq!(
            written(&sample::health()),
            concat!(
                r#"{"v":1,"type":"health","time":"2026-11-21T07:45:00.123456789Z","subject":"table","name":"calls","#,
                r#""state":"nearly_full","used":91,"capacity":100}"#,
                "\n"
            )
        );
        let dropped = r#""subject":"output","state":"dropped","dropped":7}"#;
        assert!(written(&sample::health_of_output()).trim_end().ends_with(dropped));
    }

    #[test]
    fn refused_hooks_match_the_contract() {
        let expected = concat!(
            r#"{"v":1,"type":"health","time":"2026-11-21T07:45:00.123456789Z","subject":"hooks","name":"lift","#,
            r#""state":"refused","pid":1,"process":"nginx","tls":"openssl","path":"/usr/lib/libssl.so.3","#,
            r#""cause":"mismatch"}"#,
            "\n"
        );
        assert_eq!(written(&sample::hooks()), expected);
    }

    #[test]
    fn an_alert_matches_the_contract() {
        let expected = concat!(
            r#"{"v":1,"type":"alert","time":"2026-11-21T07:45:00.123456789Z","rule":"no-credentials","#,
            r#""severity":"warning","message":"no credentials\u001b here","id":"7-1","pid":1,"process":"nginx","side":"server","#,
            r#""connection":{"id":"7","local":"127.0.0.1:8443","remote":"127.0.0.1:50312","source":"bio"},"#,
            r#""path":"/x?token=[redacted]","status":200,"#,
            r#""evidence":{"head":"request","field":"authorization","value":"Bearer [redacted]","server_name":"b.test","#,
            r#""key":"127.0.0.1","count":3,"limit":2}}"#,
            "\n"
        );
        assert_eq!(written(&sample::alert()), expected);
    }

    #[test]
    fn the_audit_of_a_start_and_of_an_end_match_the_contract() {
        let who = concat!(
            r#""run":"7-1","host":"gateway","version":"0.1.0","pid":7,"command":"trace","#,
            r#""user":{"uid":0,"name":"root","login_uid":1000,"login_name":"al\u001bice"},"#,
            r#""from":{"tty":"pts/0","parent":"sudo","parent_pid":6},"#,
            r#""claims":{"sudo_user":"alice","sudo_uid":"1000","ssh_client":"192.0.2.7"},"secrets":"shown","#,
            r#""selection":[["name","nginx"],["wait",null]],"#,
            r#""filters":[["header","authorization: [redacted]"],["path","^/x\\?token=[redacted]"]],"#,
            r#""outputs":[["otlp","https://[redacted]@collector.test:4318"],["otlp-header","x-key=[redacted]"],"#,
            r#"["alert-exec","[redacted]"]],"settings":[["hold","1s"]]"#,
        );
        let time = r#""time":"2026-11-21T07:45:00.123456789Z""#;
        let start = format!(
            r#"{{"v":1,"type":"audit",{time},"event":"start",{who},"processes":[{{"pid":1,"name":"nginx"}}]}}"#
        );
        assert_eq!(written(&sample::audit()).trim_end(), start);
        let end = format!(
            r#"{{"v":1,"type":"audit",{time},"event":"end",{who},"ended":"signal","duration_us":2000000,"exchanges":5,"#
        ) + r#""lost_records":1,"lost_bytes":100,"processes_traced":3}"#;
        assert_eq!(written(&sample::audit_end()).trim_end(), end);
        let refused = format!(
            r#"{{"v":1,"type":"audit",{time},"event":"refused",{who},"processes":[{{"pid":1,"name":"nginx"}}],"reason":"#
        ) + r#""no process\u001b for x-key=[redacted] [redacted], \"https://[redacted]@collector.test:4318\""}"#;
        assert_eq!(written(&sample::audit_refused()).trim_end(), refused);
    }

    #[test]
    fn a_connection_matches_the_contract() {
        let expected = concat!(
            r#"{"v":1,"type":"connection","id":"7","time":"2026-11-21T07:45:00.123456789Z","pid":1,"process":"nginx","#,
            r#""tls":"openssl","#,
            r#""connection":{"id":"7","local":"127.0.0.1:8443","remote":"127.0.0.1:50312","source":"ciphertext"},"#,
            r#""opened":"2026-11-21T07:44:59.000000005Z","tls_version":"TLSv1.3","cipher":"TLS_AES_256_GCM_SHA384","#,
            r#""alpn":"h2","server_name":"a.test","handshake_us":1200,"rtt_us":40,"retransmits":0,"#,
            r#""received":2000,"acknowledged":3000,"read":100,"written":200,"exchanges":3,"#,
            r#""ended":"fin","ended_by":"remote"}"#,
            "\n"
        );
        assert_eq!(written(&sample::summary()), expected);
    }

    #[test]
    fn every_member_of_a_line_is_in_the_schema_and_every_required_one_in_the_line() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let lines = [
            sample::exchange(),
            sample::half(),
            sample::hop(),
            sample::ambiguous(),
            sample::end(),
            sample::loss(),
            sample::health(),
            sample::health_of_output(),
            sample::hooks(),
            sample::alert(),
            sample::audit(),
            sample::audit_end(),
            sample::audit_refused(),
            sample::summary(),
        ];
        for line in lines {
            let line: Value = serde_json::from_str(&written(&line)).unwrap();
            let kind = line["type"].as_str().unwrap();
            let described = &schema["$defs"][format!("{kind}_line")];
            for (name, _) in line.as_object().unwrap() {
                assert!(described["properties"].get(name).is_some(), "{name} of {kind}");
            }
            for name in described["required"].as_array().unwrap() {
                assert!(line.get(name.as_str().unwrap()).is_some(), "{name} of {kind}");
            }
        }
    }

    #[test]
    fn the_schema_lists_the_names_of_all_variants() {
        fn names<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> BTreeSet<&'static str> {
            all.iter().copied().map(name).collect()
        }
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let mut causes = names(GapCause::ALL, GapCause::name);
        assert!(causes.remove(GapCause::Skipped.name()), "it is no loss");
        let mut states = names(State::ALL, State::name);
        states.insert("refused");
        let (known, unknown): (Vec<_>, Vec<_>) = AddressSource::ALL.iter().partition(|source| source.is_known());
        let expected = [
            ("exchange_line/properties/side", names(Side::ALL, Side::name)),
            (
                "exchange_line/properties/protocol",
                names(Protocol::ALL, Protocol::name),
            ),
            ("loss_line/properties/direction", names(Direction::ALL, Direction::name)),
            ("loss_line/properties/cause", causes),
            (
                "audit_line/properties/event",
                names(audit::Event::ALL, audit::Event::name),
            ),
            (
                "audit_line/properties/secrets",
                names(audit::Secrets::ALL, audit::Secrets::name),
            ),
            (
                "audit_line/properties/ended",
                names(audit::Ended::ALL, audit::Ended::name),
            ),
            ("health_line/properties/state", states),
            (
                "health_line/properties/cause",
                names(RefusalCause::ALL, RefusalCause::name),
            ),
            ("connection/properties/source", names(&known, AddressSource::name)),
            ("connection/properties/reason", names(&unknown, AddressSource::name)),
            ("upstream/properties/joined", names(How::ALL, How::name)),
            ("malformed", names(Malformed::ALL, Malformed::name)),
            ("ended", names(Ended::ALL, Ended::name)),
        ];
        for (definition, names) in expected {
            let listed = schema.pointer(&format!("/$defs/{definition}/enum")).expect(definition);
            let listed: BTreeSet<_> = listed.as_array().unwrap().iter().filter_map(Value::as_str).collect();
            assert_eq!(listed, names, "{definition}");
        }
        let subjects = schema.pointer("/$defs/health_line/properties/name/enum").unwrap();
        let subjects: BTreeSet<_> = subjects.as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(subjects.is_superset(&names(Export::ALL, Export::name)), "{subjects:?}");
    }

    #[test]
    fn an_open_connection_has_no_member_of_its_end() {
        let line = sample::summary_with(|summary| (summary.tls, summary.transport, summary.open) = (None, None, true));
        let text = written(&line);
        let end = r#""source":"ciphertext"},"read":100,"written":200,"exchanges":3,"open":true}"#;
        assert!(text.trim_end().ends_with(end), "{text}");
    }
}
