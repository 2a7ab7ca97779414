//! The mask of a secret: `[redacted]`, or `[redacted:0123456789abcdef]` with a key.
//!
//! The fingerprint is the first 8 bytes of HMAC-SHA-256. Without the key it reveals nothing about the secret, even a short
//! one, except which secrets are equal, which is its purpose. Its length decides how often two different secrets collide:
//! among a million, once in some 37 million runs.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::Error;

/// The key of the fingerprints; it has no `Debug`, so it cannot be logged.
#[derive(Clone)]
pub struct FingerprintKey(Hmac<Sha256>);

impl FingerprintKey {
    /// Generates a random key for this run.
    pub fn random() -> Result<Self, Error> {
        let mut bytes = [0; LEAST_KEY_BYTES];
        getrandom::fill(&mut bytes).map_err(Error::Random)?;
        Self::from_file_bytes(&bytes)
    }

    /// Creates a key from all bytes of a key file, including a final newline.
    pub fn from_file_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let short = Error::ShortKey {
            length: bytes.len(),
            least: LEAST_KEY_BYTES,
        };
        if bytes.len() < LEAST_KEY_BYTES {
            return Err(short);
        }
        // HMAC accepts keys of any length, so this error never occurs.
        Hmac::new_from_slice(bytes).map(Self).or(Err(short))
    }

    /// Returns the fingerprint of `secret`, as in its mask.
    pub(super) fn fingerprint(&self, secret: &[u8]) -> String {
        self.digits(secret).map(char::from).collect()
    }

    fn digits(&self, secret: &[u8]) -> impl Iterator<Item = u8> + use<> {
        let digest = self.0.clone().chain_update(secret).finalize().into_bytes();
        let digit = |digit| if digit < 10 { b'0' + digit } else { b'a' - 10 + digit };
        let bytes = digest.into_iter().take(FINGERPRINT_BYTES);
        bytes.flat_map(move |byte| [byte >> 4, byte & 15].map(digit))
    }
}

/// Writes masks.
pub(super) struct Mask(Option<FingerprintKey>);

impl Mask {
    /// Creates a writer that adds fingerprints if there is a key.
    pub(super) fn new(key: Option<FingerprintKey>) -> Self {
        Self(key)
    }

    /// Appends the mask of `secret`.
    pub(super) fn write(&self, secret: &[u8], out: &mut Vec<u8>) {
        let Some(key) = &self.0 else {
            return out.extend_from_slice(b"[redacted]");
        };
        out.extend_from_slice(b"[redacted:");
        out.extend(key.digits(secret));
        out.push(b']');
    }
}

/// Returns whether `value` contains a mask: another tracer may have masked it before it was sent.
pub(super) fn has_mask(value: &[u8]) -> bool {
    value.windows(MASK_START.len()).any(|window| window == MASK_START)
}

/// The beginning of every mask.
const MASK_START: &[u8] = b"[redacted";

/// The length of the hash. RFC 2104 section 3 discourages shorter keys.
const LEAST_KEY_BYTES: usize = 32;

/// Short enough to read, and long enough to tell millions of secrets apart.
const FINGERPRINT_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(key: &[u8], secret: &[u8]) -> String {
        let mut out = Vec::new();
        Mask::new(Some(FingerprintKey::from_file_bytes(key).unwrap())).write(secret, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_fingerprint_depends_on_the_secret_and_on_the_key_alone() {
        let (one, two) = ([1; 32], [2; 32]);
        assert_eq!(masked(&one, b"hunter2"), masked(&one, b"hunter2"));
        assert_ne!(masked(&one, b"hunter2"), masked(&one, b"hunter3"));
        assert_ne!(masked(&one, b"hunter2"), masked(&two, b"hunter2"));
    }

    // Test case 4 of RFC 4231 (section 4.5). Its key of 25 bytes is padded with zeros to the minimum length, which HMAC does
    // with any key shorter than a block.
    #[test]
    fn a_fingerprint_is_the_first_bytes_of_hmac_sha_256() {
        let mut key = [0; 32];
        key[..25].copy_from_slice(&std::array::from_fn::<u8, 25, _>(|at| u8::try_from(at).unwrap() + 1));
        assert_eq!(masked(&key, &[0xcd; 50]), "[redacted:82558a389a443c0e]");
    }

    #[test]
    fn a_short_key_is_an_error() {
        assert!(matches!(
            FingerprintKey::from_file_bytes(&[0; 31]),
            Err(Error::ShortKey { length: 31, least: 32 })
        ));
    }

    #[test]
    fn random_keys_differ() {
        let fingerprint = || {
            let mut out = Vec::new();
            Mask::new(Some(FingerprintKey::random().unwrap())).write(b"hunter2", &mut out);
            out
        };
        assert_ne!(fingerprint(), fingerprint());
    }
}
