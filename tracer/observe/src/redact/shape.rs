//! Credentials that are recognised by their shape, whatever the name of their field or parameter.
//!
//! These are tokens with a known prefix (`ghp_`, `AKIA`), JSON Web Tokens, PEM, and what follows the name of an HTTP
//! authentication scheme, in percent-decoded text. A credential can begin anywhere but after a letter or digit.

use std::ops::Range;

use super::{credentials::is_challenge_parameter, decoded::Decoded};

/// Calls `mark` with the range of each credential in `text`, in order. Takes time linear in the length of the text.
pub(super) fn find(text: &[u8], mut mark: impl FnMut(Range<usize>)) {
    let mut from = 0;
    let mut inside_word = false;
    while let Some(rest) = text.get(from..) {
        let begins = |byte: &u8| {
            let class = CLASSES.get(usize::from(*byte)).copied().unwrap_or_default();
            let begins = class & BEGINS != 0 && !inside_word;
            inside_word = class & WORD != 0;
            begins
        };
        let Some(begin) = rest.iter().position(begins) else {
            return;
        };
        let here = rest.get(begin..).unwrap_or_default();
        from += begin + 1;
        if let Some(found) = here.first().and_then(|first| credential(*first, here)) {
            let at = from - 1;
            mark(at + found.start..at + found.end);
            from = at + found.end.max(1);
            inside_word = false;
        }
    }
}

/// Returns whether `text`, which may be percent-encoded, contains a credential.
pub(super) fn is_in(text: &[u8]) -> bool {
    let mut found = false;
    if text.contains(&b'%') {
        find(&Decoded::plain(text), |_| found = true);
    } else {
        find(text, |_| found = true);
    }
    found
}

/// Returns whether a word of `text` looks like a random key or identifier: long, with letters and digits.
pub(super) fn is_random(text: &[u8]) -> bool {
    text.split(|byte| !byte.is_ascii_alphanumeric()).any(|word| {
        let digits = word.iter().filter(|byte| byte.is_ascii_digit()).count();
        word.len() >= SHORTEST_RANDOM && digits >= 2 && digits < word.len()
    })
}

/// Returns the range of the credential that begins with `first`, at the start of `here`, if there is one.
fn credential(first: u8, here: &[u8]) -> Option<Range<usize>> {
    let token = prefixes(first).iter().find_map(|(prefix, shortest)| {
        let tail = here.strip_prefix(*prefix)?;
        // The tail may contain as many prefixes as words, so only a token is read to its end: time stays linear.
        let read = tail.get(..token_length(tail, LONGEST_READ))?;
        (read.len() >= *shortest && may_be_random(read)).then(|| 0..prefix.len() + token_length(tail, usize::MAX))
    });
    match first {
        _ if token.is_some() => token,
        b'-' if here.starts_with(PEM) => Some(0..here.len()),
        _ if begins_scheme(first) => after_scheme(here),
        _ => None,
    }
}

/// Returns whether what follows a prefix may be random, and not a word: it has a digit, or it is long and has letters of both
/// cases, as some keys of Hugging Face are.
fn may_be_random(token: &[u8]) -> bool {
    let has = |class: fn(&u8) -> bool| token.iter().any(class);
    has(u8::is_ascii_digit)
        || token.len() >= SHORTEST_OF_LETTERS && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase)
}

/// Finds the credentials after the name of a scheme.
fn after_scheme(here: &[u8]) -> Option<Range<usize>> {
    let word = here.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let (scheme, rest) = here.split_at_checked(word)?;
    let is = |name: &[u8]| scheme.eq_ignore_ascii_case(name);
    if !SCHEMES.iter().any(|known| is(known)) {
        return None;
    }
    let blank = rest.iter().take_while(|byte| is_blank(**byte)).count();
    if blank == 0 {
        return None;
    }
    let credentials = rest.get(blank..).unwrap_or_default();
    // As with tokens, the whole run is read only if it is marked.
    let length = |most| {
        let run = credentials.iter().take(most);
        run.take_while(|byte| !ends_credentials(**byte)).count()
    };
    let run = credentials.get(..length(LONGEST_READ))?;
    let long = run.len() >= SHORTEST_RANDOM;
    let credential = if is(b"bearer") {
        !run.is_empty() && !is_challenge_parameter(run)
    } else if is(b"basic") {
        has_user_and_password(run) || long && !is_challenge_parameter(run)
    } else if is(b"digest") {
        // All of its parameters depend on the password.
        let digest = run
            .get(..9)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"username="));
        return digest.then_some(word + blank..here.len());
    } else {
        let capital = run.iter().skip(1).any(u8::is_ascii_uppercase);
        long && (capital || run.iter().any(u8::is_ascii_digit))
    };
    credential.then(|| word + blank..word + blank + length(usize::MAX))
}

