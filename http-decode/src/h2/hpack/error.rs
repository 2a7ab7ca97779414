//! Errors of header blocks.

/// Why a block could not be decoded to its end.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Error {
    /// It ends within a field.
    Truncated,
    /// An integer does not fit into 32 bits, or has more than five bytes behind its first (section 5.1).
    IntegerOverflow,
    /// A field with index 0 (section 6.1).
    ZeroIndex,
    /// A size update behind a field (section 4.2).
    LateSizeUpdate,
    /// A Huffman-coded string contains EOS (section 5.2).
    HuffmanEos,
    /// A Huffman-coded string is padded with other bits than ones (section 5.2).
    HuffmanPadding,
    /// A Huffman-coded string is padded with eight bits or more (section 5.2).
    HuffmanPaddingTooLong,
}
