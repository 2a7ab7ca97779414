//! Huffman-coded strings (RFC 7541 section 5.2).

mod code;

use super::error::Error;
#[cfg(test)]
pub(super) use code::LENGTHS;
use code::Symbols;

/// Lookups per window: at least 57 bits of a window are filled, and a lookup takes up to 12.
const LOOKUPS: usize = 4;

/// Returns the room that [`decode`] needs for a string: codes have five bits or more, and it writes eight octets at a time.
pub(super) const fn max_decoded(length: usize) -> usize {
    length.saturating_add(length.div_ceil(5) * 3).saturating_add(8)
}

/// Decodes the string of `length` bytes at the beginning of `block` into `output`, which has room for [`max_decoded`], and
/// returns the number of octets.
///
/// Bytes behind the string are read along with its last bytes, and ignored: this saves a copy.
pub(super) fn decode(block: &[u8], length: usize, output: &mut [u8]) -> Result<usize, Error> {
    let mut reader = Reader {
        block,
        position: 0,
        end: length.saturating_mul(8),
    };
    let mut written = 0;
    loop {
        let short = reader.read_short();
        write(output, written, short.octets.to_le_bytes());
        written += short.width as usize / 8;
        if short.last.width() == 0 {
            if reader.is_end() {
                return Ok(written);
            }
            write(output, written, [reader.read_long()?]);
            written += 1;
        }
    }
}

#[inline]
fn write<const N: usize>(output: &mut [u8], at: usize, octets: [u8; N]) {
    if let Some(room) = output.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *room = octets;
    }
}

/// A string, and the position in it, in bits.
struct Reader<'a> {
    block: &'a [u8],
    position: usize,
    end: usize,
}

/// Octets of short codes.
struct Short {
    /// Up to eight octets, the first one lowest, and the number of bits in use.
    octets: u64,
    width: u32,
    /// The result of the last lookup.
    last: Symbols,
}

impl Reader<'_> {
    /// Returns the next bits, the first one highest: at least 57, with ones behind the end of the string.
    #[inline]
    fn window(&self) -> u64 {
        let bytes = self.block.get(self.position / 8..).unwrap_or_default();
        let word = bytes
            .first_chunk()
            .map_or_else(|| word(bytes), |bytes| u64::from_be_bytes(*bytes));
        let left = self.end.saturating_sub(self.position / 8 * 8);
        let word = if left < 64 { word | u64::MAX >> left } else { word };
        word << (self.position % 8)
    }

    #[inline]
    fn read_short(&mut self) -> Short {
        let mut window = self.window();
        let (mut octets, mut width, mut last) = (0, 0, Symbols::NONE);
        for _ in 0..LOOKUPS {
            last = code::lookup(window);
            octets |= last.octets() << width;
            width += last.width();
            window <<= last.bits();
            self.position += last.bits() as usize;
        }
        Short { octets, width, last }
    }

    /// Returns whether the string ends here, where no short code was found. Then the next eight bits are ones, as all long
    /// codes begin with more of them.
    #[inline]
    fn is_end(&self) -> bool {
        self.end.checked_sub(self.position).is_some_and(|left| left < 8)
    }

    /// Reads one octet where neither a short code nor the end of the string was found.
    #[cold]
    fn read_long(&mut self) -> Result<u8, Error> {
        // A code that ended behind the string has padding with other bits than ones: no short code begins with ones.
        let left = self.end.checked_sub(self.position).ok_or(Error::HuffmanPadding)?;
        let window = self.window();
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
        u8::try_from(symbol).ok().ok_or(Error::HuffmanEos)
    }
}

/// Reads fewer than eight bytes, the first one highest.
fn word(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold((0, 56), |(word, shift), byte| {
            (word | u64::from(*byte) << shift, shift - 8)
        })
        .0
}
