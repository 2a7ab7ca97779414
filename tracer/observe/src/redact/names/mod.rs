//! Decides by the name of a header field or parameter whether its value is secret.
//!
//! A name is secret if it contains a word for secrets, or ends in one that is too common elsewhere (`key`, `sign`, `pin`),
//! unless the whole name is on the list of harmless ones. When in doubt, a name is secret: a mask too many is a nuisance, a
//! missing one a leak.
//!
//! Words end at anything but letters and digits, and before an upper-case letter after a lower-case one. Field names arrive
//! in lower case, so words for secrets are also found inside others: `accesstoken`, `rapidapikey`.
//!
//! Some names are not secret although they look so: `sec-websocket-key` (a nonce, RFC 6455 section 1.3), `signature-input`
//! (what a signature covers, RFC 9421), and hashes of bodies such as `digest`.

mod lists;

use self::lists::{ENDINGS, ENGLISH, HARMLESS, HARMLESS_CODES};

/// Returns whether the value under `name` is secret.
pub(super) fn is_secret(name: &[u8]) -> bool {
    if !name.iter().any(u8::is_ascii_uppercase) {
        return looks_secret(name) && !is_harmless(name);
    }
    let (joined, split) = (name.to_ascii_lowercase(), split_at_capitals(name));
    (looks_secret(&joined) || looks_secret(&split)) && !is_harmless(&joined) && !is_harmless(&split)
}

/// Returns whether the value under `name` is secret in a URL, where OAuth has it, and harmless elsewhere.
pub(super) fn is_secret_in_urls_only(name: &[u8]) -> bool {
    let mut words = words(name);
    words.next().is_some_and(|word| word.eq_ignore_ascii_case(b"code")) && words.next().is_none()
}

/// Returns whether a lower-case name looks secret, before the list of harmless ones.
fn looks_secret(name: &[u8]) -> bool {
    if is_whole_secret(name) {
        return true;
    }
    let (mut previous, mut last, mut before_last): (&[u8], &[u8], &[u8]) = (b"", b"", b"");
    for word in words(name) {
        if is_secret_word(word) || has_secret_stem(word) || is_secret_pair(previous, word) {
            return true;
        }
        if !is_suffix(word) {
            (before_last, last) = (last, word);
        }
        previous = word;
    }
    is_secret_last(last) || is_secret_code(before_last, last)
}

/// Converts `accessKey` to `access-key`.
fn split_at_capitals(name: &[u8]) -> Vec<u8> {
    let mut split = Vec::with_capacity(name.len() + 4);
    let mut after_lower = false;
    for byte in name {
        if after_lower && byte.is_ascii_uppercase() {
            split.push(b'-');
        }
        after_lower = byte.is_ascii_lowercase() || byte.is_ascii_digit();
        split.push(byte.to_ascii_lowercase());
    }
    split
}

/// Splits a name into words, without digits at their ends.
fn words(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    name.split(|byte| !byte.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| {
            let digits = word.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
            match word.len().checked_sub(digits) {
                Some(length @ 1..) => word.get(..length).unwrap_or(word),
                _ => word,
            }
        })
}

/// Returns whether a name is secret that no other rule finds: its words mean nothing, or are too common within names.
fn is_whole_secret(name: &[u8]) -> bool {
    matches!(
        name,
        b"x-honeycomb-team"
            | b"x-jfrog-art-api"
            | b"x-firebase-appcheck"
            | b"g-recaptcha-response"
            | b"h-captcha-response"
            | b"cf-turnstile-response"
            | b"invite"
            | b"invitation"
            | b"pgtid"
            | b"pgtiou"
            | b"cfid"
    )
}

/// Returns whether a word makes any name secret that contains it.
fn is_secret_word(word: &[u8]) -> bool {
    matches!(
        word,
        b"auth"
            | b"authentication"
            | b"authn"
            | b"authz"
            | b"awsaccesskeyid"
            | b"bearer"
            | b"jwe"
            | b"jws"
            | b"oidc"
            | b"otp"
            | b"pwd"
            | b"samlrequest"
            | b"samlresponse"
            | b"sess"
            | b"sid"
            | b"sig"
            | b"totp"
            | b"verifier"
    )
}

/// Returns whether `word` contains a word for secrets.
fn has_secret_stem(word: &[u8]) -> bool {
    (0..word.len()).any(|at| {
        let (before, rest) = word.split_at_checked(at).unwrap_or_default();
        match rest.first() {
            Some(b'a') => [&b"apikey"[..], b"accesskey", b"assertion", b"authorization", b"authkey"]
                .iter()
                .any(|stem| rest.starts_with(stem)),
            Some(b'c') => [&b"cookie"[..], b"credential", b"csrf"]
                .iter()
                .any(|stem| rest.starts_with(stem)),
            Some(b'h') => rest.starts_with(b"hmac"),
            Some(b'j') => rest.starts_with(b"jwt"),
            Some(b'p') => [&b"passwd"[..], b"password", b"passphrase", b"passcode", b"privatekey"]
                .iter()
                .any(|stem| rest.starts_with(stem)),
            Some(b's') => {
                [&b"secret"[..], b"sessid", b"session", b"signature"]
                    .iter()
                    .any(|stem| rest.starts_with(stem))
                    && !rest.starts_with(b"secretar")
                    && !before.ends_with(b"ob")
                    && !before.ends_with(b"pos")
            }
            // The settings of a tokenizer are harmless.
            Some(b't') => {
                rest.starts_with(b"token")
                    && ![&b"tokeniz"[..], b"tokenisa", b"tokenise"]
                        .iter()
                        .any(|word| rest.starts_with(word))
            }
            Some(b'x') => rest.starts_with(b"xsrf"),
            _ => false,
        }
    })
}

