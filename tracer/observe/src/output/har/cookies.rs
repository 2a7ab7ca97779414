//! Parses cookies from redacted Cookie and Set-Cookie fields, as HAR has them.
//!
//! A piece that is not `name=value` was masked as a whole, and is left out. So is a date that cannot be parsed.

use serde::Serialize;

use crate::redact::FieldLine;

/// A cookie that was sent or set.
#[derive(Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cookie<'a> {
    name: &'a str,
    value: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_only: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secure: Option<bool>,
}

/// Parses the cookies that a request sends.
pub(super) fn sent<'a>(headers: &'a [FieldLine<'_>]) -> Vec<Cookie<'a>> {
    let pieces = values(headers, "cookie").flat_map(|value| value.split(';'));
    pieces.filter_map(pair).collect()
}

/// Parses the cookies that a response sets.
pub(super) fn set<'a>(headers: &'a [FieldLine<'_>]) -> Vec<Cookie<'a>> {
    values(headers, "set-cookie").filter_map(set_one).collect()
}

fn values<'a>(headers: &'a [FieldLine<'a>], wanted: &'static str) -> impl Iterator<Item = &'a str> {
    let wanted = headers.iter().filter(move |(name, _)| name.as_deref() == Some(wanted));
    wanted.filter_map(|(_, value)| value.as_deref())
}

fn pair(piece: &str) -> Option<Cookie<'_>> {
    let (name, value) = piece.split_once('=')?;
    Some(Cookie {
        name: name.trim(),
        value: value.trim(),
        ..Cookie::default()
    })
}

fn set_one(value: &str) -> Option<Cookie<'_>> {
    let mut pieces = value.split(';');
    let mut cookie = pair(pieces.next()?)?;
    (cookie.http_only, cookie.secure) = (Some(false), Some(false));
    for piece in pieces {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "path" => cookie.path = Some(value),
            "domain" => cookie.domain = Some(value),
            "expires" => cookie.expires = iso_date(value),
            "httponly" => cookie.http_only = Some(true),
            "secure" => cookie.secure = Some(true),
            _ => {}
        }
    }
    Some(cookie)
}

/// Converts an HTTP date (RFC 9110 section 5.6.7), also with the dashes of older servers, to ISO 8601.
fn iso_date(date: &str) -> Option<String> {
    let (_weekday, date) = date.split_once(", ")?;
    let mut words = date.split([' ', '-']);
    let day: u8 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| month.eq_ignore_ascii_case(name))? + 1;
    let year = words.next()?;
    let year = match (year.len(), year.parse::<u16>().ok()?) {
        (4, year) => year,
        // RFC 6265 section 5.1.1.
        (2, year @ 70..) => 1900 + year,
        (2, year) => 2000 + year,
        _ => return None,
    };
    let time = words.next()?;
    let mut parts = time
        .split(':')
        .map(|part| part.parse::<u8>().ok().filter(|_| part.len() == 2));
    let [hour, minute, second] = [parts.next()??, parts.next()??, parts.next()??];
    let valid = (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60 && parts.next().is_none();
    let ends = words.next() == Some("GMT") && words.next().is_none();
    (valid && ends).then(|| format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn field<'a>(name: &'a str, value: &'a str) -> FieldLine<'a> {
        (Some(name.into()), Some(value.into()))
    }

    #[test]
    fn each_pair_of_a_request_is_a_cookie() {
        let headers = [
            field("cookie", "a=[redacted]; b=; [redacted]"),
            field("cookie", "c=[redacted:0123]"),
        ];
        let pairs: Vec<_> = sent(&headers)
            .iter()
            .map(|cookie| (cookie.name, cookie.value))
            .collect();
        assert_eq!(pairs, [("a", "[redacted]"), ("b", ""), ("c", "[redacted:0123]")]);
    }

    #[test]
    fn cookies_of_a_response_have_attributes() {
        let value = "a=[redacted]; Path=/x; Domain=a.test; Expires=Wed, 21 Oct 2026 07:28:00 GMT; httponly; Max-Age=1";
        let headers = [
            field("set-cookie", value),
            field("set-cookie", "[redacted]"),
            (Some("set-cookie".into()), None),
        ];
        let wanted = Cookie {
            name: "a",
            value: "[redacted]",
            path: Some("/x"),
            domain: Some("a.test"),
            expires: Some("2026-10-21T07:28:00Z".to_owned()),
            http_only: Some(true),
            secure: Some(false),
        };
        assert_eq!(set(&headers), [wanted]);
    }

    #[test]
    fn dates_are_converted_or_left_out() {
        for (date, wanted) in [
            ("Wed, 21-Oct-2026 07:28:00 GMT", Some("2026-10-21T07:28:00Z")),
            ("Wednesday, 21-Oct-26 07:28:00 GMT", Some("2026-10-21T07:28:00Z")),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some("1970-01-01T00:00:00Z")),
            ("[redacted]", None),
            ("Wed, 99 Oct 2026 07:28:00 GMT", None),
            ("Wed, 21 Oct 2026", None),
            ("", None),
        ] {
            assert_eq!(iso_date(date).as_deref(), wanted, "{date}");
        }
    }
}
