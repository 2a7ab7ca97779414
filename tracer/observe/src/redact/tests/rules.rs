//! Tests of each built-in rule. In the tables, `~` is the mask.

use super::*;

fn check(redact: impl Fn(&str) -> String, table: &[(&str, &str)]) {
    for (value, wanted) in table {
        assert_eq!(redact(value).replace("[redacted]", "~"), *wanted, "{value}");
    }
}

#[test]
fn credentials_keep_their_scheme() {
    let table = [
        ("Bearer hunter2", "Bearer ~"),
        ("basic  aHVudGVyMg==  ", "basic  ~  "),
        ("AWS4-HMAC-SHA256 Credential=a/b, Signature=c", "AWS4-HMAC-SHA256 ~"),
        ("Digest username=\"bob\", response=\"6629\"", "Digest ~"),
        ("SharedKey bob:hunter2", "SharedKey ~"),
        ("Bearer ", "Bearer "),
        ("", ""),
    ];
    for name in [
        "authorization",
        "proxy-authorization",
        "x-forwarded-authorization",
        "Authorization",
    ] {
        check(|value| field(name, value), &table);
    }
}

#[test]
fn credentials_without_a_known_scheme_are_masked() {
    let table = [
        ("hunter2", "~"),
        ("hunter2 hunter3", "~"),
        ("Bearer\thunter2", "~"),
        ("key=hunter2 x", "~"),
        ("abcdefghijklmnopq hunter2", "~"),
        ("hunter rest", "~"),
        ("MyScheme hunter2", "~"),
        (" Bearer hunter2", "~"),
        ("-a hunter2", "~"),
    ];
    check(|value| field("authorization", value), &table);
}

#[test]
fn a_challenge_keeps_its_harmless_parameters() {
    let table = [
        (
            "Bearer realm=\"a, b\", error=\"invalid_token\"",
            "Bearer realm=\"a, b\", error=\"invalid_token\"",
        ),
        (
            "Digest realm=\"a\", qop=auth, nonce=\"hunter2\", opaque=x",
            "Digest realm=\"a\", qop=auth, ~, ~",
        ),
        ("Negotiate", "Negotiate"),
        ("Negotiate aHVudGVyMg==", "Negotiate ~"),
        ("NTLM, Basic realm=\"a\"", "NTLM, Basic realm=\"a\""),
        (
            "Bearer realm=\"https://bob@a.test/?token=hunter2\"",
            "Bearer realm=\"https://~@a.test/?token=~\"",
        ),
        ("Basic realm = \"a\", x = y", "Basic realm = \"a\", ~"),
        ("Basic realm=\"a, nonce=hunter2", "~"),
        ("hunter2", "~"),
    ];
    for name in ["www-authenticate", "proxy-authenticate"] {
        check(|value| field(name, value), &table);
    }
}

#[test]
fn cookies_keep_their_names() {
    let table = [
        ("a=1; b=2", "a=~; b=~"),
        ("a=\"x; y\"; b=2", "a=~; ~; b=~"),
        ("a=1;b=2;", "a=~;b=~;"),
        ("a=; b=x=y", "a=; b=~"),
        ("hunter2; a=1", "~; a=~"),
        ("=hunter2", "~"),
        ("aHVudGVyMg==", "~"),
        ("aHVudGVyMiE=", "~"),
        ("two words=x", "~"),
        ("a = 1", "a = ~"),
        ("a=1, b=2", "a=~"),
    ];
    check(|value| field("cookie", value), &table);
    assert_eq!(field("cookie", &format!("{}=x", "a".repeat(65))), "[redacted]");
}

#[test]
fn a_set_cookie_keeps_its_name_and_known_attributes() {
    let table = [
        (
            "sid=hunter2; Path=/a; Domain=a.test; Max-Age=60; HttpOnly; Secure; SameSite=Lax; Priority=High; Partitioned",
            "sid=~; Path=/a; Domain=a.test; Max-Age=60; HttpOnly; Secure; SameSite=Lax; Priority=High; Partitioned",
        ),
        (
            "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT",
            "a=~; Expires=Wed, 21 Oct 2026 07:28:00 GMT",
        ),
        (
            "a=1; X-Hint=hunter2; hunter2; path=/?token=hunter2",
            "a=~; X-Hint=~; ~; path=/?token=~",
        ),
        (
            "a=1; Max-Age=hunter2; SameSite=hunter2; HttpOnly=hunter2",
            "a=~; Max-Age=~; SameSite=~; HttpOnly=~",
        ),
        ("a=1; Domain=hunter2@a.test", "a=~; Domain=~"),
        ("hunter2", "~"),
        ("a=; Max-Age=0", "a=; Max-Age=0"),
        ("a=1; Path=/, tok=hunter2; Secure", "a=~; Path=/, ~; Secure"),
        (
            "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT, tok=hunter2; Path=/b, hunter3",
            "a=~; Expires=Wed, 21 Oct 2026 07:28:00 GMT, ~; Path=/b, ~",
        ),
        ("a=1; Expires=hunter2", "a=~; Expires=~"),
        ("a=1; HttpOnly, tok=hunter2", "a=~; HttpOnly, ~"),
        ("a=1; Max-Age=60,tok=hunter2", "a=~; Max-Age=60,~"),
    ];
    check(|value| field("set-cookie", value), &table);
}

