//! Which names announce a secret.
//!
//! In: the name of a header field or of a parameter, in lower case. Out: whether its value is secret. Refuses the
//! benefit of the doubt: a name of many words is secret if one of them is, unless it is listed as harmless.
//!
//! Not secret, though they may look it: `sec-websocket-key` (a number used once, RFC 6455 section 1.3),
//! `idempotency-key`, and hashes of bodies such as `digest` and `x-amz-content-sha256`.

/// Tells whether the value under `name` is secret.
pub(super) fn is_secret(name: &[u8]) -> bool {
    if is_whole_secret(name) {
        return true;
    }
    let mut previous: &[u8] = b"";
    for word in words(name) {
        if is_secret_word(word) || is_secret_pair(previous, word) {
            return !is_harmless(name);
        }
        previous = word;
    }
    false
}

/// Tells whether `name` is one that OAuth made secret in URLs and that means little elsewhere.
pub(super) fn is_secret_in_urls_only(name: &[u8]) -> bool {
    words(name).eq([b"code"])
}

fn words(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    name.split(|byte| !byte.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
}

/// Words too common to be secret as a part of a name.
fn is_whole_secret(name: &[u8]) -> bool {
    matches!(name, b"key" | b"pass" | b"sign" | b"ticket" | b"dpop")
}

fn is_secret_word(word: &[u8]) -> bool {
    let listed = matches!(
        word,
        b"assertion"
            | b"auth"
            | b"authentication"
            | b"authorization"
            | b"awsaccesskeyid"
            | b"bearer"
            | b"cookie"
            | b"cookies"
            | b"credential"
            | b"credentials"
            | b"csrf"
            | b"hmac"
            | b"jwe"
            | b"jws"
            | b"jwt"
            | b"oidc"
            | b"otp"
            | b"passcode"
            | b"passphrase"
            | b"passwd"
            | b"password"
            | b"passwords"
            | b"pwd"
            | b"samlrequest"
            | b"samlresponse"
            | b"secret"
            | b"secrets"
            | b"session"
            | b"sessionid"
            | b"sid"
            | b"sig"
            | b"signature"
            | b"tokens"
            | b"totp"
            | b"xsrf"
    );
    listed || ENDINGS.iter().any(|ending| word.ends_with(ending))
}

/// Two words that are secret together and not apart.
fn is_secret_pair(first: &[u8], second: &[u8]) -> bool {
    match second {
        b"key" | b"keys" => matches!(
            first,
            b"access"
                | b"account"
                | b"api"
                | b"app"
                | b"application"
                | b"auth"
                | b"client"
                | b"customer"
                | b"encryption"
                | b"functions"
                | b"license"
                | b"master"
                | b"private"
                | b"secret"
                | b"service"
                | b"shared"
                | b"signing"
                | b"subscription"
        ),
        b"code" => matches!(
            first,
            b"access"
                | b"authentication"
                | b"authorization"
                | b"device"
                | b"login"
                | b"mfa"
                | b"reset"
                | b"security"
                | b"sms"
                | b"user"
                | b"verification"
        ),
        b"verifier" => first == b"code",
        b"principal" => first == b"client",
        _ => false,
    }
}

/// Names with a secret's word in them whose values are numbers or fixed words.
fn is_harmless(name: &[u8]) -> bool {
    matches!(
        name,
        b"access-control-allow-credentials"
            | b"token_type"
            | b"token-type"
            | b"x-token-type"
            | b"oauth_signature_method"
    ) || words(name).any(|word| word == b"ratelimit")
}

/// How secrets' names end where words are written together, as in `accessToken` and `PHPSESSID`.
const ENDINGS: [&[u8]; 11] = [
    b"token",
    b"apikey",
    b"authkey",
    b"accesskey",
    b"secretkey",
    b"privatekey",
    b"subscriptionkey",
    b"secret",
    b"password",
    b"sessid",
    b"sessionid",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_credentials_are_secret() {
        for name in [
            "x-api-key",
            "api-key",
            "apikey",
            "api_key",
            "x-goog-api-key",
            "x-auth-token",
            "x-amz-security-token",
            "x-csrf-token",
            "x-xsrf-token",
            "x-vault-token",
            "private-token",
            "x-access-token",
            "x-gitlab-token",
            "x-session-id",
            "x-auth-request-email",
            "ocp-apim-subscription-key",
            "cf-access-jwt-assertion",
            "x-forwarded-access-token",
            "x-amz-signature",
            "x-amz-credential",
            "x-goog-signature",
            "x-hub-signature",
            "x-hub-signature-256",
            "stripe-signature",
            "x-shopify-hmac-sha256",
            "dpop",
            "authentication-info",
            "x-amz-server-side-encryption-customer-key",
            "x-goog-iap-jwt-assertion",
            "x-amzn-oidc-accesstoken",
            "dd-application-key",
            "x-ms-client-principal",
            "mcp-session-id",
            "x-functions-key",
            "access_token",
            "token",
            "key",
            "sig",
            "signature",
            "password",
            "passwd",
            "pwd",
            "secret",
            "client_secret",
            "refresh_token",
            "id_token",
            "jwt",
            "auth",
            "session",
            "sid",
            "accesstoken",
            "authtoken",
            "phpsessid",
            "jsessionid",
            "user[password]",
            "code_verifier",
            "device_code",
            "awsaccesskeyid",
        ] {
            assert!(is_secret(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn names_of_harmless_things_are_not() {
        for name in [
            "accept",
            "content-type",
            "x-request-id",
            "sec-websocket-key",
            "idempotency-key",
            "cache-key",
            "etag",
            "access-control-allow-credentials",
            "x-ratelimit-remaining-tokens",
            "anthropic-ratelimit-tokens-limit",
            "token_type",
            "x-amz-date",
            "x-amz-id-2",
            "x-amz-content-sha256",
            "digest",
            "author",
            "x-authored-by",
            "status_code",
            "country_code",
            "monkey",
            "keyword",
            "passenger",
            "design",
            "tokenizer",
            "page",
        ] {
            assert!(!is_secret(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_code_is_secret_in_urls_only() {
        assert!(is_secret_in_urls_only(b"code"));
        assert!(!is_secret(b"code") && !is_secret_in_urls_only(b"zip_code"));
    }
}
