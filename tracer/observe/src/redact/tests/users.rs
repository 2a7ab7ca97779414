//! Tests of the user's rules, of words, and of a line as a whole.

use super::*;
use crate::redact::FingerprintKey;

#[test]
fn the_users_names_apply_to_fields_and_parameters() {
    assert_eq!(field_with(named(&["X-Tenant*"]), "x-tenant-id", b"acme"), "[redacted]");
    assert_eq!(
        path_with(named(&["tenant"]), "/x?Tenant=acme&x=1"),
        "/x?Tenant=[redacted]&x=1"
    );
    assert_eq!(
        field_with(named(&["tenant"]), "referer", b"/x?%74enant=acme"),
        "/x?%74enant=[redacted]"
    );
}

#[test]
fn the_users_patterns_apply_to_values_paths_and_authorities() {
    let rules = || patterned(&["ac[mM]e", r"user=\w+&token=\w+"]);
    assert_eq!(
        field_with(rules(), "x-tenant", b"the acme acMe"),
        "the [redacted] [redacted]"
    );
    assert_eq!(
        path_with(rules(), "/acme?user=bob&token=hunter2"),
        "/[redacted]?[redacted]"
    );
    let line = redact(rules(), exchange("/", "acme.test", Vec::new()));
    assert_eq!(line.request.unwrap().authority.as_deref(), Some("[redacted].test"));
}

#[test]
fn patterns_match_bytes_that_are_not_utf8() {
    assert_eq!(
        field_with(patterned(&[r"(?-u:\xff)hunter2"]), "x-a", b"\xe9\xffhunter2"),
        "\u{e9}[redacted]"
    );
}

#[test]
fn showing_secrets_keeps_the_users_rules() {
    let show = |rules: Rules| Rules { show: true, ..rules };
    assert_eq!(
        field_with(show(Rules::default()), "authorization", b"Bearer hunter2"),
        "Bearer hunter2"
    );
    assert_eq!(
        path_with(show(Rules::default()), "//a@b?token=hunter2"),
        "//a@b?token=hunter2"
    );
    assert_eq!(
        field_with(show(named(&["authorization"])), "authorization", b"Bearer hunter2"),
        "[redacted]"
    );
    assert_eq!(
        path_with(show(patterned(&["hunter."])), "/?token=hunter2"),
        "/?token=[redacted]"
    );
}

#[test]
fn a_secret_has_the_same_fingerprint_in_any_place_and_encoding() {
    let rules = || Rules {
        fingerprint: FingerprintKey::from_file_bytes(&[7; 32]).ok(),
        ..Rules::default()
    };
    let mask = field_with(rules(), "x-api-key", b"hunter/2");
    assert!(
        mask.len() == "[redacted:]".len() + 16 && mask.starts_with("[redacted:"),
        "{mask}"
    );
    assert_eq!(
        field_with(rules(), "authorization", b"Bearer  hunter/2 "),
        format!("Bearer  {mask} ")
    );
    assert_eq!(
        field_with(rules(), "cookie", b"a=hunter/2; b=hunter/2"),
        format!("a={mask}; b={mask}")
    );
    assert_eq!(path_with(rules(), "/?token=hunter%2f2"), format!("/?token={mask}"));
    assert_eq!(
        field_with(rules(), "referer", b"/?token=\"hunter/2\""),
        format!("/?token=\"{mask}\"")
    );
    assert_ne!(field_with(rules(), "x-api-key", b"hunter/3"), mask);
}

#[test]
fn debug_of_unredacted_types_shows_no_value() {
    let mut exchange = exchange(
        "/?token=hunter2",
        "hunter2@a.test",
        vec![sample::field("x-a", "hunter2")],
    );
    exchange.response.as_mut().unwrap().trailers = sample::fields([sample::field("x-b", "hunter2")]);
    let observed = sample::observed(ObservedKind::Exchange(Box::new(exchange)), AddressSource::Bio);
    assert!(!format!("{observed:?} {:?}", Unredacted::new(b"hunter2")).contains("hunter2"));
}

#[test]
fn suspicious_words_of_a_head_are_masked() {
    let mut exchange = exchange(
        "/",
        "a.test",
        vec![sample::field("x-5f4dcc3b5aa765d61d8327deb882cf99", "hunter2")],
    );
    let head = &mut exchange.request.as_mut().unwrap().head;
    head.method = Some("bbbbbbbbGET".into());
    head.scheme = Some("hunter2".into());
    head.protocol_upgrade = Some("hunter2".into());
    let request = redact(Rules::default(), exchange.clone()).request.unwrap();
    let masked = || Some("[redacted]".into());
    assert_eq!(
        (request.method, request.scheme, request.protocol_upgrade),
        (masked(), masked(), masked())
    );
    assert_eq!(request.headers, [(masked(), masked())]);
    let shown = redact(
        Rules {
            show: true,
            ..Rules::default()
        },
        exchange,
    )
    .request
    .unwrap();
    assert_eq!(shown.method.as_deref(), Some("bbbbbbbbGET"));
}

#[test]
fn a_value_that_is_not_utf8_makes_the_whole_line_latin1() {
    let mut exchange = exchange("/caf\u{e9}", "a.test", vec![sample::field("x-a", "\u{e9}")]);
    let bytes = |line: &ExchangeLine<'_>| {
        let request = line.request.as_ref().unwrap();
        let response = line.response.as_ref().unwrap();
        [
            request.path.clone().unwrap(),
            request.headers[0].1.clone().unwrap(),
            response.trailers[0].1.clone().unwrap(),
        ]
        .map(|text| text.to_string())
    };
    exchange.response.as_mut().unwrap().trailers = sample::fields([sample::field("x-b", "\u{e9}")]);
    let line = redact(Rules::default(), exchange.clone());
    assert_eq!(
        (bytes(&line).concat(), line.encoding),
        ("/caf\u{e9}\u{e9}\u{e9}".to_owned(), None)
    );
    // The last value of the line is the one that is not UTF-8.
    let last = OwnedField {
        value: Some(Unredacted::new(b"\xff")),
        ..sample::field("x-c", "")
    };
    let trailers = [sample::field("x-b", "\u{e9}"), last];
    exchange.response.as_mut().unwrap().trailers = sample::fields(trailers);
    let line = redact(Rules::default(), exchange);
    assert_eq!(
        (bytes(&line).concat(), line.encoding),
        ("/caf\u{c3}\u{a9}\u{c3}\u{a9}\u{c3}\u{a9}".to_owned(), Some("latin1"))
    );
}