/// Returns whether `run` begins with a user name and a colon in base64 (RFC 7617).
fn has_user_and_password(run: &[u8]) -> bool {
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in run {
        let Some(six) = sextet(*byte) else { return false };
        bits = bits << 6 & 0xffff | six;
        held += 6;
        if held >= 8 {
            held -= 8;
            if bits >> held & 0xff == u32::from(b':') {
                return true;
            }
        }
    }
    false
}

fn sextet(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

fn token_length(tail: &[u8], most: usize) -> usize {
    let in_token = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_.~+/=".contains(byte);
    tail.iter().take(most).take_while(in_token).count()
}

/// Returns whether a byte is white space, or the `+` that encodes it in forms.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'+')
}

fn ends_credentials(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'<' | b'>' | b'&' | b',' | b';'
    )
}

const PEM: &[u8] = b"-----BEGIN ";

/// Minimum length of a word that looks random; a shorter one is too likely to be a name.
const SHORTEST_RANDOM: usize = 20;

/// Minimum length of what looks random without a digit.
const SHORTEST_OF_LETTERS: usize = 30;

/// Maximum bytes that are read to recognise a token.
const LONGEST_READ: usize = 256;

/// The schemes whose credentials are recognised in any field. [`begins_scheme`] has their first letters.
const SCHEMES: [&[u8]; 7] = [
    b"bearer",
    b"basic",
    b"digest",
    b"negotiate",
    b"ntlm",
    b"token",
    b"apikey",
];

/// Letters and digits.
const WORD: u8 = 1;

/// The bytes with which a credential may begin.
const BEGINS: u8 = 2;

/// The classes of bytes.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() {
            classes[byte as usize] = WORD;
        }
        if byte == b'-' || !prefixes(byte).is_empty() || begins_scheme(byte) {
            classes[byte as usize] |= BEGINS;
        }
        byte += 1;
    }
    classes
};

/// Returns whether the name of one of [`SCHEMES`] begins with a byte.
const fn begins_scheme(byte: u8) -> bool {
    matches!(byte | 0x20, b'a' | b'b' | b'd' | b'n' | b't') && byte.is_ascii_alphabetic()
}

