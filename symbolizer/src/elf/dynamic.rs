//! The dynamic section: names, and the symbol table of an image whose section headers are gone.
//!
//! The section states where the table begins and never how long it is, so the length comes from a hash table over it
//! (`DT_HASH` or `DT_GNU_HASH`; gABI and the GNU hash section's layout).

use crate::elf::address::Vaddr;
use crate::error::Error;
use crate::limits;

pub(crate) const DT_NEEDED: u64 = 1;
pub(crate) const DT_SONAME: u64 = 14;
pub(crate) const DT_RPATH: u64 = 15;
pub(crate) const DT_RUNPATH: u64 = 29;
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

/// Returns the names under a tag, as many as the limit.
pub(crate) fn names<'data>(
    dynamic: &[u8],
    tag: u64,
    bytes_from: impl Fn(Vaddr) -> Option<&'data [u8]>,
) -> Vec<&'data [u8]> {
    let Some(strings) = entry(dynamic, DT_STRTAB).and_then(|at| bytes_from(Vaddr(at))) else {
        return Vec::new();
    };
    let name = |offset| {
        let name = strings.get(usize::try_from(offset).ok()?..)?;
        let window = name.get(..limits::FILE_NAME).unwrap_or(name);
        window.get(..memchr::memchr(0, window)?)
    };
    let tagged = entries(dynamic).filter(|(found, _)| *found == tag);
    tagged
        .filter_map(|(_, offset)| name(offset))
        .take(limits::NEEDED)
        .collect()
}

fn entry(dynamic: &[u8], tag: u64) -> Option<u64> {
    entries(dynamic)
        .find(|(found, _)| *found == tag)
        .map(|(_, value)| value)
}

fn entries(dynamic: &[u8]) -> impl Iterator<Item = (u64, u64)> {
    dynamic.chunks_exact(ENTRY_SIZE).map_while(|entry| {
        let (tag, value) = (word64(entry, 0)?, word64(entry, 8)?);
        (tag != 0).then_some((tag, value))
    })
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

    fn dynamic(entries: &[(u64, u64)]) -> Vec<u8> {
        let words = entries.iter().flat_map(|(tag, value)| [*tag, *value]);
        words.flat_map(u64::to_le_bytes).collect()
    }

    #[test]
    fn the_names_are_those_under_the_tag() {
        let strings = b"\0libssl.so.3\0libcrypto.so.3\0";
        let dynamic = dynamic(&[(DT_NEEDED, 13), (DT_SONAME, 1), (DT_STRTAB, 0x1000), (DT_NEEDED, 99)]);
        let at = |address: Vaddr| (address.0 == 0x1000).then_some(&strings[..]);
        assert_eq!(names(&dynamic, DT_SONAME, at), [b"libssl.so.3"]);
        assert_eq!(names(&dynamic, DT_NEEDED, at), [b"libcrypto.so.3"]);
        assert!(names(&dynamic, DT_NEEDED, |_| None).is_empty());
    }

    #[test]
    fn names_may_be_as_many_and_as_long_as_their_limits() {
        let longest = [vec![b'x'; limits::FILE_NAME - 1], vec![0]].concat();
        let named = |strings: &[u8], count| {
            let entries = vec![(DT_NEEDED, 0); count];
            let dynamic = dynamic(&[vec![(DT_STRTAB, 1)], entries].concat());
            names(&dynamic, DT_NEEDED, |_| Some(strings)).len()
        };
        assert_eq!(named(&longest, limits::NEEDED), limits::NEEDED);
        assert_eq!(named(&longest, limits::NEEDED + 1), limits::NEEDED);
        assert_eq!(named(&[b"x", &longest[..]].concat(), 1), 0);
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