/// Returns whether two words that follow each other make a name secret, though neither does alone. At the end of a name, `key`
/// alone does; see [`ENDINGS`].
fn is_secret_pair(first: &[u8], second: &[u8]) -> bool {
    match second {
        b"key" | b"keys" => matches!(
            first,
            b"access"
                | b"account"
                | b"api"
                | b"app"
                | b"application"
                | b"client"
                | b"customer"
                | b"encryption"
                | b"functions"
                | b"license"
                | b"master"
                | b"private"
                | b"service"
                | b"shared"
                | b"signing"
                | b"subscription"
        ),
        b"principal" | b"cert" | b"certificate" => first == b"client",
        _ => false,
    }
}

/// Returns whether a word makes a name secret that ends in it.
fn is_secret_last(last: &[u8]) -> bool {
    let whole = matches!(
        last,
        b"2fa"
            | b"mfa"
            | b"tfa"
            | b"cvc"
            | b"cvv"
            | b"dpop"
            | b"pat"
            | b"psk"
            | b"puk"
            | b"salt"
            | b"sas"
            | b"ssn"
            | b"ticket"
    );
    whole || ENDINGS.iter().any(|ending| last.ends_with(ending)) && !ENGLISH.contains(&last)
}

/// Returns whether a name that ends in `code` is secret: it is the code of something that is not known to be harmless.
fn is_secret_code(before: &[u8], last: &[u8]) -> bool {
    match last.strip_suffix(b"code") {
        Some(b"") => !before.is_empty() && !HARMLESS_CODES.contains(&before),
        Some(glued) => !HARMLESS_CODES.contains(&glued),
        None => false,
    }
}

/// Returns whether a word only qualifies the one before it: how a value is encoded, or which of several it is.
fn is_suffix(word: &[u8]) -> bool {
    word.iter().all(u8::is_ascii_digit)
        || matches!(
            word,
            b"again"
                | b"b"
                | b"base"
                | b"bin"
                | b"confirm"
                | b"confirmation"
                | b"current"
                | b"hash"
                | b"header"
                | b"hex"
                | b"live"
                | b"md"
                | b"new"
                | b"old"
                | b"primary"
                | b"prod"
                | b"raw"
                | b"secondary"
                | b"sha"
                | b"test"
                | b"v"
                | b"value"
        )
}

/// Returns whether a name that looks secret is harmless: its values are numbers, fixed words, or public.
fn is_harmless(name: &[u8]) -> bool {
    let name = name.strip_prefix(b"x-").unwrap_or(name);
    let letters = || name.iter().filter(|byte| byte.is_ascii_alphanumeric());
    words(name).any(|word| word == b"ratelimit")
        || words(name).last().is_some_and(is_about_secrets)
        || HARMLESS.iter().any(|harmless| letters().eq(harmless.iter()))
}

/// Returns whether a name that ends in this word is about a secret and does not hold it, as `x-amz-signature-version`.
fn is_about_secrets(last: &[u8]) -> bool {
    matches!(
        last,
        b"alg"
            | b"algo"
            | b"algorithm"
            | b"count"
            | b"enabled"
            | b"expiration"
            | b"expires"
            | b"expiry"
            | b"limit"
            | b"method"
            | b"remaining"
            | b"required"
            | b"timestamp"
            | b"ttl"
            | b"type"
            | b"version"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_ends_in_a_word_for_secrets_is_secret() {
        for name in [
            "x-rapidapi-key",
            "rapidapikey",
            "appKey",
            "keys",
            "pay-sign",
            "userPin",
            "x-pin",
            "dbpass",
            "pw",
            "userpw",
            "x-2fa",
            "key1",
            "cookie2",
            "x-api-key-bin",
            "api_key_v2",
            "invite_code",
            "invitecode",
            "secretKeyId",
            "tokenid",
            "csrfmiddlewaretoken",
        ] {
            assert!(is_secret(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_word_with_such_an_ending_by_chance_is_not() {
        for name in [
            "monkey",
            "keyword",
            "design",
            "x-cache-bypass",
            "spin",
            "tokenizer",
            "secretary",
            "possession",
            "key_id",
            "keep-alive",
            "pinned",
            "passenger",
            "author",
            "authority",
            "signup",
        ] {
            assert!(!is_secret(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn harmless_names_are_found_in_any_spelling() {
        for name in [
            "idempotency-key",
            "X-Idempotency-Key",
            "idempotencyKey",
            "idempotency_key",
            "maxTokens",
            "signatureVersion",
            "token_type",
            "x-ratelimit-remaining-tokens",
        ] {
            assert!(!is_secret(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_code_is_secret_unless_its_subject_is_harmless() {
        for name in ["otp_code", "vcode", "backup-code", "verificationCode", "pin_code"] {
            assert!(is_secret(name.as_bytes()), "{name}");
        }
        for name in [
            "status_code",
            "countryCode",
            "zip_code",
            "zipcode",
            "unicode",
            "x-error-code",
        ] {
            assert!(!is_secret(name.as_bytes()), "{name}");
        }
        assert!(is_secret_in_urls_only(b"code"));
        assert!(!is_secret(b"code") && !is_secret_in_urls_only(b"zip_code"));
    }
}