/// Returns the prefixes of the tokens of large APIs that begin with `first`, and the minimum length of the rest.
const fn prefixes(first: u8) -> &'static [(&'static [u8], usize)] {
    match first {
        b'1' => &[(b"1//0", 24)],
        b'A' => &[
            (b"AKIA", 12),
            (b"ASIA", 12),
            (b"ABIA", 12),
            (b"ACCA", 12),
            (b"AIza", 24),
            (b"AGE-SECRET-KEY-1", 16),
            (b"ATATT3", 16),
            (b"ATCTT3", 16),
        ],
        b'E' => &[(b"EAAA", 24)],
        b'G' => &[(b"GOCSPX-", 16)],
        b'N' => &[(b"NRAK-", 16)],
        b'P' => &[(b"PMAK-", 16)],
        b'S' => &[(b"SG.", 16), (b"SSWS ", 16)],
        b'a' => &[(b"age-secret-key-1", 16)],
        b'd' => &[
            (b"dapi", 24),
            (b"do.v1.", 16),
            (b"doo_v1_", 16),
            (b"dop_v1_", 16),
            (b"dor_v1_", 16),
            (b"dp.pt.", 16),
        ],
        b'e' => &[(b"eyJ", 16)],
        b'f' => &[(b"figd_", 16), (b"fo1_", 16)],
        b'g' => &[
            (b"gho_", 16),
            (b"ghp_", 16),
            (b"ghr_", 16),
            (b"ghs_", 16),
            (b"ghu_", 16),
            (b"github_pat_", 16),
            (b"glc_", 16),
            (b"gldt-", 12),
            (b"glpat-", 12),
            (b"glptt-", 12),
            (b"glrt-", 12),
            (b"glsa_", 16),
            (b"gsk_", 16),
        ],
        b'h' => &[(b"hf_", 16), (b"hvb.", 16), (b"hvs.", 16)],
        b'k' => &[(b"key-", 24)],
        b'l' => &[(b"lin_api_", 16)],
        b'n' => &[(b"npm_", 16), (b"nvapi-", 16)],
        b'o' => &[(b"oy2", 24)],
        b'p' => &[(b"pplx-", 16), (b"pypi-", 16)],
        b'r' => &[(b"r8_", 16), (b"rk_live_", 10), (b"rk_test_", 10)],
        b's' => &[
            (b"sbp_", 16),
            (b"secret_", 16),
            (b"shp", 24),
            (b"sk-", 16),
            (b"sk_live_", 10),
            (b"sk_test_", 10),
            (b"sq0", 16),
        ],
        b'w' => &[(b"whsec_", 16)],
        b'x' => &[(b"xai-", 16), (b"xapp-", 10), (b"xox", 12)],
        b'y' => &[(b"ya29.", 16)],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        let mut ranges = Vec::new();
        find(text.as_bytes(), |range| ranges.push(range));
        let mut masked = text.to_owned();
        for range in ranges.into_iter().rev() {
            masked.replace_range(range, "~");
        }
        masked
    }

    #[test]
    fn credentials_are_found_by_their_shape() {
        for (text, wanted) in [
            ("a Bearer hunter2 b", "a Bearer ~ b"),
            ("Authorization=bearer+hunter2", "Authorization=bearer+~"),
            ("Basic dXNlcjpwTGFudGVk", "Basic ~"),
            ("Basic YTpi,x y", "Basic ~,x y"),
            ("x=Digest username=\"bob\", response=\"66\"", "x=Digest ~"),
            ("Negotiate YIIJvwYGKwYBBQUCoIIJszCCCa", "Negotiate ~"),
            ("Token 9944b09199c62bcf9418ad846dd0e4bb", "Token ~"),
            ("(eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln)", "(~)"),
            ("AKIAIOSFODNN7EXAMPLE/x", "~"),
            ("key ghp_0123456789abcdefghij0123", "key ~"),
            ("\"xoxb-123456789012-abc\"", "\"~\""),
            ("sk-proj-0123456789abcdefghij", "~"),
            // Keys of providers of language models.
            ("sk-ant-api03-AbCdEfGhIjKlMnOp-qrstuvwx_AA", "~"),
            ("sk-or-v1-0123456789abcdef0123456789abcdef", "~"),
            ("key=AIzaSyA0123456789abcdefghijklmnopqrstu", "key=~"),
            ("gsk_0123456789abcdefGHIJKLMNopqrstuv", "~"),
            ("(hf_AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh)", "(~)"),
            ("xai-0123456789abcdefGHIJKLMNopqrstuv", "~"),
            ("r8_0123456789abcdefGHIJKLMNopqrstuvwx", "~"),
            ("pplx-0123456789abcdefghij, nvapi-0123456789abcdefghij", "~, ~"),
            ("a -----BEGIN PRIVATE KEY----- MII b", "a ~"),
        ] {
            assert_eq!(masked(text), wanted);
        }
    }

    #[test]
    fn words_with_the_same_prefix_are_not_credentials() {
        for text in [
            "Bearer realm=\"a\"",
            "Bearer",
            "Bearer, Basic realm=\"a\"",
            "Basic realm=\"a\"",
            "a Basic plan",
            "token required",
            "monkey-business",
            "/sk-sk/page",
            "key-value",
            "eyJ",
            "x-shp-1",
            "shopping",
            "secret_santa_is_coming_home",
            "hf_transfer",
            "secret_SantaIsComingToTownAgain",
            "xai-grok",
        ] {
            assert_eq!(masked(text), text);
        }
    }

    #[test]
    fn long_words_of_letters_and_digits_look_random() {
        assert!(is_random(b"x-5f4dcc3b5aa765d61d8327deb882cf99"));
        for text in [
            "x-amz-server-side-encryption",
            "x-internationalizations",
            "12345678901234567890",
            "x-b3-traceid",
        ] {
            assert!(!is_random(text.as_bytes()), "{text}");
        }
    }
}
