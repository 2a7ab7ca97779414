//! The first bytes of ciphertext, by which the socket of a connection is found.
//!
//! Only bytes that are random or encrypted identify a connection: others could be sent by two.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::RECORD_BYTES;

/// Bytes of ciphertext that are compared: of a hello, 13 of them are random; of an encrypted record, all behind its header.
pub const CIPHERTEXT_BYTES: usize = 24;

/// Record types (RFC 8446 section 5.1) and the handshake messages that begin with random bytes (section 4).
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
/// Bytes of a record's header.
const HEADER_BYTES: u64 = 5;
/// The major version in every record since SSL 3.0, and the minor one in those of application data since TLS 1.2.
const MAJOR: u8 = 3;
const TLS_1_2: u8 = 3;
/// Bytes that a record has behind its header at the most (RFC 8446 section 5.2, RFC 5246 section 6.2.3).
const MAX_LENGTH: u64 = 16384 + 2048;
/// The first random bytes of a `HelloRetryRequest`, which are the same in all of them (RFC 8446 section 4.1.3).
const RETRY: [u8; 4] = [0xcf, 0x21, 0xad, 0x74];

/// The first bytes of ciphertext that a process is about to send.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct CiphertextKey {
    /// A record's header and what follows it, as in memory.
    pub bytes: [u8; CIPHERTEXT_BYTES],
    /// Process.
    pub tgid: u32,
    /// Zero.
    pub reserved: u32,
}

impl CiphertextKey {
    /// Returns whether the bytes are random or encrypted, so that no other connection sends the same. A certificate is
    /// neither, nor is a `HelloRetryRequest`; an alert that is not encrypted is shorter than these bytes.
    pub fn is_unique(&self) -> bool {
        let [kind, major, _, _, _, message, _, _, _, _, _, a, b, c, d, ..] = self.bytes;
        if major != MAJOR {
            return false;
        }
        match kind {
            ALERT | APPLICATION_DATA => true,
            HANDSHAKE => message == CLIENT_HELLO || (message == SERVER_HELLO && [a, b, c, d] != RETRY),
            _ => false,
        }
    }

    /// Writes the header of a record of application data where there is only room for it, given how many bytes it takes with
    /// that; returns whether there was. All versions since TLS 1.2 have the same number in it.
    pub fn set_header(&mut self, bytes: u64) -> bool {
        let [kind, major, minor, length_high, length_low, ..] = self.bytes;
        let length = bytes.wrapping_sub(HEADER_BYTES);
        if kind | major | minor | length_high | length_low != 0 || length > MAX_LENGTH {
            return false;
        }
        let [.., high, low] = length.to_be_bytes();
        [self.bytes[0], self.bytes[1], self.bytes[2]] = [APPLICATION_DATA, MAJOR, TLS_1_2];
        [self.bytes[3], self.bytes[4]] = [high, low];
        true
    }

    /// Returns how many bytes the record takes that begins here, header included; `None` if none does.
    pub const fn record_bytes(&self) -> Option<u64> {
        let [kind, major, _, high, low, ..] = self.bytes;
        let length = (high as u64) << 8 | low as u64;
        let is_record = matches!(kind, CHANGE_CIPHER_SPEC..=APPLICATION_DATA) && major == MAJOR;
        if is_record { Some(HEADER_BYTES + length) } else { None }
    }
}

/// Returns whether a record with this header may be the first one of a write of so many bytes by Go, which cuts a write into
/// records of 512 bytes at the least (`maxPayloadSizeForWrite` in `src/crypto/tls/conn.go`, go1.27.3), each longer than its
/// content by a tag of 16 bytes at the least (RFC 8446 section 5.2, RFC 5246 section 6.2.3).
pub const fn may_hold(header: [u8; 5], bytes: u64) -> bool {
    let [kind, major, _, high, low] = header;
    let length = (high as u64) << 8 | low as u64;
    let least = if bytes < LEAST_CUT { bytes } else { LEAST_CUT };
    let most = if bytes < RECORD_BYTES { bytes } else { RECORD_BYTES };
    kind == APPLICATION_DATA && major == MAJOR && length >= least + TAG_BYTES && length <= most + MAX_EXPANSION
}

/// Bytes that Go puts into a record at the least, if it has as many.
const LEAST_CUT: u64 = 512;
/// Bytes of the shortest tag.
const TAG_BYTES: u64 = 16;
/// By how much a record is longer than its content at the most (RFC 8446 section 5.2), without padding up to a chosen length.
const MAX_EXPANSION: u64 = 256;

