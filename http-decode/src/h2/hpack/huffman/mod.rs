//! Strings in the Huffman code (RFC 7541 section 5.2).
//!
//! In: a coded string. Out: its octets. Refuses a string that holds EOS, and padding that is longer than seven bits or
//! is not the beginning of EOS.

mod code;

use super::Error;
#[cfg(test)]
pub(super) use code::LENGTHS;
use code::Symbols;

/// Lookups whose codes of up to 12 bits fit into a window, of which 57 bits are sure to be filled.
const LOOKUPS: usize = 4;

/// The most that [`decode`] may want to write for a string: codes have five bits or more, and it writes eight octets at
/// a time.
pub(super) const fn max_decoded(length: usize) -> usize {
    length.saturating_add(length.div_ceil(5) * 3).saturating_add(8)
}

/// Decodes a string into the beginning of `output`, which has room for [`max_decoded`], and gives its length.
pub(super) fn decode(coded: &[u8], output: &mut [u8]) -> Result<usize, Error> {
    let mut reader = Reader {
        coded,
        position: 0,
        bits: coded.len().saturating_mul(8),
    };
    let mut written = 0;
    loop {
        let (octets, width, last) = reader.read();
        put(output, written, octets.to_le_bytes());
        written += width as usize / 8;
        if last.width() == 0 {
            let Some(octet) = reader.read_long()? else {
                return Ok(written);
            };
            put(output, written, [octet]);
            written += 1;
        }
    }
}

#[inline]
fn put<const N: usize>(output: &mut [u8], at: usize, octets: [u8; N]) {
    if let Some(room) = output.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *room = octets;
    }
}

/// A coded string and how many of its bits were read.
struct Reader<'a> {
    coded: &'a [u8],
    position: usize,
    bits: usize,
}

impl Reader<'_> {
    /// Shows the next bits, the first one highest: 57 at least, ones where the string has ended.
    #[inline]
    fn window(&self) -> u64 {
        let rest = self.coded.get(self.position / 8..).unwrap_or_default();
        let word = rest
            .first_chunk()
            .map_or_else(|| padded(rest), |bytes| u64::from_be_bytes(*bytes));
        word << (self.position % 8)
    }

    /// Reads up to eight octets with short codes: gives them, how many bits they are, and the last lookup's answer.
    #[inline]
    fn read(&mut self) -> (u64, u32, Symbols) {
        let mut window = self.window();
        let (mut octets, mut width, mut last) = (0, 0, Symbols::NONE);
        for _ in 0..LOOKUPS {
            last = code::lookup(window);
            octets |= last.octets() << width;
            width += last.width();
            window <<= last.bits();
            self.position += last.bits() as usize;
        }
        (octets, width, last)
    }

    /// Reads one octet where no short code was found; none at the end of the string.
    #[inline]
    fn read_long(&mut self) -> Result<Option<u8>, Error> {
        // A code that ended beyond the string was made of other padding than ones: ones begin no short code.
        let left = self.bits.checked_sub(self.position).ok_or(Error::HuffmanPadding)?;
        let window = self.window();
        if left < 8 && window >> 56 == 0xff {
            return Ok(None);
        }
        let (symbol, bits) = code::long(window);
        if bits as usize > left {
            let ones = window.leading_ones() as usize >= left;
            return Err(if ones {
                Error::HuffmanPaddingTooLong
            } else {
                Error::HuffmanPadding
            });
        }
        self.position += bits as usize;
        u8::try_from(symbol).ok().ok_or(Error::HuffmanEos).map(Some)
    }
}

/// Fills up fewer than eight bytes with ones.
#[inline]
fn padded(rest: &[u8]) -> u64 {
    let mut word = [0xff; 8];
    word.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(word)
}
