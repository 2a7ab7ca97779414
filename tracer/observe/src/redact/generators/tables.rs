//! The tables of the generators: names, the text around values, and the characters around words.

pub(super) const NO_QUOTE: &str = r"[a-z/;?=@:,.+~!#<>\[\]{}|^$*()é-]{0,6}";
pub(super) const PLAIN: &str = "[a-z]{0,3}";
pub(super) const ODD: &str = r#"[a-z/;?=@:,.+~!#'"<>\\ \t\[\]{}|^$*()é-]{0,6}"#;
pub(super) const NO_SEMICOLON: &str = r#"[a-z/?=@:,.+~!#'"<>\\ \[\]{}|^$*()é-]{0,6}"#;
pub(super) const NO_BLANK: &str = r"[a-z/;?=@:,.+~!#'\\\[\]{}|^$*()é-]{0,6}";
pub(super) const NO_SLASH: &str = r"[a-z=:,.+~!'\[\]{}|^$*()é-]{0,6}";

pub(super) const SECRET_FIELDS: &[&str] = &[
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-auth-token",
    "x-amz-security-token",
    "x-csrf-token",
    "x-xsrf-token",
    "x-vault-token",
    "private-token",
    "x-session-id",
    "ocp-apim-subscription-key",
    "x-hub-signature-256",
    "authentication-info",
    "proxy-authentication-info",
    "x-acme-secret",
    "x-user-password",
    "sec-websocket-protocol",
];
pub(super) const AUTHORIZATIONS: &[&str] = &["authorization", "proxy-authorization", "x-original-authorization"];
pub(super) const SCHEMES: &[&str] = &[
    "Bearer ",
    "basic ",
    "DIGEST  ",
    "AWS4-HMAC-SHA256 ",
    "Custom ",
    "not_a_scheme",
    "9 ",
    "",
];
pub(super) const COOKIES: &[&str] = &["a=", "a=\"", "a b=", "x=1; sid = ", "x; =", "\u{e9}=", ";;a=", "a=="];
pub(super) const AFTER_COOKIES: &[&str] = &["", ";", "; b=2", "\"; Path=/"];
pub(super) const ATTRIBUTES: &[&str] = &[
    "a=1; X-Unknown=",
    "a=1; Domain=_",
    "a=1; Max-Age=1,",
    "a=1; HttpOnly=",
    "a=1; SameSite=Lax,",
    "a=1; Path=/?sid=",
];
pub(super) const CHALLENGES: &[&str] = &[
    "Digest nonce=\"",
    "Basic realm=\"a\", opaque=\"",
    "Negotiate ",
    "",
    "Basic x, Digest x=\"",
];
pub(super) const OPEN_FIELDS: &[&str] = &[
    "referer",
    "location",
    "content-location",
    "link",
    "refresh",
    "x-anything",
    "host",
    "via",
];
pub(super) const URL_STARTS: &[&str] = &[
    "https://",
    "//bob:",
    "HTTPS://bob:x@",
    "<https://",
    "a https:\\\\",
    "https%3A%2F%2Fbob:",
];
pub(super) const MEMBERS: &[(&str, &str)] = &[
    ("{\"", "\":\""),
    ("{\"a\":[{\"", "\" : \""),
    ("{\"a\":\"{\\\"", "\\\":\\\""),
    ("x {'", "': '"),
    ("b ", ": "),
    ("{\"b\":{\"", "\":[1,\""),
];
pub(super) const FORMS: &[&str] = &[
    "got Bearer ",
    "ghp_",
    "x=(eyJhbGciOiJI",
    "AKIA",
    "sk-",
    "Basic ",
    "-----BEGIN ",
    "glpat-",
];
pub(super) const NAME_FORMS: &[&str] = &["x-", "ghp_", "password=", "a b", "{\"token\":\""];
pub(super) const FIELD_BEFORE: &[&str] = &[
    "https://a.test/x?",
    "<https://a.test/?a=1&",
    "0; url=/#",
    "/?next=%2Fcb%3F",
    "",
    "a, ",
    "/x;",
];
pub(super) const FIELD_AFTER: &[&str] = &["", "&b=2", ">; rel=next", " b", "\""];
pub(super) const PATH_BEFORE: &[&str] = &[
    "/x?",
    "/x?a=1&",
    "/x#",
    "/?next=https%3A%2F%2Fa%2F%3F",
    "/%3F",
    "//a.test/?a;",
    "?",
];
pub(super) const PARAMETERS: &[&str] = &[
    "access_token",
    "token",
    "key",
    "api_key",
    "apikey",
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
    "X-Amz-Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "X-Goog-Signature",
    "accessToken",
    "PHPSESSID",
    "user[password]",
];
pub(super) const NAMES: &[&str] = &[
    "authorization",
    "cookie",
    "set-cookie",
    "www-authenticate",
    "x-api-key",
    "referer",
    "host",
    "x-request-id",
    "accept",
    "sec-websocket-protocol",
    "location",
];
pub(super) const PIECES: &[&str] = &[
    "=",
    "&",
    ";",
    "?",
    "#",
    "/",
    "//",
    "\\",
    "@",
    ":",
    "%",
    "%3D",
    "%26",
    "%25",
    "%2f%2F",
    " ",
    "\t",
    "\"",
    "<",
    ">",
    ",",
    "a",
    "token",
    "code",
    "Bearer",
    "Basic ",
    "realm",
    "path",
    "expires",
    "[redacted]",
    "[redacted:0123456789abcdef]",
    "{",
    "[",
    "}",
    "]",
    "'",
    "\"password\":",
    "\\\"pin\\\":",
    "<key>",
    "Bearer ",
    "Basic YTpi",
    "Digest username=",
    "eyJhbGciOiJIUzI1NiJ9.e30",
    "-----BEGIN ",
    "\u{e9}",
    "\u{202e}",
    "1",
    "\n",
];
