//! Arbitrary bytes as a list of operations.

/// One operation: a byte for its kind, a byte for its length, and its bytes.
pub(super) struct Operation<'a> {
    pub(super) kind: u8,
    pub(super) bytes: &'a [u8],
}

/// Splits `data` into operations.
pub(super) fn operations(mut data: &[u8]) -> impl Iterator<Item = Operation<'_>> {
    std::iter::from_fn(move || {
        let (&[kind, length], rest) = data.split_first_chunk()?;
        let (bytes, rest) = rest.split_at(usize::from(length).min(rest.len()));
        data = rest;
        Some(Operation { kind, bytes })
    })
}
