//! Secrets in the fields of HTTP authentication (RFC 9110 section 11), and in Sec-WebSocket-Protocol, in which browsers send
//! tokens because they cannot set Authorization.
//!
//! Only the name of a known scheme is printed, and in a challenge the parameters that describe it. An unknown scheme may be
//! a secret, so such a value is masked as a whole.

use super::secrets::Secrets;

/// Marks credentials without their scheme.
pub(super) fn mark_credentials(value: &[u8], secrets: &mut Secrets) {
    secrets.mark(after_scheme(value).unwrap_or(0)..value.trim_ascii_end().len());
}

/// Marks a challenge without its schemes and harmless parameters.
pub(super) fn mark_challenge(value: &[u8], secrets: &mut Secrets) {
    let Some(parameters) = split_unquoted(value) else {
        return secrets.mark(0..value.len());
    };
    let mut start = 0;
    for parameter in parameters {
        let end = start + parameter.len();
        let blank = parameter.len() - parameter.trim_ascii_start().len();
        let text = parameter.trim_ascii();
        let scheme = after_scheme(text).filter(|&after| is_scheme_here(text, after));
        let from = start + blank + scheme.unwrap_or(0);
        let rest = text.get(scheme.unwrap_or(0)..).unwrap_or_default();
        let stands_alone = scheme.is_none() && is_known_scheme(rest);
        if !stands_alone && !is_harmless_parameter(rest) {
            secrets.mark(from..from + rest.len());
        }
        start = end + 1;
    }
}

/// Marks the subprotocols that are not well known, because some are tokens.
pub(super) fn mark_subprotocols(value: &[u8], secrets: &mut Secrets) {
    let mut start = 0;
    for element in value.split(|&byte| byte == b',') {
        let blank = element.len() - element.trim_ascii_start().len();
        let name = element.trim_ascii();
        if !SUBPROTOCOLS.contains(&name) {
            secrets.mark(start + blank..start + blank + name.len());
        }
        start += element.len() + 1;
    }
}

/// Returns where the credentials begin, if they follow a known scheme.
fn after_scheme(value: &[u8]) -> Option<usize> {
    let space = value.iter().position(|&byte| byte == b' ')?;
    let (scheme, rest) = value.split_at_checked(space)?;
    let blank = rest.len() - rest.trim_ascii_start().len();
    is_known_scheme(scheme).then_some(space + blank)
}

/// Distinguishes a scheme and its first parameter from a parameter with spaces around its `=`.
fn is_scheme_here(text: &[u8], after: usize) -> bool {
    text.get(after).is_some_and(|&byte| byte != b'=')
}

fn is_known_scheme(scheme: &[u8]) -> bool {
    SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

/// Returns whether `text` is `name=value` with a harmless name and a well-formed value.
fn is_harmless_parameter(text: &[u8]) -> bool {
    let Some(equals) = text.iter().position(|&byte| byte == b'=') else {
        return false;
    };
    let (name, rest) = text.split_at_checked(equals).unwrap_or_default();
    let content = rest.get(1..).unwrap_or_default().trim_ascii_start();
    let quoted = content.starts_with(b"\"") && content.ends_with(b"\"") && content.len() > 1;
    let token = content
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/".contains(byte));
    (quoted || token)
        && HARMLESS
            .iter()
            .any(|harmless| name.trim_ascii().eq_ignore_ascii_case(harmless))
}

/// Returns whether `text` begins with a harmless parameter of a challenge.
pub(super) fn is_challenge_parameter(text: &[u8]) -> bool {
    let name = text.split(|byte| *byte == b'=').next().unwrap_or_default();
    name.len() < text.len() && HARMLESS.iter().any(|harmless| name.eq_ignore_ascii_case(harmless))
}

/// Splits at commas outside quotes; `None` if a quote is not closed.
fn split_unquoted(value: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut quoted, mut escaped) = (false, false);
    let split = value
        .split(|&byte| {
            if byte == b'"' && !escaped {
                quoted = !quoted;
            }
            escaped = quoted && byte == b'\\' && !escaped;
            byte == b',' && !quoted
        })
        .collect();
    (!quoted).then_some(split)
}

/// The schemes of the IANA registry, and those of large APIs.
const SCHEMES: [&[u8]; 48] = [
    b"Basic",
    b"Bearer",
    b"Concealed",
    b"Digest",
    b"DPoP",
    b"GNAP",
    b"HOBA",
    b"Mutual",
    b"Negotiate",
    b"NTLM",
    b"OAuth",
    b"PrivateToken",
    b"SCRAM-SHA-1",
    b"SCRAM-SHA-256",
    b"vapid",
    b"ACS3-HMAC-SHA256",
    b"AWS",
    b"AWS4-ECDSA-P256-SHA256",
    b"AWS4-HMAC-SHA256",
    b"Api-Key",
    b"ApiKey",
    b"Bot",
    b"EG1-HMAC-SHA256",
    b"GOOG1",
    b"GOOG4-HMAC-SHA256",
    b"GOOG4-RSA-SHA256",
    b"GenieKey",
    b"GoogleLogin",
    b"Hawk",
    b"JWT",
    b"Kerberos",
    b"Key",
    b"MAC",
    b"OSS",
    b"OSS4-HMAC-SHA256",
    b"PoP",
    b"SAPISIDHASH",
    b"SSWS",
    b"SharedAccessSignature",
    b"SharedKey",
    b"SharedKeyLite",
    b"Signature",
    b"Splunk",
    b"TC3-HMAC-SHA256",
    b"Token",
    b"WRAP",
    b"WSSE",
    b"Zoho-oauthtoken",
];

/// Parameters of challenges that describe what is required and what failed. `nonce` and `opaque` can be secrets.
const HARMLESS: [&[u8]; 9] = [
    b"realm",
    b"error",
    b"error_description",
    b"scope",
    b"algorithm",
    b"qop",
    b"charset",
    b"stale",
    b"userhash",
];

/// Subprotocols in wide use, in the IANA registry or not.
const SUBPROTOCOLS: [&[u8]; 14] = [
    b"chat",
    b"binary",
    b"json",
    b"mqtt",
    b"mqttv3.1",
    b"sip",
    b"xmpp",
    b"soap",
    b"wamp.2.json",
    b"graphql-ws",
    b"graphql-transport-ws",
    b"v12.stomp",
    b"v4.channel.k8s.io",
    b"vite-hmr",
];
