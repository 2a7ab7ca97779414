//! Property tests of redaction and output.

use http_decode::Field;
use proptest::{
    collection::vec,
    prelude::{Strategy, any},
    prop_assert, prop_assert_eq, prop_oneof, proptest,
    sample::select,
};

use super::*;
use crate::{
    event::{Address, TlsFacts},
    output::Format,
    redact::{
        FieldLine, Printable,
        claims::{self, written},
        generators::{arbitrary_exchange, arbitrary_value, sent},
    },
};

proptest! {
    #[test]
    fn no_planted_secret_is_in_any_output(sent in sent(), with_key in any::<bool>()) {
        claims::no_planted_secret_is_in_any_output(sent, with_key);
    }

    #[test]
    fn redacting_once_more_shows_nothing_else(exchange in arbitrary_exchange()) {
        let once = redact(Rules::default(), exchange.clone());
        // The text of a line in Latin-1 has other bytes than what was sent.
        if once.encoding.is_none() {
            let again = redact(Rules::default(), sent_again(&once, exchange));
            // A mask may hide where a name begins, so that a little more is masked the next time.
            prop_assert!(is_within(&shown(&again), &shown(&once)), "{:?}\n{:?}", once, again);
        }
    }

    #[test]
    fn a_line_does_not_depend_on_those_before_it(exchanges in vec(arbitrary_exchange(), 1..4)) {
        let mut redactor = redactor(Rules::default());
        for exchange in exchanges.iter().chain(&exchanges) {
            let alone = redact(Rules::default(), exchange.clone());
            prop_assert_eq!(redact_with(&mut redactor, exchange.clone()), alone);
        }
    }

    #[test]
    fn no_exchange_breaks_a_line_or_controls_the_terminal(exchange in arbitrary_exchange(), process in any::<String>()) {
        let mut observed = sample::observed(ObservedKind::Exchange(Box::new(exchange)), AddressSource::NotInet);
        std::sync::Arc::make_mut(&mut observed.connection).process.name = process;
        let lines = [redactor(Rules::default()).redact(&observed)];

        let json = String::from_utf8(written(Format::Json, &lines)).unwrap();
        let object = json.strip_suffix('\n').unwrap();
        prop_assert!(!object.contains(char::is_control));
        prop_assert!(serde_json::from_str::<serde_json::Value>(object).unwrap().is_object());

        let text = String::from_utf8(written(Format::Text, &lines)).unwrap();
        prop_assert!(!text.contains(|character: char| character.is_control() && character != '\n'));
        prop_assert!(text.lines().all(|line| line.is_empty() || line.starts_with(['*', '>', '<'])));

        for format in [Format::Line, Format::Combined] {
            let text = String::from_utf8(written(format, &lines)).unwrap();
            prop_assert!(!text.contains(|character: char| character.is_control() && character != '\n'));
            let notes = text.lines().filter(|line| line.starts_with('*')).count();
            prop_assert_eq!(text.lines().count(), 1 + notes, "{}", text);
        }

        let ecs = String::from_utf8(written(Format::Ecs, &lines)).unwrap();
        let document = ecs.strip_suffix('\n').unwrap();
        prop_assert!(!document.contains(char::is_control));
        prop_assert!(serde_json::from_str::<serde_json::Value>(document).unwrap().is_object());

        let har = written(Format::Har, &lines);
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&har).unwrap()["log"]["entries"][0].is_object());
    }

    #[test]
    fn no_connection_breaks_a_line_or_controls_the_terminal(texts in vec(arbitrary_bytes(), 6)) {
        let unredacted = |index: usize| Some(Unredacted::new(&texts[index]));
        let summary = sample::summary_of(|summary| {
            summary.tls = Some(TlsFacts {
                cipher: unredacted(0),
                alpn: unredacted(1),
                server_name: unredacted(2),
                ..TlsFacts::default()
            });
        });
        let mut observed = sample::observed(ObservedKind::Connection(Box::new(summary)), AddressSource::Bio);
        let connection = std::sync::Arc::make_mut(&mut observed.connection);
        connection.process.name = String::from_utf8_lossy(&texts[3]).into_owned();
        connection.local = Some(Address::Unix(texts[4].as_slice().into()));
        connection.remote = Some(Address::Abstract(texts[5].as_slice().into()));
        let lines = [redactor(Rules::default()).redact(&observed)];

        let json = String::from_utf8(written(Format::Json, &lines)).unwrap();
        let object = json.strip_suffix('\n').unwrap();
        prop_assert!(!object.contains(char::is_control));
        prop_assert!(serde_json::from_str::<serde_json::Value>(object).unwrap().is_object());

        let text = String::from_utf8(written(Format::Text, &lines)).unwrap();
        prop_assert!(!text.contains(|character: char| character.is_control() && character != '\n'));
        prop_assert!(text.lines().all(|line| line.is_empty() || line.starts_with('*')));
    }

    #[test]
    fn no_match_of_the_users_pattern_is_left(
        pattern in select(&["[0-9]+", "ab+", "(?i)tok", "[^a-z]{2}", "[=&]", "e.?a"][..]),
        values in vec(arbitrary_value().prop_map(|value| value.expose().to_vec()), 3),
        show in any::<bool>(),
    ) {
        let regex = regex::Regex::new(pattern).unwrap();
        let text = |index: usize| String::from_utf8_lossy(&values[index]).replace("[redacted]", "");
        let exchange = exchange(&text(0), &text(1), vec![sample::field("x-plain", &text(2))]);
        let request = redact(Rules { show, ..patterned(&[pattern]) }, exchange).request.unwrap();
        for value in [request.path, request.authority, request.headers[0].1.clone()] {
            let value = value.unwrap();
            prop_assert!(!value.split("[redacted]").any(|kept| regex.is_match(kept)), "{}", value);
        }
    }
}

