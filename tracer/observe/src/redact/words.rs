//! The words of a head that are printed without a rule for secrets: method, scheme, upgrade and field names.
//!
//! Content may be mistaken for a head, so such a word may be anything. It is printed only if it is on a list, or looks like
//! what it should be.

use super::shape;

/// The kind of a word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Word {
    /// The method of a request.
    Method,
    /// The scheme of a request.
    Scheme,
    /// The protocol that an extended CONNECT asks for (RFC 8441).
    Upgrade,
    /// The name of a field.
    FieldName,
}

impl Word {
    /// Returns whether a word is one of those that nearly every exchange has. They are shown.
    pub(super) fn is_common(self, word: &str) -> bool {
        match self {
            Self::Method => matches!(word, "GET" | "POST" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "PATCH"),
            Self::Scheme => matches!(word, "https" | "http"),
            Self::Upgrade | Self::FieldName => false,
        }
    }

    /// Returns whether a word may be shown.
    pub(super) fn is_shown(self, word: &[u8]) -> bool {
        match self {
            Self::Method => is_listed(word, &METHODS) || is_method(word),
            Self::Scheme => is_listed(word, &SCHEMES),
            Self::Upgrade => is_listed(word, &UPGRADES),
            Self::FieldName => is_field_name(word),
        }
    }
}

fn is_listed(word: &[u8], list: &[&[u8]]) -> bool {
    list.iter().any(|listed| word.eq_ignore_ascii_case(listed))
}

/// Returns whether a word looks like a method that is not listed, and not like a key.
fn is_method(word: &[u8]) -> bool {
    let digits = word.iter().filter(|byte| byte.is_ascii_digit()).count();
    (1..=LONGEST_METHOD).contains(&word.len())
        && word.first().is_some_and(u8::is_ascii_uppercase)
        && digits <= MOST_DIGITS
        && word
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"-_".contains(byte))
        && !shape::is_in(word)
}

/// Returns whether a word is a token (RFC 9110 section 5.6.2), not longer than field names in use, and not like a key.
fn is_field_name(word: &[u8]) -> bool {
    word.len() <= LONGEST_FIELD_NAME
        && word.iter().all(|byte| is_token(*byte))
        && !shape::is_random(word)
        && !shape::is_in(word)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Maximum length of a method, as in the decoder.
const LONGEST_METHOD: usize = 32;

/// Maximum digits in a method, as in the second version of one. A key or a code has more.
const MOST_DIGITS: usize = 1;

/// Maximum length of a field name. The longest in use has 59 bytes.
const LONGEST_FIELD_NAME: usize = 64;

/// The methods of the IANA registry, and those of common servers and clients. These are shown in lower case too.
const METHODS: [&[u8]; 57] = [
    b"ACL",
    b"BASELINE-CONTROL",
    b"BIND",
    b"BITS_POST",
    b"CCM_POST",
    b"CHECKIN",
    b"CHECKOUT",
    b"CONNECT",
    b"COPY",
    b"DELETE",
    b"DESCRIBE",
    b"GET",
    b"GET_PARAMETER",
    b"HEAD",
    b"INVITE",
    b"LABEL",
    b"LINK",
    b"LIST",
    b"LOCK",
    b"M-SEARCH",
    b"MERGE",
    b"MKACTIVITY",
    b"MKCALENDAR",
    b"MKCOL",
    b"MKREDIRECTREF",
    b"MKWORKSPACE",
    b"MOVE",
    b"NOTIFY",
    b"OPTIONS",
    b"ORDERPATCH",
    b"PATCH",
    b"POST",
    b"PRI",
    b"PROPFIND",
    b"PROPPATCH",
    b"PURGE",
    b"PUT",
    b"QUERY",
    b"REBIND",
    b"REPORT",
    b"RPC_IN_DATA",
    b"RPC_OUT_DATA",
    b"SEARCH",
    b"SET_PARAMETER",
    b"SETUP",
    b"SOURCE",
    b"SUBSCRIBE",
    b"TRACE",
    b"TRACK",
    b"UNBIND",
    b"UNCHECKOUT",
    b"UNLINK",
    b"UNLOCK",
    b"UNSUBSCRIBE",
    b"UPDATE",
    b"UPDATEREDIRECTREF",
    b"VERSION-CONTROL",
];

/// The schemes of HTTP, WebSocket and CoAP.
const SCHEMES: [&[u8]; 6] = [b"http", b"https", b"ws", b"wss", b"coap", b"coaps"];

/// The upgrade tokens of the IANA registry.
const UPGRADES: [&[u8]; 10] = [
    b"websocket",
    b"connect-ethernet",
    b"connect-ip",
    b"connect-tcp",
    b"connect-udp",
    b"h2c",
    b"masque",
    b"tls",
    b"webtransport",
    b"webtransport-h3",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_words_are_shown() {
        for (word, text) in [Word::Method, Word::Scheme, Word::Upgrade, Word::FieldName]
            .into_iter()
            .flat_map(|word| {
                [
                    "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "https", "http",
                ]
                .map(|text| (word, text))
            })
        {
            assert!(
                !word.is_common(text) || word.is_shown(text.as_bytes()),
                "{word:?} {text}"
            );
        }
        assert!(Word::Method.is_common("GET") && !Word::Scheme.is_common("GET"));
    }

    #[test]
    fn methods_are_shown_and_possible_keys_are_not() {
        for method in [
            "GET",
            "get",
            "RPC_IN_DATA",
            "X",
            "GO",
            "MY-METHOD",
            "FROB2",
            "X-MS-ENUMATTS",
        ] {
            assert!(Word::Method.is_shown(method.as_bytes()), "{method}");
        }
        for method in [
            "",
            "hunter",
            "HUNTER123",
            "123456",
            "AKIAIOSFODNN7EXAMPLE",
            "JBSWY3DPEHPK3PXP",
            "bbbbbbbbbbGET",
            "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG",
            "A B",
            "password=x",
        ] {
            assert!(!Word::Method.is_shown(method.as_bytes()), "{method}");
        }
    }

    #[test]
    fn field_names_are_shown_and_possible_keys_are_not() {
        for name in [
            "x-amz-copy-source-server-side-encryption-customer-algorithm",
            "etag",
            "x-b3-traceid",
            "x-signature-ed25519",
            "sec-ch-ua-platform-version",
        ] {
            assert!(Word::FieldName.is_shown(name.as_bytes()), "{name}");
        }
        for name in [
            "x-5f4dcc3b5aa765d61d8327deb882cf99",
            "ghp_0123456789abcdefghij",
            "password=hunter2",
            "{\"a\"",
            "caf\u{e9}",
        ] {
            assert!(!Word::FieldName.is_shown(name.as_bytes()), "{name}");
        }
        assert!(!Word::FieldName.is_shown(&[b'a'; 65]));
    }

    #[test]
    fn only_listed_schemes_and_upgrades_are_shown() {
        assert!(Word::Scheme.is_shown(b"https") && !Word::Scheme.is_shown(b"hunter"));
        assert!(Word::Upgrade.is_shown(b"websocket") && !Word::Upgrade.is_shown(b"hunter"));
    }
}