const _: () = assert!(size_of::<CiphertextKey>() == 32);

#[cfg(test)]
mod tests {
    use super::*;

    const RANDOM: [u8; 13] = [7; 13];

    /// A record of a type, and what follows its header.
    fn is_unique<const N: usize>(kind: u8, content: [u8; N]) -> bool {
        let mut key = CiphertextKey::default();
        let header = [kind, 3, 3, 0, 200];
        for (byte, from) in key.bytes.iter_mut().zip(header.iter().chain(&content)) {
            *byte = *from;
        }
        key.is_unique()
    }

    /// A handshake message: its type, its length, a version, and what follows.
    fn message(kind: u8, random: [u8; 13]) -> [u8; 19] {
        let mut content = [0; 19];
        let header = [kind, 0, 0, 196, 3, 3];
        for (byte, from) in content.iter_mut().zip(header.iter().chain(&random)) {
            *byte = *from;
        }
        content
    }

    #[test]
    fn hellos_and_encrypted_records_are_one_connections_own() {
        assert!(is_unique(22, message(1, RANDOM)));
        assert!(is_unique(22, message(2, RANDOM)));
        assert!(is_unique(23, RANDOM));
        assert!(is_unique(21, RANDOM));
    }

    #[test]
    fn a_record_may_hold_a_write_if_its_length_fits() {
        let record = |kind, length: u16| {
            let [high, low] = length.to_be_bytes();
            [kind, 3, 3, high, low]
        };
        for (length, bytes, expected) in [
            (17, 1, true),
            (16, 1, false),
            (117, 100, true),
            (115, 100, false),
            (357, 100, false),
            (528, 1 << 30, true),
            (527, 1 << 30, false),
            (16384 + 256, 1 << 30, true),
            (16384 + 257, 1 << 30, false),
        ] {
            assert_eq!(may_hold(record(23, length), bytes), expected, "{length} {bytes}");
        }
        assert!(!may_hold(record(22, 117), 100));
        assert!(!may_hold([23, 2, 3, 0, 117], 100));
    }

    #[test]
    fn a_request_for_another_hello_is_the_same_for_all() {
        let mut random = RANDOM;
        random[..4].copy_from_slice(&[0xcf, 0x21, 0xad, 0x74]);
        assert!(!is_unique(22, message(2, random)));
        random[3] = 0;
        assert!(is_unique(22, message(2, random)));
    }

    #[test]
    fn a_record_whose_header_has_yet_to_be_written_gets_that_of_its_length() {
        let with = |first: u8| {
            let mut key = CiphertextKey::default();
            key.bytes[5..].fill(7);
            key.bytes[4] = first;
            key
        };
        let mut key = with(0);
        assert!(!key.is_unique());
        assert!(key.set_header(5 + 0x1234));
        assert_eq!(key.bytes[..6], [23, 3, 3, 0x12, 0x34, 7]);
        assert!(key.is_unique());
        assert_eq!(key.record_bytes(), Some(5 + 0x1234));
        assert!(!key.set_header(100), "it has one");
        assert!(!with(1).set_header(100), "it has something else");
        for bytes in [0, 4, 5 + 16384 + 2049, u64::MAX] {
            assert!(!with(0).set_header(bytes), "{bytes}");
        }
    }

    #[test]
    fn a_certificate_is_the_same_for_all() {
        assert!(!is_unique(22, message(11, RANDOM)));
    }

    #[test]
    fn a_change_of_cipher_is_the_same_for_all() {
        assert!(!is_unique(20, [1]));
    }

    #[test]
    fn a_record_is_as_long_as_its_header_says() {
        let of = |first: [u8; 5]| {
            let mut key = CiphertextKey::default();
            key.bytes[..5].copy_from_slice(&first);
            key.record_bytes()
        };
        assert_eq!(of([23, 3, 3, 1, 2]), Some(5 + 258));
        assert_eq!(of([20, 3, 3, 0, 1]), Some(6));
        assert_eq!(
            [
                of([24, 3, 3, 0, 1]),
                of([19, 3, 3, 0, 1]),
                of([22, 2, 3, 0, 1]),
                of([0; 5])
            ],
            [None; 4]
        );
    }

    #[test]
    fn what_is_no_record_is_not_looked_for() {
        assert!(!is_unique(24, RANDOM));
        assert!(!CiphertextKey::default().is_unique());
        let mut old = CiphertextKey::default();
        old.bytes[..2].copy_from_slice(&[23, 2]);
        assert!(!old.is_unique());
    }
}
