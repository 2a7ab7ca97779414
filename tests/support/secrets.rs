//! Secrets to plant in traffic. Every one contains a unique word.

/// The word in every secret, and in nothing else.
pub const MARK: &str = "pLanted";

/// `user:pLanted` in Basic authentication.
pub const BASIC: &str = "dXNlcjpwTGFudGVk";

/// Header fields of a request, each of which carries a secret.
pub const REQUEST_FIELDS: [&str; 16] = [
    "Authorization: Bearer pLanted01",
    "Proxy-Authorization: Basic dXNlcjpwTGFudGVk",
    "Cookie: session=pLanted02; theme=pLanted03",
    "X-Api-Key: pLanted04",
    "Api-Key: pLanted05",
    "X-Goog-Api-Key: pLanted06",
    "X-Auth-Token: pLanted07",
    "X-Amz-Security-Token: pLanted08",
    "X-Csrf-Token: pLanted09",
    "Referer: https://user:pLanted10@localhost/x?access_token=pLanted11&page=2",
    "X-Forwarded-Access-Token: pLanted12",
    "X-Original-Url: /callback?code=pLanted13&state=open",
    "x-vault-token: pLanted14",
    "Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.pLanted15",
    "X-Hub-Signature-256: sha256=pLanted16",
    "X-Forwarded-Authorization: Bearer pLanted17",
];

/// A query in which all parameters but the last are secrets.
pub const QUERY: &str = "access_token=pLanted21&token=pLanted22&key=pLanted23&api_key=pLanted24&sig=pLanted25\
                         &password=pLanted26&code=pLanted27&client_secret=pLanted28&page=2";

/// Locations of nginx whose responses carry secrets.
pub const LOCATIONS: &str = "
    location /login {
        add_header X-Request-ID $request_id always;
        add_header Set-Cookie 'sid=pLanted31; Path=/; HttpOnly' always;
        add_header Set-Cookie 'theme=pLanted32' always;
        add_header X-Csrf-Token 'pLanted33' always;
        add_header Refresh '0; url=/next?token=pLanted34' always;
        return 302 'https://user:pLanted35@localhost/next?code=pLanted36&page=2';
    }
    location /denied {
        add_header X-Request-ID $request_id always;
        add_header WWW-Authenticate 'Digest realm=\"here\", nonce=\"pLanted37\", opaque=\"pLanted38\"' always;
        add_header Authentication-Info 'nextnonce=\"pLanted39\"' always;
        return 401 'body with pLanted40';
    }";

/// Returns the first line of `output` that shows a secret.
pub fn find_secret(output: &str) -> Option<&str> {
    output.lines().find(|line| line.contains(MARK) || line.contains(BASIC))
}
