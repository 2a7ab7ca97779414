//! Sizes of files on the command line: a number with a binary unit.

/// Returns whether a word ends with a unit of size.
pub(super) fn has_unit(word: &str) -> bool {
    UNITS.iter().any(|(suffix, _)| word.ends_with(suffix))
}

/// Parses a size, which is not zero.
pub(super) fn parse(word: &str) -> Option<u64> {
    let (suffix, unit) = UNITS.iter().find(|(suffix, _)| word.ends_with(suffix))?;
    let number: u64 = word.strip_suffix(suffix)?.parse().ok()?;
    number.checked_mul(*unit).filter(|size| *size > 0)
}

const UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];