/// In quadratic time, this would take minutes.
#[test]
fn hostile_values_take_linear_time() {
    for piece in [
        "%25",
        "%2",
        "=",
        "//a:b",
        "//a:b@",
        "//",
        "token=\"\\",
        ";",
        "a=",
        "a;",
        "?a&",
        "\t=",
        "\\",
        ",a \"",
        "<",
        "\"key\":",
        "\"key\":\"\\",
        "\"key\":[{",
        "key:",
        "\\\"key\\\":",
        "<key>",
        "Bearer ",
        "eyJ",
        "sk-",
        "token+",
        "bearer+realm=",
        "Basic+",
        "basic ",
    ] {
        for end in ["", "@", "=", "\""] {
            let value = piece.repeat(25_000 / piece.len()) + end;
            let line = redact(
                named(&["*a*b*c*d"]),
                exchange(&value, &value, NAMES.map(|name| sample::field(name, &value)).to_vec()),
            );
            assert_eq!(line.request.unwrap().headers.len(), NAMES.len());
        }
    }
}

const NAMES: [&str; 6] = [
    "authorization",
    "cookie",
    "set-cookie",
    "www-authenticate",
    "referer",
    "host",
];

/// Generates bytes, more often those that are special to a terminal or a parser.
fn arbitrary_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![any::<u8>(), select(&b"\n\r\x1b\"\\\x9b\xe2\x80\xae@:=?"[..])];
    vec(byte, 0..40)
}

/// Returns all that a line shows, without the masks.
fn shown(line: &ExchangeLine<'_>) -> String {
    format!("{line:?}").replace("[redacted]", "")
}

/// Returns whether a text can be made from another one by leaving some of it out.
fn is_within(text: &str, whole: &str) -> bool {
    let mut rest = whole.chars();
    text.chars().all(|wanted| rest.any(|character| character == wanted))
}

/// Returns the exchange with its values replaced by the redacted ones.
fn sent_again(line: &ExchangeLine<'_>, mut exchange: Exchange) -> Exchange {
    let bytes = |text: &Option<Printable<'_>>| text.as_ref().map(|text| Unredacted::new(text.as_bytes()));
    let replace = |fields: &mut Fields, lines: &[FieldLine<'_>]| {
        let sent = fields.iter().zip(lines).map(|(field, (_, value))| Field {
            value: value.as_ref().map(|value| Unredacted::borrowed(value.as_bytes())),
            ..field
        });
        *fields = sent.collect();
    };
    let (request, seen) = (exchange.request.as_mut().unwrap(), line.request.as_ref().unwrap());
    request.head.path = bytes(&seen.path);
    request.head.target_authority = bytes(&seen.authority);
    replace(&mut request.head.fields, &seen.headers);
    replace(&mut request.trailers, &seen.trailers);
    for (head, seen) in exchange.informational.iter_mut().zip(&line.informational) {
        replace(&mut head.fields, &seen.headers);
    }
    let (response, seen) = (exchange.response.as_mut().unwrap(), line.response.as_ref().unwrap());
    replace(&mut response.head.fields, &seen.headers);
    replace(&mut response.trailers, &seen.trailers);
    exchange
}
