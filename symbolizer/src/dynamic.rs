//! The dynamic symbol table of an image whose section headers are gone.
//!
//! In: the bytes of `PT_DYNAMIC`, and a way to read at an address. Out: the bytes of the symbol table and of its
//! strings. The dynamic section states where the table begins and never how long it is, so the length comes from
//! a hash table over it (`DT_HASH` or `DT_GNU_HASH`; gABI and the GNU hash section's layout). Refused: tables
//! that point outside the segments.

use crate::address::Vaddr;
use crate::error::Error;

const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_STRSZ: u64 = 10;
const DT_GNU_HASH: u64 = 0x6fff_fef5;

const ENTRY_SIZE: usize = 16;
const SYMBOL_SIZE: usize = 24;

/// Holds the two tables a symbol lookup needs.
#[derive(Debug)]
pub(crate) struct Tables<'data> {
    pub(crate) symbols: &'data [u8],
    pub(crate) strings: &'data [u8],
}

/// Finds the dynamic symbol table without section headers.
pub(crate) fn find_symbols<'data>(
    dynamic: &[u8],
    bytes_from: impl Fn(Vaddr) -> Option<&'data [u8]>,
) -> Result<Option<Tables<'data>>, Error> {
    let at = |tag| entry(dynamic, tag).map(Vaddr);
    let (Some(symbols), Some(strings)) = (at(DT_SYMTAB), at(DT_STRTAB)) else {
        return Ok(None);
    };
    let malformed = |part| Error::Malformed { part };
    let symbols = bytes_from(symbols).ok_or(malformed("dynamic symbol table"))?;
    let strings = bytes_from(strings).ok_or(malformed("dynamic string table"))?;
    let read_at = |tag| at(tag).and_then(&bytes_from);
    let counted = read_at(DT_HASH).and_then(count_by_hash);
    let Some(count) = counted.or_else(|| read_at(DT_GNU_HASH).and_then(count_by_gnu_hash)) else {
        return Ok(None);
    };
    let symbols = symbols
        .get(..count.saturating_mul(SYMBOL_SIZE))
        .ok_or(malformed("dynamic symbol table"))?;
    let size = entry(dynamic, DT_STRSZ).and_then(|size| usize::try_from(size).ok());
    let strings = size
        .and_then(|size| strings.get(..size))
        .ok_or(malformed("dynamic string table"))?;
    Ok(Some(Tables { symbols, strings }))
}

fn entry(dynamic: &[u8], tag: u64) -> Option<u64> {
    let mut entries = dynamic.chunks_exact(ENTRY_SIZE).map_while(|entry| {
        let (tag, value) = (word64(entry, 0)?, word64(entry, 8)?);
        (tag != 0).then_some((tag, value))
    });
    entries.find(|(found, _)| *found == tag).map(|(_, value)| value)
}

/// Counts symbols by the older hash table, which has one chain entry for each.
fn count_by_hash(table: &[u8]) -> Option<usize> {
    usize::try_from(word32(table, 4)?).ok()
}

/// Counts symbols by the GNU hash table: the last symbol ends the chain that begins furthest on.
fn count_by_gnu_hash(table: &[u8]) -> Option<usize> {
    let field = |at| word32(table, at).and_then(|value| usize::try_from(value).ok());
    let (buckets, first_hashed, bloom) = (field(0)?, field(4)?, field(8)?);
    let buckets_at = bloom.checked_mul(8)?.checked_add(16)?;
    let chains_at = buckets.checked_mul(4)?.checked_add(buckets_at)?;
    let furthest = words32(table.get(buckets_at..chains_at)?).max()?;
    if furthest == 0 {
        return Some(first_hashed);
    }
    let furthest = usize::try_from(furthest).ok()?;
    let chain = table
        .get(chains_at..)?
        .get(furthest.checked_sub(first_hashed)?.checked_mul(4)?..)?;
    let more = words32(chain).position(|hash| hash & 1 == 1)?;
    furthest.checked_add(more)?.checked_add(1)
}

fn words32(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.chunks_exact(4).filter_map(|word| word32(word, 0))
}

fn word32(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*word))
}

fn word64(bytes: &[u8], at: usize) -> Option<u64> {
    let word = bytes.get(at..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn the_gnu_hash_table_ends_with_the_chain_that_begins_furthest_on() {
        // Two buckets, symbols hashed from index 3, one bloom word; chains of one and of two symbols.
        let table = words(&[2, 3, 1, 0, 0, 0, 3, 4, 1, 2, 1]);
        assert_eq!(count_by_gnu_hash(&table), Some(6));
    }

    #[test]
    fn a_gnu_hash_table_of_empty_buckets_counts_the_symbols_before_it() {
        assert_eq!(count_by_gnu_hash(&words(&[1, 7, 1, 0, 0, 0, 0])), Some(7));
    }

    #[test]
    fn a_gnu_hash_chain_without_an_end_counts_nothing() {
        assert_eq!(count_by_gnu_hash(&words(&[1, 1, 1, 0, 0, 0, 1, 2, 4])), None);
        assert_eq!(count_by_gnu_hash(&words(&[1, u32::MAX, u32::MAX, 0])), None);
    }

    #[test]
    fn the_entries_after_the_null_entry_are_not_read() {
        let dynamic: Vec<u8> = [5_u64, 1, 0, 0, 6, 2]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        assert_eq!(entry(&dynamic, DT_STRTAB), Some(1));
        assert_eq!(entry(&dynamic, DT_SYMTAB), None);
    }
}