#[test]
fn fields_with_secret_names_are_masked() {
    for name in [
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "x-auth-token",
        "x-amz-security-token",
        "x-csrf-token",
    ] {
        assert_eq!(field(name, "hunter2"), "[redacted]", "{name}");
    }
    assert_eq!(field("authentication-info", "nextnonce=\"hunter2\""), "[redacted]");
}

#[test]
fn unknown_subprotocols_are_masked() {
    let table = [
        ("graphql-ws, hunter2", "graphql-ws, ~"),
        ("access_token,hunter2", "~,~"),
        ("mqtt", "mqtt"),
    ];
    check(|value| field("sec-websocket-protocol", value), &table);
}

#[test]
fn secret_parameters_in_a_path_are_masked() {
    let table = [
        ("/x?token=hunter2", "/x?token=~"),
        ("/x?a=1&access_token=hunter2&b=2", "/x?a=1&access_token=~&b=2"),
        ("/x?ACCESS_TOKEN=hunter2", "/x?ACCESS_TOKEN=~"),
        ("/x?acc%65ss%5Ftoken=hunter2", "/x?acc%65ss%5Ftoken=~"),
        ("/x?acc%2565ss_token=hunter2", "/x?acc%2565ss_token=~"),
        ("/x?token%3Dhunter2&b=1", "/x?token%3D~&b=1"),
        ("/x?token=a;hunter2/?=b#c", "/x?token=~"),
        ("/x?token=a%26hunter2&b=1", "/x?token=~&b=1"),
        ("/x?user[password]=hunter2", "/x?user[password]=~"),
        ("/x?user%5Bpassword%5D=hunter2", "/x?user%5Bpassword%5D=~"),
        (
            "/x?next=%2Fcb%3Fcode%3Dhunter2%26state%3D1&b=2",
            "/x?next=%2Fcb%3Fcode%3D~%26state%3D1&b=2",
        ),
        (
            "/x#access_token=hunter2/3&token_type=bearer",
            "/x#access_token=~&token_type=bearer",
        ),
        ("/x;jsessionid=hunter2?page=2", "/x;jsessionid=~?page=2"),
        ("/x;jsessionid=hunter2;v=1/y", "/x;jsessionid=~;v=1/y"),
        ("/x?a=1;token=hunter2", "/x?a=1;token=~"),
        ("/x?a=1&amp;token=hunter2", "/x?a=1&amp;token=~"),
        ("/x?token=", "/x?token="),
        ("/x?token==hunter2", "/x?token=~"),
        ("/x?a=b=c&page_size=3", "/x?a=b=c&page_size=3"),
        (
            "/x?X-Amz-Signature=hunter2&X-Amz-Date=1",
            "/x?X-Amz-Signature=~&X-Amz-Date=1",
        ),
        ("*", "*"),
    ];
    check(path, &table);
}

#[test]
fn secret_parameters_in_any_field_are_masked() {
    let table = [
        ("https://a.test/x?token=hunter2&b=1", "https://a.test/x?token=~&b=1"),
        ("0; url=https://a.test/?code=hunter2", "0; url=https://a.test/?code=~"),
        (
            "<https://a.test/?key=a,b>; rel=next",
            "<https://a.test/?key=~>; rel=next",
        ),
        ("token = hunter2 rest", "token = ~ rest"),
        ("token=\"hunter2 \\\" hunter3\" rest", "token=\"~\" rest"),
        ("password=hunter2/3==", "password=~"),
        (
            "rpc error: code = Unavailable desc = gone",
            "rpc error: code = Unavailable desc = gone",
        ),
        ("text/html; charset=utf-8", "text/html; charset=utf-8"),
    ];
    for name in [
        "referer",
        "location",
        "content-location",
        "refresh",
        "link",
        "x-anything",
    ] {
        check(|value| field(name, value), &table);
    }
}

