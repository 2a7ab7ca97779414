//! Where functions begin, by the table that unwinding searches (`.eh_frame_hdr`); it survives `strip`.
//!
//! Linux Standard Base 5.0, 10.6.2. Only the encoding that link editors write is read: pairs of 32-bit distances from the
//! table's section, in order.

use crate::elf::address::Vaddr;

/// Holds the table of an image, or none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Frames<'data> {
    entries: &'data [[u8; ENTRY]],
    section: u64,
}

/// A distance to a function's first byte, and one to its description.
const ENTRY: usize = 8;
/// The version, and the encodings: relative to the place, unsigned, and relative to the section.
const HEADER: [u8; 4] = [1, 0x1b, 0x03, 0x3b];

impl<'data> Frames<'data> {
    /// Reads the table of a section that lies at an address.
    pub(super) fn parse(section: &'data [u8], address: Vaddr) -> Option<Self> {
        let rest = section.strip_prefix(&HEADER)?;
        let (count, entries) = rest.get(4..)?.split_first_chunk()?;
        let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
        let (entries, _rest) = entries.as_chunks();
        Some(Self {
            entries: entries.get(..count)?,
            section: address.0,
        })
    }

    /// Returns whether there is no table, or an empty one.
    pub(crate) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns whether a function begins at an address, or a part of one that lies elsewhere.
    pub(crate) fn begins(&self, address: Vaddr) -> bool {
        let distance = address.0.wrapping_sub(self.section).cast_signed();
        self.entries.binary_search_by_key(&distance, begin).is_ok()
    }

    /// Iterates over where functions begin, in order.
    pub(crate) fn starts(self) -> impl Iterator<Item = Vaddr> + use<'data> {
        let entries = self.entries.iter();
        entries.map(move |entry| Vaddr(self.section.wrapping_add_signed(begin(entry))))
    }

    /// Returns where the function begins that an address lies in, and where the next one does.
    pub(crate) fn around(&self, address: Vaddr) -> Option<(Vaddr, Vaddr)> {
        let distance = address.0.wrapping_sub(self.section).cast_signed();
        let behind = self.entries.partition_point(|entry| begin(entry) <= distance);
        let at = |index: usize| {
            let first = begin(self.entries.get(index)?);
            Some(Vaddr(self.section.wrapping_add_signed(first)))
        };
        let begin = at(behind.checked_sub(1)?)?;
        let end = at(behind).unwrap_or(Vaddr(u64::MAX));
        (begin <= address && address < end).then_some((begin, end))
    }
}

/// The distance of an entry's function.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the entries of a slice are passed to it"
)]
fn begin(entry: &[u8; ENTRY]) -> i64 {
    let [a, b, c, d, ..] = *entry;
    i64::from(i32::from_le_bytes([a, b, c, d]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(distances: &[i32]) -> Vec<u8> {
        let count = u32::try_from(distances.len()).unwrap().to_le_bytes();
        let entries = distances.iter().flat_map(|begin| [begin.to_le_bytes(), [0; 4]]);
        let entries: Vec<_> = entries.flatten().collect();
        [&HEADER[..], &[0; 4], &count, &entries].concat()
    }

    #[test]
    fn the_beginnings_of_functions_are_found_before_and_behind_the_table() {
        let table = table(&[-0x100, -0x80, 0x40]);
        let frames = Frames::parse(&table, Vaddr(0x1000)).unwrap();
        assert!(!frames.is_empty());
        assert_eq!(
            frames.starts().map(|at| at.0).collect::<Vec<_>>(),
            [0xf00, 0xf80, 0x1040]
        );
        for begin in [0xf00, 0xf80, 0x1040] {
            assert!(frames.begins(Vaddr(begin)), "{begin:#x}");
        }
        let around = |at| frames.around(Vaddr(at)).map(|(begin, end)| (begin.0, end.0));
        assert_eq!(around(0xeff), None);
        assert_eq!(
            (around(0xf00), around(0xf7f)),
            (Some((0xf00, 0xf80)), Some((0xf00, 0xf80)))
        );
        assert_eq!(around(0x5000), Some((0x1040, u64::MAX)), "the last one");
        for other in [0, 0xf01, 0x1000, u64::MAX] {
            assert!(!frames.begins(Vaddr(other)), "{other:#x}");
        }
    }

    #[test]
    fn a_table_of_another_encoding_or_cut_short_is_none() {
        let whole = table(&[1, 2]);
        for length in 0..whole.len() {
            assert!(Frames::parse(&whole[..length], Vaddr(0)).is_none(), "{length}");
        }
        let mut other = whole;
        other[3] = 0x1b;
        assert!(Frames::parse(&other, Vaddr(0)).is_none());
        assert!(Frames::default().is_empty() && !Frames::default().begins(Vaddr(0)));
    }
}
