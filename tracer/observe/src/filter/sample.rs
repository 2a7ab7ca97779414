//! Sampling by request id, so that every line about a request is kept or none is, on every host that it passes.

use sha2::{Digest as _, Sha256};

use super::args::Fraction;
use crate::redact::ExchangeLine;

/// Keeps a fraction of the exchanges, and counts the others.
#[derive(Debug)]
pub(super) struct Sampler {
    fraction: Fraction,
    /// The number of exchanges that were left out.
    pub(super) left_out: u64,
}

impl Sampler {
    pub(super) const fn new(fraction: Fraction) -> Self {
        Self { fraction, left_out: 0 }
    }

    /// Returns whether the exchange with this [`key`] is kept, and counts it if not.
    pub(super) fn keeps(&mut self, key: &str) -> bool {
        let keeps = is_sampled(self.fraction, key);
        self.left_out += u64::from(!keeps);
        keeps
    }
}

/// Returns what sampling goes by: the request id. Without one that can be told from others, it is the id of the exchange,
/// which is unique within a run and the same when its tape is replayed.
pub(super) fn key<'a>(exchange: &'a ExchangeLine<'_>) -> &'a str {
    exchange
        .request_id
        .as_deref()
        .filter(|id| !id.is_empty() && !id.contains(MASK))
        .unwrap_or(&exchange.id)
}

/// A mask without a fingerprint, which different secrets share.
const MASK: &str = "[redacted]";

/// Returns whether a key is in a fraction. The keys of a fraction are among those of each larger one.
fn is_sampled(Fraction { kept, of }: Fraction, key: &str) -> bool {
    u128::from(hash(key)) * u128::from(of) < u128::from(kept) << u64::BITS
}

/// Hashes a key. The result is the same in every version of tlscope that has [`HASH_KEY`], on every machine.
fn hash(key: &str) -> u64 {
    let digest = Sha256::new().chain_update(HASH_KEY).chain_update(key).finalize();
    let mut first = [0; 8];
    first.iter_mut().zip(digest).for_each(|(byte, hashed)| *byte = hashed);
    u64::from_be_bytes(first)
}

/// What is hashed before a key, so that the sample is independent of what other tools choose by the hash of an id. A change
/// of it changes which requests are sampled.
const HASH_KEY: &[u8] = b"tlscope sample 1\0";

#[cfg(test)]
mod tests {
    use proptest::{prelude::any, prop_assert, proptest};

    use super::*;
    use crate::{output::sample, redact::Line};

    proptest! {
        #[test]
        fn a_larger_fraction_keeps_what_a_smaller_one_does(key in any::<String>(), of in 1_u32.., one: u32, two: u32) {
            let [one, two] = [one, two].map(|kept| Fraction { kept: kept % of + 1, of });
            let (less, more) = if one.kept <= two.kept { (one, two) } else { (two, one) };
            prop_assert!(!is_sampled(less, &key) || is_sampled(more, &key));
            let all = Fraction { kept: of, of };
            prop_assert!(is_sampled(all, &key));
        }

        #[test]
        fn a_fraction_of_the_ids_is_kept(run: u64, of in 2_u32..20) {
            const IDS: u32 = 4000;
            let fraction = Fraction { kept: 1, of };
            let kept = (0..IDS).filter(|id| is_sampled(fraction, &format!("{run:x}-{id}"))).count();
            // Six standard deviations of a binomial distribution are passed once in a billion runs.
            let mean = f64::from(IDS) / f64::from(of);
            let off = (f64::from(u32::try_from(kept).unwrap()) - mean).abs();
            prop_assert!(off < 6.0 * (mean * (1.0 - 1.0 / f64::from(of))).sqrt(), "{kept} of {IDS}, wanted 1/{of}");
        }
    }

    #[test]
    fn the_sample_is_the_same_in_every_version() {
        assert_eq!(hash("4bf92f3577b34da6a3ce929d0e0e4736"), EXPECTED_HASH);
        let tenth = Fraction { kept: 1, of: 10 };
        let kept: Vec<_> = (0..40).filter(|id| is_sampled(tenth, &id.to_string())).collect();
        assert_eq!(kept, EXPECTED_KEPT);
    }

    // Computed by `printf 'tlscope sample 1\0ID' | sha256sum`.
    const EXPECTED_HASH: u64 = 0x352f_0b7d_fa35_8706;
    const EXPECTED_KEPT: &[i32] = &[1, 12, 18, 20, 24, 29, 32];

    #[test]
    fn what_is_left_out_is_counted() {
        let mut sampler = Sampler::new(Fraction { kept: 1, of: 3 });
        let kept = (0..100_u64).filter(|id| sampler.keeps(&id.to_string())).count();
        assert_eq!(u64::try_from(kept).unwrap() + sampler.left_out, 100);
        assert!(kept > 0 && sampler.left_out > 0);
    }

    #[test]
    fn the_key_is_the_request_id_or_else_that_of_the_exchange() {
        let sample = sample::exchange();
        let Line::Exchange(sample) = &*sample else {
            panic!("{sample:?}");
        };
        let with_id = |id: Option<&str>| {
            let mut line = sample.clone();
            line.request_id = id.map(Into::into);
            let key = key(&line);
            (key == line.id, key.to_owned())
        };
        assert_eq!(with_id(Some("abc")), (false, "abc".to_owned()));
        assert_eq!(
            with_id(Some("[redacted:82558a389a443c0e]")).1,
            "[redacted:82558a389a443c0e]"
        );
        for id in [None, Some(""), Some("[redacted]"), Some("user-[redacted]")] {
            assert!(with_id(id).0, "{id:?}");
        }
    }
}
