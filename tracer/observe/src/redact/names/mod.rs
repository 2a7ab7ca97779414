//! Which names announce a secret.
//!
//! In: the name of a header field or of a parameter. Out: whether its value is secret. Refuses the benefit of the
//! doubt: a name is secret if one of its words is a secret's, or if it ends as secrets' names do (`key`, `sign`, `pin`),
//! unless the whole name is on the list of harmless ones. A false mask is a nuisance, a missed one a leak.
//!
//! Words end at anything but letters and digits, and where a capital letter follows a small one. Field names have lost
//! their capitals on the way, so secrets' words are found inside glued ones too: `accesstoken`, `rapidapikey`.
//!
//! Not secret, though they may look it: `sec-websocket-key` (a number used once, RFC 6455 section 1.3),
//! `signature-input` (what a signature covers, RFC 9421), and hashes of bodies such as `digest`.

mod lists;

use self::lists::{ENDINGS, ENGLISH, HARMLESS, HARMLESS_CODES};

/// Returns whether the value under `name` is secret.
pub(super) fn is_secret(name: &[u8]) -> bool {
    if !name.iter().any(u8::is_ascii_uppercase) {
        return announces(name) && !is_harmless(name);
    }
    let (glued, apart) = (name.to_ascii_lowercase(), split_at_capitals(name));
    (announces(&glued) || announces(&apart)) && !is_harmless(&glued) && !is_harmless(&apart)
}

/// Returns whether `name` is one that OAuth made secret in URLs and that means little elsewhere.
pub(super) fn is_secret_in_urls_only(name: &[u8]) -> bool {
    words(name).eq([b"code"])
}

fn announces(name: &[u8]) -> bool {
    if is_whole_secret(name) {
        return true;
    }
    let (mut previous, mut last, mut before_last): (&[u8], &[u8], &[u8]) = (b"", b"", b"");
    for word in words(name) {
        if is_secret_word(word) || has_secret_stem(word) || is_secret_pair(previous, word) {
            return true;
        }
        if !is_appendix(word) {
            (before_last, last) = (last, word);
        }
        previous = word;
    }
    ends_as_secrets_do(last) || is_secret_code(before_last, last)
}

/// Spells `accessKey` as `access-key`.
fn split_at_capitals(name: &[u8]) -> Vec<u8> {
    let mut apart = Vec::with_capacity(name.len() + 4);
    let mut after_small = false;
    for byte in name {
        if after_small && byte.is_ascii_uppercase() {
            apart.push(b'-');
        }
        after_small = byte.is_ascii_lowercase() || byte.is_ascii_digit();
        apart.push(byte.to_ascii_lowercase());
    }
    apart
}

/// The words of a name, without the digits that number them.
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

/// Names whose words say nothing, and words too common to be secret as a part of a name.
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

/// Words that make a name secret wherever in it they are.
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

/// Returns whether a secret's word is in `word`, glued to others or not.
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
            // Unless somebody makes tokens of text.
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

/// Two words that are secret together and not apart, wherever they are; at the end of a name `key` needs no other word.
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

/// Returns whether the last word of a name is a secret's, or ends in one's.
fn ends_as_secrets_do(last: &[u8]) -> bool {
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

/// Returns whether a name that ends in `code` is a secret's: a code of something, unless that is known to be harmless.
fn is_secret_code(before: &[u8], last: &[u8]) -> bool {
    match last.strip_suffix(b"code") {
        Some(b"") => !before.is_empty() && !HARMLESS_CODES.contains(&before),
        Some(glued) => !HARMLESS_CODES.contains(&glued),
        None => false,
    }
}

/// Words behind the one that says what a value is: how it is spelled, or which of several it is.
fn is_appendix(word: &[u8]) -> bool {
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

/// Returns whether a name with a secret's word in it is one whose values are numbers, fixed words, or public.
fn is_harmless(name: &[u8]) -> bool {
    let name = name.strip_prefix(b"x-").unwrap_or(name);
    let letters = || name.iter().filter(|byte| byte.is_ascii_alphanumeric());
    words(name).any(|word| word == b"ratelimit")
        || words(name).last().is_some_and(is_about_secrets)
        || HARMLESS.iter().any(|harmless| letters().eq(harmless.iter()))
}

/// Last words of names that speak about a secret and do not hold it, as in `x-amz-signature-version`.
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
    fn a_name_that_ends_in_a_secrets_word_is_secret() {
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
    fn a_word_that_only_ends_alike_is_not() {
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
    fn harmless_names_are_so_however_they_are_spelled() {
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
    fn a_code_is_secret_unless_it_is_known_of_what() {
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