#[test]
fn secret_json_members_in_any_field_and_path_are_masked() {
    let table = [
        (r#"{"password":"hunter2","a":1}"#, r#"{"password":"~","a":1}"#),
        (r#"{"a":"{\"apiKey\":\"hunter2\"}"}"#, r#"{"a":"{\"apiKey\":\"~\"}"}"#),
        (r#"{"user":{"token":["hunter2","hunter3"#, r#"{"user":{"token":~"#),
        (
            "%7B%22password%22%3A%22hunter2%22%2C%22a%22%3A1%7D",
            "%7B%22password%22%3A%22~%22%2C%22a%22%3A1%7D",
        ),
        ("%257B%2522pin%2522%253A1234%257D", "%257B%2522pin%2522%253A~%257D"),
    ];
    for name in ["x-anything", "x-amz-meta-data", "grpc-message", "baggage"] {
        check(|value| field(name, value), &table);
    }
    check(
        |value| path(&format!("/x?filter={value}")).replacen("/x?filter=", "", 1),
        &table,
    );
}

#[test]
fn credentials_are_masked_by_their_shape_in_any_field_and_path() {
    let table = [
        ("b Authorization: Bearer hunter2", "b Authorization: ~"),
        ("curl -H 'X-Api-Key: hunter2'", "curl -H 'X-Api-Key: ~"),
        ("got Bearer hunter2", "got Bearer ~"),
        ("a=Basic Ym9iOmh1bnRlcjI=", "a=Basic ~"),
        ("Bearer%20hunter2", "Bearer%20~"),
        ("x eyJhbGciOiJIUzI1NiJ9.e30.c2ln y", "x ~ y"),
        ("user=bob; password=hunter2, b", "user=bob; password=~ b"),
        ("-----BEGIN%20CERTIFICATE-----%0AMII", "~"),
    ];
    check(|value| field("x-anything", value), &table);
    let table = [
        ("/bot/ghp_0123456789abcdefghij/x", "/bot/~"),
        ("/x?q=Bearer+hunter2&b=1", "/x?q=Bearer+~&b=1"),
        ("/x#eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "/x#~"),
    ];
    check(path, &table);
}

#[test]
fn userinfo_in_any_url_is_masked() {
    let table = [
        ("https://bob:hunter2@a.test/x", "https://~@a.test/x"),
        ("//bob@a.test", "//~@a.test"),
        ("https:\\\\bob:hunter2@a.test/", "https:\\\\~@a.test/"),
        ("https://bob:hun@ter2@a.test/", "https://~@a.test/"),
        ("https://bob:hun/ter2@a.test/", "https://~@a.test/"),
        ("https://bob:hun%2Fter2@a.test/", "https://~@a.test/"),
        ("https%3A%2F%2Fbob%3Ahunter2%40a.test%2F", "https%3A%2F%2F~%40a.test%2F"),
        ("https://a.test:443/@bob", "https://a.test:443/@bob"),
        ("https://a.test/ bob@a.test", "https://a.test/ bob@a.test"),
        ("https://a.test https://bob@a.test", "https://a.test https://~@a.test"),
    ];
    check(|value| field("referer", value), &table);
    check(
        path,
        &[("/go?to=https://bob:hunter2@a.test/", "/go?to=https://~@a.test/")],
    );
}

#[test]
fn the_userinfo_of_an_authority_is_masked() {
    let table = [
        ("bob:hunter2@a.test:443", "~@a.test:443"),
        ("a@b@a.test", "~@a.test"),
        ("bob%40a.test", "~%40a.test"),
    ];
    check(authority, &table);
    check(|value| field("host", value), &table);
    check(|value| field("x-forwarded-host", value), &table);
}

#[test]
fn a_never_indexed_value_keeps_only_its_scheme_or_cookie_name() {
    let never = |name: &str, value: &str| {
        let field = OwnedField {
            never_indexed: true,
            ..sample::field(name, value)
        };
        redact(Rules::default(), exchange("/", "a.test", vec![field]))
            .request
            .unwrap()
            .headers[0]
            .1
            .clone()
            .unwrap()
    };
    assert_eq!(&*never("x-plain", "hunter2"), "[redacted]");
    assert_eq!(&*never("host", "a.test"), "[redacted]");
    assert_eq!(&*never("authorization", "Bearer hunter2"), "Bearer [redacted]");
    assert_eq!(&*never("cookie", "a=hunter2"), "a=[redacted]");
}

#[test]
fn a_value_without_a_name_is_masked() {
    let field = OwnedField {
        name: None,
        ..sample::field("", "hunter2")
    };
    let line = redact(Rules::default(), exchange("/", "a.test", vec![field]));
    assert_eq!(line.request.unwrap().headers, [(None, Some("[redacted]".into()))]);
}
