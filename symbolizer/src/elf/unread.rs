//! The parts of an image that were not read from its file, and which of them an analysis would have read.
//!
//! Whoever reads a file leaves out the large sections of data, which [`crate::sieve`] finds, and puts zeros in their
//! place. A plan needs a few tables in them, and only the code says which. So an analysis notes where it came upon such
//! zeros; the reader puts the bytes there, and has the image analysed again, until nothing is asked for.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;

use crate::elf::address::FileOffset;
use crate::limits;

/// How much is asked for at a time.
const PAGE: u64 = 4096;

/// How far from where an analysis looks it may read: text of a name, or the words of a table.
const REACH: u64 = 256;

/// Holds the parts of an image that were not read.
#[derive(Debug, Default)]
pub struct Unread {
    /// In order; none overlaps another.
    parts: Vec<Range<u64>>,
    /// The numbers of pages that were asked for and have been read.
    read: BTreeSet<u64>,
    /// The numbers of pages that were asked for and have not been read.
    wanted: RefCell<BTreeSet<u64>>,
}

impl Unread {
    /// Takes the parts of a file that were not read, in order; none may overlap another.
    #[must_use]
    pub const fn new(parts: Vec<Range<u64>>) -> Self {
        Self {
            parts,
            read: BTreeSet::new(),
            wanted: RefCell::new(BTreeSet::new()),
        }
    }

    /// Notes that an analysis reads at a place of the file.
    pub(crate) fn ask(&self, offset: FileOffset) {
        let at = offset.0;
        let behind = self.parts.partition_point(|part| part.end <= at);
        let Some(part) = self.parts.get(behind).filter(|part| part.contains(&at)) else {
            return;
        };
        let last = at.saturating_add(REACH).min(part.end) - 1;
        let mut wanted = self.wanted.borrow_mut();
        for page in [at / PAGE, last / PAGE] {
            let has_room = self.read.len() + wanted.len() < limits::UNREAD_PAGES;
            if has_room && !self.read.contains(&page) {
                wanted.insert(page);
            }
        }
    }

    /// Takes the ranges of the file that were asked for since the last time, in order. They count as read from now on.
    ///
    /// They lie within the parts that were not read. There are none if nothing was asked for, or if as much was read as
    /// [`limits::UNREAD_PAGES`] allows.
    pub fn take_wanted(&mut self) -> Vec<Range<u64>> {
        let pages = std::mem::take(self.wanted.get_mut());
        let ranges = pages.iter().flat_map(|page| self.within(*page)).collect();
        self.read.extend(pages);
        ranges
    }

    /// Returns what of a page was not read.
    fn within(&self, page: u64) -> impl Iterator<Item = Range<u64>> {
        let (start, end) = (page.saturating_mul(PAGE), page.saturating_add(1).saturating_mul(PAGE));
        let parts = self.parts.iter();
        let common = parts.map(move |part| part.start.max(start)..part.end.min(end));
        common.filter(|range| !range.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(unread: &mut Unread, places: &[u64]) -> Vec<Range<u64>> {
        for place in places {
            unread.ask(FileOffset(*place));
        }
        unread.take_wanted()
    }

    #[test]
    fn what_is_asked_for_is_wanted_once_by_pages() {
        let mut unread = Unread::new(vec![5000..40_000, 50_000..50_100]);
        assert_eq!(asked(&mut unread, &[0, 4999, 40_000, 49_999, 50_100]), []);
        // The beginning of a part, what reaches into the next page, and the end of a part.
        assert_eq!(asked(&mut unread, &[5000, 50_000]), [5000..8192, 50_000..50_100]);
        assert_eq!(asked(&mut unread, &[12_288 - 10, 5500]), [8192..12_288, 12_288..16_384]);
        assert_eq!(asked(&mut unread, &[36_000, 39_999]), [32_768..36_864, 36_864..40_000]);
        assert_eq!(asked(&mut unread, &[39_999, 50_000, 9000]), []);
    }

    #[test]
    fn no_more_is_wanted_than_the_limit() {
        let pages = limits::UNREAD_PAGES as u64;
        let mut unread = Unread::new(vec![0..pages * PAGE, pages * PAGE..2 * pages * PAGE]);
        let places: Vec<_> = (0..pages + 10).map(|page| page * PAGE).collect();
        assert_eq!(asked(&mut unread, &places[..10]).len(), 10);
        assert_eq!(asked(&mut unread, &places).len(), limits::UNREAD_PAGES - 10);
        assert_eq!(asked(&mut unread, &places), []);
    }
}
